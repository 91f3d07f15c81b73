"""What runs say in sentences: ratios, verdicts, controls, and what limits them. Plain text, without mark-up."""

from collections.abc import Iterator, Sequence

import pandas as pd

from perfkit.analysis import comparison, contrast, verdict
from perfkit.analysis.comparison import Answer, Flagged
from perfkit.analysis.controls import AA_BAND_PCT, BURN_COST_US, MOST_COST, SOLO_BAND, Control
from perfkit.analysis.statistics import FEW_BLOCKS, Ratio
from perfkit.design.factors import FACTORS
from perfkit.design.plan import JOINT, SOLO, TURNS
from perfkit.record.environment import Environment
from perfkit.record.validity import FLAGS

BUSY_LOAD = 0.5
"""Runnable processes a core, before the run began, from which on the machine was not idle."""

FEW_IN_FLIGHT = 0.8
"""Calls in flight per VU under which the VUs did not load the server as their number says."""

METRIC_WORDS = {
    "throughput_rps": ("throughput", "more calls per second", "fewer calls per second", "serves"),
    "cpu_per_call_us": ("CPU per call", "more CPU per call", "less CPU per call", "costs"),
}
"""metric → its name, what more of it is, what less of it is, and what an arm does with it"""

SAME_MEASUREMENT = "Capacity, its inverse, and throughput at {} are the same measurement, not further evidence."

LOADS = {
    JOINT: "CPU per call holds for this load: servers that share a core, each with a backlog. "
    + SAME_MEASUREMENT.format("equal shares"),
    TURNS: "CPU per call holds for servers that have the core to themselves, a turn at a time, and begin each with "
    "what was ready. " + SAME_MEASUREMENT.format("saturation"),
    SOLO: "CPU per call is of one server after the other on a machine that drifts. "
    + SAME_MEASUREMENT.format("saturation"),
}
"""method → what the answer of all comparisons by it holds for"""

WAYS = {JOINT: "all at once on one core", TURNS: "by turns", SOLO: "one at a time"}
"""method → how servers were measured, in a sentence"""


def labels(table: pd.DataFrame) -> dict[str, str]:
    """Return arm → what to call it: the pattern alone where that tells the arms apart."""
    arms = table[["arm", "pattern"]].drop_duplicates().sort_values("arm")
    unique = arms["pattern"].is_unique
    return {arm: pattern if unique else arm for arm, pattern in arms.itertuples(index=False)}


def percent(result: Ratio) -> str:
    """Return the difference from the baseline and its interval."""
    return f"{(result.ratio - 1) * 100:+.1f} % ({interval(result)})"


def interval(result: Ratio) -> str:
    """Return the interval of a difference from the baseline."""
    low, high = result.interval
    return f"95 % interval {(low - 1) * 100:+.1f} % to {(high - 1) * 100:+.1f} %"


def times(result: Ratio) -> str:
    """Return a ratio with its interval."""
    low, high = result.interval
    return f"{result.ratio:.3f} ({low:.3f} to {high:.3f})"


def headline(table: pd.DataFrame, metric: str = "throughput_rps") -> str:
    """Return a sweep's answer on one metric: a sentence for each arm but the baseline."""
    return " ".join(_sentences(table, metric))


def _sentences(table: pd.DataFrame, metric: str) -> Iterator[str]:
    names = labels(table)
    against = contrast.baseline(table)
    levels = contrast.usable_levels(table, metric)
    name = METRIC_WORDS[metric][0]
    if not levels:
        yield f"No verdict on {name}: at every level, trials were invalid or k6 was the limit instead of the server."
    elif len(names) == 1:
        yield f"One arm alone ({names[against]}) gives no comparison of {name}."
    else:
        for arm in names:
            if arm != against:
                yield _ratio_sentence(contrast.contrast(table, metric, arm, against, levels), names)


def _ratio_sentence(result: Ratio, names: dict[str, str]) -> str:
    name, more, less, does = METRIC_WORDS[result.metric]
    arm, baseline = names[result.arm], names[result.baseline]
    where = f"at {_listed(result.levels)} {FACTORS[result.factor].unit}" + (
        " together" if len(result.levels) > 1 else ""
    )
    change = (result.ratio - 1) * 100
    if result.low is None:
        return (
            f"Not known yet: {arm} measured {result.ratio:.3f} times the {name} of {baseline} {where}, "
            "but one block gives no interval; run at least 5 (repeats=5)."
        )
    rests_on = f"{interval(result)}, {result.blocks} blocks"
    if verdict.judge(result, margin_pct=0) == verdict.NOT_KNOWN:
        return (
            f"Not known yet whether {arm} and {baseline} differ in {name}: {change:+.1f} % ({rests_on}, {where}); "
            f"this run could have seen a difference of {result.detectable_pct:.1f} % four times out of five."
        )
    return f"{arm} {does} {abs(change):.1f} % {more if change > 0 else less} than {baseline} ({rests_on}, {where})."


def _listed(levels: Sequence[int]) -> str:
    *rest, last = map(str, levels)
    return f"{', '.join(rest)} and {last}" if rest else last


