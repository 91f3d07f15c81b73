"""What runs say in sentences: ratios, verdicts, controls, and what limits them. Plain text, without mark-up."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer, Flagged
from perfkit.analysis.controls import AA_BAND_PCT, BURN_COST_US, MOST_COST, SOLO_BAND, Control
from perfkit.analysis.statistics import Ratio
from perfkit.analysis.stopping import CORRELATED, FIRST_STAGE, SPREAD_CHANGED, TOO_CORRELATED
from perfkit.design.plan import JOINT, SOLO, TURNS, Load
from perfkit.record.validity import SHARED, Flag

METRIC_WORDS = {
    "throughput_rps": ("throughput", "more calls per second", "fewer calls per second", "serves"),
    "cpu_per_call_us": ("CPU per call", "more CPU per call", "less CPU per call", "costs"),
}
"""metric → its name, what more of it is, what less of it is, and what an arm does with it"""

SAME_MEASUREMENT = "Capacity, its inverse, and throughput at {} are the same measurement, not further evidence."

LOADS = {
    JOINT: "CPU per call holds for this load: servers that share a core, each with a backlog. "
    + SAME_MEASUREMENT.format("equal shares"),
    TURNS: "CPU per call holds for servers that have the core to themselves, as when they run alone. "
    + SAME_MEASUREMENT.format("saturation"),
    SOLO: "CPU per call is of one server after the other on a machine that drifts. "
    + SAME_MEASUREMENT.format("saturation"),
}
"""method → what the answer of all comparisons by it holds for"""

HARDLY_CONTENDED = (
    "On one core, with Python's global lock and no work inside the critical section, the counter's own lock is hardly "
    "ever contended: what is compared is the price of the way through the queue."
)

SHOWN = 24
"""Characters of a long command that are shown at either end."""

WAYS = {JOINT: "all at once on one core", TURNS: "by turns", SOLO: "one at a time"}
"""method → how servers were measured, in a sentence"""


def labels(table: pd.DataFrame) -> dict[str, str]:
    """Return arm → what to call it: its pattern, and what tells it from others of that; a simulated device is said."""
    arms = table[["arm", "pattern"]].drop_duplicates().sort_values("arm")
    return {
        arm: short(arm) if not pattern else _label(arm, arms.loc[arms["pattern"] == pattern, "arm"].tolist())
        for arm, pattern in arms.itertuples(index=False)
    }


def _label(arm: str, alike: Sequence[str]) -> str:
    """Return what to call one of some arms of one pattern."""
    engines = {one.partition("?")[0] for one in alike}
    shared = set.intersection(*(set(_options(one)) for one in alike))
    own = {one: [option for option in _options(one) if option not in shared] for one in alike}
    # That a server has no workers is clear from what it has instead.
    short_of = {
        one: [option for option in options if not option.startswith("workers=")] for one, options in own.items()
    }
    if len({(one.partition("?")[0], *options) for one, options in short_of.items()}) == len(alike):
        own = short_of
    head = arm.partition("?")[0]
    name = "?".join(filter(None, (head if len(engines) > 1 else head.partition("/")[2], "&".join(own[arm]))))
    syncs = [option.partition("=")[2] for option in _options(arm) if option.startswith("sync_us=")]
    return name + (f", simulated {int(syncs[0]) / 1000:g} ms" if syncs else "")


def _options(arm: str) -> list[str]:
    return [option for option in arm.partition("?")[2].split("&") if option]


def short(arm: str) -> str:
    """Return the name of an arm; of a long command its beginning and its end."""
    return arm if len(arm) <= 2 * SHOWN else f"{arm[:SHOWN]}…{arm[-SHOWN:]}"


def cores(load: Load, flags: Iterable[str]) -> str:
    """Return on how many cores servers were, where that was more than one, and whose else these were."""
    if load.server_cpus == 1:
        return ""
    shared = any(SHARED in one for one in flags)
    return f", servers on {load.server_cpus} cores" + (", the load generator's among them" if shared else "")


def percent(result: Ratio) -> str:
    """Return the difference from the baseline and its interval."""
    return f"{(result.ratio - 1) * 100:+.1f} % ({interval(result)})"


def interval(result: Ratio) -> str:
    """Return the interval of a difference from the baseline."""
    low, high = result.interval
    return f"95 % interval {(low - 1) * 100:+.1f} % to {(high - 1) * 100:+.1f} %"


def times(result: Ratio, digits: int = 3) -> str:
    """Return a ratio with its interval, where it has one."""
    middle = f"{result.ratio:.{digits}f}"
    return middle if result.low is None else f"{middle} ({result.low:.{digits}f} to {result.high:.{digits}f})"


def listed(things: Sequence[object]) -> str:
    """Return things with commas and an `and` between."""
    *rest, last = map(str, things)
    return f"{', '.join(rest)} and {last}" if rest else last


def sentence(answer: Answer) -> str:
    """Return what a comparison says, in one sentence, and what limits most of its trials."""
    return _sentence(answer) + mostly(answer)


def mostly(answer: Answer) -> str:
    """Return what limits most trials of a comparison, as a sentence to be put behind what it says."""
    most = [one.flag.name for one in answer.flagged if 2 * one.trials >= one.of]
    return f" In most trials: {', '.join(most)}." if most else ""


def _sentence(answer: Answer) -> str:
    plan, result = answer.plan, answer.cpu_per_call
    if result is None or answer.verdict == comparison.NOT_TRUSTED:
        return f"The instrument is not trusted here: {distrust(answer)}."
    a, b = comparison.names(plan)
    size, margin = _size(answer), f"{plan.margin_pct:g} % in CPU per call"
    if answer.verdict == comparison.NOT_KNOWN:
        to_go_s = comparison.seconds_to_go(answer)
        return (
            f"Not known yet whether {b} and {a} differ by more than {margin}: {size}. "
            f"About {to_go_s:.0f} s more should tell: the same again with out=(this run's folder) and "
            f"budget_s={math.ceil((plan.stop.budget_s + to_go_s) / 10) * 10}."
        )
    if answer.verdict == comparison.NO_RELEVANT:
        low, high = result.interval
        sign = "" if low <= 1 <= high else f", and {b} is the {'dearer' if result.ratio > 1 else 'cheaper'}"
        return f"{b} and {a} differ by less than {margin}{sign}: {size}."
    return f"{b} costs {'more' if result.ratio > 1 else 'less'} CPU per call than {a}: {size}."


def _size(answer: Answer) -> str:
    assert answer.cpu_per_call is not None  # noqa: S101 - asked for only where there is one
    blocks, load = answer.cpu_per_call.blocks, answer.load
    under = "" if answer.plan.paired == JOINT else f" under {load.generator}"  # joint trials are of k6 alone
    under += cores(load, (one.flag.name for one in answer.flagged))
    way = WAYS[answer.plan.paired]
    return f"{percent(answer.cpu_per_call)} at {load.vus} VUs an arm{under}, {way}, {blocks} blocks"


def distrust(answer: Answer) -> str:
    """Return why nothing is concluded."""
    if answer.cpu_per_call is None:
        return f"of {answer.paired_trials} {answer.plan.paired} trials, {answer.blocks} count"
    if answer.contradicts:
        a, b = comparison.names(answer.plan)
        return (
            f"two methods contradict each other. {b} against {a} costs {_size(answer)}; in solo trials of the same "
            f"blocks {percent(answer.contradicts)} CPU per call"
        )
    if answer.steadiness and not answer.steadiness.is_enough:
        return (
            f"neighbouring blocks are alike (correlation {answer.steadiness.correlation:.2f}), so that they say less "
            f"than their number: {_size(answer)}. Something changes slowly; compare again, for longer"
        )
    return "; ".join(control_sentence(one) for one in answer.controls.values() if not one.ok)


def control_verdict(control: Control) -> str:
    """Return whether a control passed, failed, or could show nothing."""
    if not control.ok:
        return "**failed**"
    unseen = control.burn_us is not None and control.result.interval[0] <= 1
    return "could not be seen at this spread" if unseen else "passed"


def control_sentence(control: Control) -> str:
    """Return what a control was expected to show, what it showed, and what it could have missed."""
    result = control.result
    if control.burn_us is None or control.cost_us is None:
        return (
            f"the same arm again costs {percent(result)}; wanted: an interval that comes within ±{AA_BAND_PCT:g} % of "
            f"none. A bias of up to {AA_BAND_PCT + result.half_width_pct:.1f} % could pass"
        )
    text = (
        f"{control.burn_us:g} µs burned in each call cost {percent(result)}, {control.cost_us:.1f} µs; wanted: "
        f"detected if this spread allows it, not less than was burned, not more than {MOST_COST:g} times that and "
        f"{BURN_COST_US:g} µs"
    )
    if control.solo is None or control.apart is None:
        return text
    return (
        f"{text}; in solo trials it cost {percent(control.solo)}; wanted: an effect that may be within "
        f"{SOLO_BAND * 100:.0f} % of that. The two are {percent(control.apart)} apart"
    )


def caveats(answer: Answer) -> list[str]:
    """Return what limits a comparison, that of all comparisons last."""
    found = [_flagged(one) for one in answer.flagged]
    if answer.solo_is_void:
        found.append(
            "No verdict on throughput or latency: the load generator was the limit in solo trials, or some do not "
            "count."
        )
    if answer.idle is not None and answer.idle > 1 - comparison.BUSY:
        found.append(
            f"The servers waited for their load: one left {answer.idle * 100:.0f} % of its core idle. No difference in "
            "throughput of up to that is given a verdict."
        )
    if answer.change is not None:
        found.append(
            f"The machine changed in mid-run: a's CPU per call was {answer.change:.2f} times as much in the second "
            "half. Ratios are taken within trials, so they stay; they may hold for neither state alone."
        )
    if (looks := answer.plan.stop.looks) > 1:
        found.append(
            f"The run was extended, and its answer may have been looked at before: the interval is that of "
            f"{100 - 5 / looks:g} %, corrected for {looks} looks."
        )
    if answer.steadiness and answer.steadiness.spread > SPREAD_CHANGED:
        found.append(
            f"Blocks after the first {FIRST_STAGE} lie {answer.steadiness.spread:.1f} times as far apart as those; the "
            "interval is widened for it."
        )
    if answer.steadiness and CORRELATED < answer.steadiness.correlation <= TOO_CORRELATED:
        found.append(
            f"Neighbouring blocks are alike (correlation {answer.steadiness.correlation:.2f}); the interval is widened "
            "for it."
        )
    return [*found, LOADS[answer.plan.paired]]


def _flagged(one: Flagged) -> str:
    which = "; ".join(f"{role}: block {', '.join(map(str, blocks))}" for role, blocks in one.blocks.items())
    return flagged(one.flag, one.trials, one.of, which)


def flagged(flag: Flag, trials: int, of: int, which: str) -> str:
    """Return what a flag limits, and in how many trials."""
    return f"{flag.sentence} in {trials} of {of} trials ({which})."


def detectable(result: Ratio | None) -> str:
    """Return what a ratio's run could have seen, to be put behind something."""
    if result is None or result.detectable_pct is None:
        return ""
    return f"; a difference of {result.detectable_pct:.1f} % would be found 4 times out of 5"