def sweep_caveats(table: pd.DataFrame, environment: Environment) -> Iterator[str]:
    """Give what limits a sweep."""
    valid = table[table["valid"]]
    blocks = valid["block"].nunique()
    if blocks < FEW_BLOCKS:
        yield f"{blocks} blocks are few: under {FEW_BLOCKS}, an interval is mostly error bar."
    if (unfinished := int((~table["complete"]).sum())) > 0:
        yield f"{unfinished} trials are left out: their blocks were not finished and, if continued, done anew."
    names = labels(table)
    for flag in FLAGS:
        flagged = table[table["flags"].str.contains(flag.name) & table["complete"]]
        if len(flagged):
            which = sorted(set(zip(flagged["vus"], flagged["arm"].map(names), strict=True)))
            listed = ", ".join(f"{arm} at {vus} VUs" for vus, arm in which)
            yield f"{flag.sentence} in {len(flagged)} of {len(table)} trials ({listed})."
    closed = valid[valid["rate"].isna()]
    idle = closed[closed["in_flight"] < FEW_IN_FLIGHT * closed["vus"]]
    for vus, level in idle.groupby("vus"):
        yield (
            f"At {vus} VUs only {level['in_flight'].mean():.0f} calls were in flight (Little's law): "
            "the rest of the VUs waited elsewhere."
        )
    if (valid["server_cpus"] == "").any():
        yield "Server and k6 were not pinned to cores of their own, so they took time from each other."
    if environment.load_1m > BUSY_LOAD * environment.cores:
        yield f"The machine was not idle before the run: load {environment.load_1m:.1f} on {environment.cores} cores."
    yield (
        "Throughput and CPU per call are solo trials in turn on a machine that drifts: "
        "differences smaller than the intervals are not shown to be absent."
    )
    if environment.gil:
        yield (
            "On one core, with Python's global lock and no work inside the critical section, the counter's own lock is "
            "hardly ever contended: what is compared is the price of the way through the queue."
        )


def sentence(answer: Answer) -> str:
    """Return what a comparison says, in one sentence."""
    plan, result = answer.plan, answer.cpu_per_call
    if result is None:
        trials = f"{answer.paired_trials} {plan.paired} trials"
        return f"The instrument is not trusted here: of {trials}, {answer.blocks} count."
    a, b = comparison.names(plan)
    size = f"{percent(result)} at {plan.vus} VUs an arm, {WAYS[plan.paired]}, {result.blocks} blocks"
    margin = f"{plan.margin_pct:g} % in CPU per call"
    if answer.contradicts:
        return (
            f"The instruments contradict each other, so neither is trusted: {b} against {a} costs {size}, and in solo "
            f"trials of the same blocks {percent(answer.contradicts)} CPU per call."
        )
    if answer.verdict == comparison.NOT_TRUSTED:
        failed = "; ".join(control_sentence(one) for one in answer.controls.values() if not one.ok)
        return f"The instrument is not trusted here: {failed}."
    if answer.verdict == comparison.NOT_KNOWN:
        return (
            f"Not known yet whether {b} and {a} differ by more than {margin}: {size}. "
            f"About {comparison.seconds_to_go(answer):.0f} s more should tell."
        )
    if answer.verdict == comparison.NO_RELEVANT:
        low, high = result.interval
        sign = "" if low <= 1 <= high else f", and {b} is the {'dearer' if result.ratio > 1 else 'cheaper'}"
        return f"{b} and {a} differ by less than {margin}{sign}: {size}."
    return f"{b} costs {'more' if result.ratio > 1 else 'less'} CPU per call than {a}: {size}."


def control_sentence(control: Control) -> str:
    """Return what a control was expected to show, what it showed, and what it could have missed."""
    result = control.result
    if control.burn_us is None or control.cost_us is None:
        return (
            f"the same arm again costs {percent(result)}; wanted: an interval that comes within ±{AA_BAND_PCT:g} % of "
            f"none. A bias of up to {AA_BAND_PCT + result.half_width_pct:.1f} % could pass"
        )
    text = (
        f"{control.burn_us:g} µs burned in each call cost {percent(result)}, {control.cost_us:.1f} µs; "
        f"wanted: detected, not less than was burned, not more than {MOST_COST:g} times that and {BURN_COST_US:g} µs"
    )
    if control.solo is None or control.apart is None:
        return text
    return (
        f"{text}; in solo trials it cost {percent(control.solo)}; wanted: an effect that may be within "
        f"{SOLO_BAND * 100:.0f} % of that. The two are {percent(control.apart)} apart"
    )


def caveats(answer: Answer) -> list[str]:
    """Return what limits a comparison, that of all comparisons last."""
    listed = [_flagged(one) for one in answer.flagged]
    if answer.solo_is_void:
        listed.append("No verdict on throughput or latency: k6 was the limit in solo trials, or some do not count.")
    if answer.change is not None:
        listed.append(
            f"The machine changed in mid-run: a's CPU per call was {answer.change:.2f} times as much in the second "
            "half. Ratios are taken within trials, so they stay; they may hold for neither state alone."
        )
    if answer.backlog_share is not None and answer.backlog_share > comparison.MOST_BACKLOG:
        listed.append(
            f"{answer.backlog_share * 100:.0f} % of the calls of a turn were ready when it began, so throughput by "
            "turns gives no verdict, and a call may cost otherwise than it does alone; compare by solo trials, or by "
            "longer turns."
        )
    return [*listed, LOADS[answer.plan.paired]]


def _flagged(one: Flagged) -> str:
    (text,) = (flag.sentence for flag in FLAGS if flag.name == one.flag)
    which = "; ".join(f"{role}: block {', '.join(map(str, blocks))}" for role, blocks in one.blocks.items())
    return f"{text} in {one.trials} of {one.of} trials ({which})."


def detectable(result: Ratio | None) -> str:
    """Return what a ratio's run could have seen, to be put behind something."""
    if result is None or result.detectable_pct is None:
        return ""
    return f"; a difference of {result.detectable_pct:.1f} % would be found 4 times out of 5"
