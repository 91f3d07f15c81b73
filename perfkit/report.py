"""What a run says in words and in the published study's tables, computed from the tidy table."""

from collections.abc import Callable, Iterator

import pandas as pd

from perfkit import comparison, statistics
from perfkit.arms import PATTERNS
from perfkit.comparison import Answer
from perfkit.environment import Environment
from perfkit.results import INVALIDATING
from perfkit.statistics import Ratio, percent

ABSENT = "-"

BUSY_LOAD = 0.5
"""Runnable processes a core, before the run began, from which on the machine was not idle."""

FEW_IN_FLIGHT = 0.8
"""Calls in flight per VU under which the VUs did not load the server as their number says."""


SOLO_NAMES = {"cpu_per_call": "CPU per call", "handicap": "CPU per call, `a` with the burn against `a` without"}

CONTROL_NAMES = {"aa": "The A/A control", "handicap": "The handicap control"}


class Markdown(str):
    """Text that a notebook renders."""

    def _repr_markdown_(self) -> str:
        return str(self)


def labels(table: pd.DataFrame) -> dict[str, str]:
    """Return arm → what to call it: the pattern alone where that tells the arms apart."""
    arms = table[["arm", "pattern"]].drop_duplicates().sort_values("arm")
    unique = arms["pattern"].is_unique
    return {arm: pattern if unique else arm for arm, pattern in arms.itertuples(index=False)}


def headline(table: pd.DataFrame, metric: str = "throughput_rps") -> str:
    """Return the run's answer on one metric as one sentence, without mark-up."""
    return " ".join(_sentences(table, metric))


def answer(table: pd.DataFrame, environment: Environment) -> Markdown:
    """Return the caveats and, last, the answer in words."""
    caveats = "\n".join(f"- {caveat}" for caveat in _caveats(table, environment))
    cpu, throughput = headline(table, "cpu_per_call_us"), headline(table)
    return Markdown(
        f"**What it can't say**\n\n{caveats}\n\n**What it says.** {throughput}\n\n**The answer.** **{cpu}**"
    )


def verdict(answer: Answer) -> Markdown:
    """Return the verdict of a comparison, large, and beneath it what it rests on."""
    beneath = [f"{answer.blocks} blocks, {answer.seconds:.0f} s of trials{_could_see(answer.cpu_per_call)}."]
    if answer.cpu_per_call and answer.is_reached:
        capacity_pct = (1 / answer.cpu_per_call.ratio - 1) * 100
        beneath.append(f"The same as capacity, calls per CPU second: {capacity_pct:+.1f} %.")
    if "cpu_per_call" in answer.solo:
        beneath.append(f"Beside it, solo trials: {percent(answer.solo['cpu_per_call'])} CPU per call.")
    a, b = comparison.names(answer.plan)
    said = {comparison.A_DEARER: f"{a} is the dearer", comparison.B_DEARER: f"{b} is the dearer"}
    large = said.get(answer.verdict, answer.verdict.capitalize())
    return Markdown(f"# {large}\n\n## {answer.sentence}\n\n{' '.join(beneath)}")


def solo(answer: Answer) -> Markdown:
    """Return what the solo trials of a comparison say, each metric with what they could have seen."""
    if not answer.plan.solo:
        return Markdown("No solo trials were asked for (`solo=True`): nothing is said on throughput and latency.")
    load = "in a closed loop" if answer.plan.rate is None else f"offered {answer.plan.rate} calls/s"
    a, b = comparison.names(answer.plan)
    said = [
        f"- {SOLO_NAMES.get(name, name)}: {percent(found)}{_could_see(found)}." for name, found in answer.solo.items()
    ]
    return Markdown("\n".join([f"{b} against {a}, one server at a time, {load}:", "", *(said or ["- no verdict"])]))


def _could_see(found: Ratio | None) -> str:
    if found is None or found.detectable_pct is None:
        return ""
    return f"; a difference of {found.detectable_pct:.1f} % would be found 4 times out of 5"


def controls(answer: Answer) -> Markdown:
    """Return what the controls of a comparison showed, and its caveats."""
    checks = [
        f"- **{CONTROL_NAMES[name]} {'passed' if one.ok else 'failed'}:** {one.told}."
        for name, one in answer.controls.items()
    ]
    return Markdown("\n".join([*checks, *(f"- {caveat}" for caveat in answer.caveats)]))


def study_tables(table: pd.DataFrame) -> Markdown:
    """Return one table a level in the form of the published study: the mean over blocks of each statistic."""
    names = labels(table)
    # The study has inputQ first.
    arms = sorted(names, key=lambda arm: (-PATTERNS.index(arm.partition("/")[2].partition("?")[0]), arm))
    heads = [f"{names[arm][0].upper()}{names[arm][1:]} pattern" for arm in arms]
    valid = table[table["valid"]]
    parts = []
    for vus, level in valid.groupby("vus"):
        lines = [f"| Parameters ({vus} VUs) | " + " | ".join(heads) + " |", "|---" * (len(arms) + 1) + "|"]
        for name, cell in STUDY_ROWS.items():
            cells = (cell(level[level["arm"] == arm]) for arm in arms)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return Markdown("\n\n".join(parts) or "No valid trial.")


def _amount(column: str) -> Callable[[pd.DataFrame], str]:
    def cell(trials: pd.DataFrame) -> str:
        amount = trials[column].mean()
        return f"{_bytes(amount)} ({_bytes(amount / trials['duration_s'].iloc[0])}/s)" if len(trials) else ABSENT

    return cell


def _durations(prefix: str, percentile: str) -> Callable[[pd.DataFrame], str]:
    """Avg and percentiles are means over blocks; min and max are the extremes of all."""
    columns = {"avg": f"{prefix}avg_ms", "min": f"{prefix}min_ms", "med": f"{percentile}p50_ms"}
    columns |= {"max": f"{prefix}max_ms", "p(90)": f"{percentile}p90_ms", "p(95)": f"{percentile}p95_ms"}

    def cell(trials: pd.DataFrame) -> str:
        taken = {
            stat: getattr(trials[column].astype(float), stat if stat in ("min", "max") else "mean")()
            for stat, column in columns.items()
        }
        return ", ".join(f"{stat}={_ms(value)}" for stat, value in taken.items())

    return cell


def _iterations(trials: pd.DataFrame) -> str:
    count = trials["iterations"].mean()
    return f"{count:,.0f} ({count / trials['duration_s'].iloc[0]:,.1f}/s)" if len(trials) else ABSENT


STUDY_ROWS: dict[str, Callable[[pd.DataFrame], str]] = {
    "data_received": _amount("data_received_bytes"),
    "data_sent": _amount("data_sent_bytes"),
    "grpc_req_duration": _durations("latency_", ""),
    "iteration_duration": _durations("iteration_", "iteration_"),
    "iterations": _iterations,
}


def _ms(value: float) -> str:
    return ABSENT if pd.isna(value) else f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def _bytes(amount: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.0f} B"


WORDS = {
    "throughput_rps": ("throughput", "more calls per second", "fewer calls per second", "serves"),
    "cpu_per_call_us": ("CPU per call", "more CPU per call", "less CPU per call", "costs"),
}
"""metric → its name, what more of it is, what less of it is, and what an arm does with it"""


def _sentences(table: pd.DataFrame, metric: str) -> Iterator[str]:
    names = labels(table)
    against = statistics.baseline(table)
    levels = statistics.usable_levels(table, metric)
    name = WORDS[metric][0]
    if not levels:
        yield f"No verdict on {name}: at every level, trials were invalid or k6 was the limit instead of the server."
    elif len(names) == 1:
        yield f"One arm alone ({names[against]}) gives no comparison of {name}."
    else:
        for arm in names:
            if arm != against:
                yield _sentence(statistics.ratio(table, metric, arm, against, levels), names)


def _sentence(found: Ratio, names: dict[str, str]) -> str:
    name, more, less, does = WORDS[found.metric]
    who, whom = names[found.arm], names[found.baseline]
    where = f"at {_listed(found.levels)} VUs" + (" together" if len(found.levels) > 1 else "")
    change = (found.ratio - 1) * 100
    if found.low is None or found.high is None:
        return (
            f"Not known yet: {who} measured {found.ratio:.3f} times the {name} of {whom} {where}, "
            "but one block gives no interval; run at least 5 (repeats=5)."
        )
    interval = f"95 % interval {(found.low - 1) * 100:+.1f} % to {(found.high - 1) * 100:+.1f} %, {found.blocks} blocks"
    if found.differs:
        return f"{who} {does} {abs(change):.1f} % {more if change > 0 else less} than {whom} ({interval}, {where})."
    return (
        f"Not known yet whether {who} and {whom} differ in {name}: {change:+.1f} % ({interval}, {where}); "
        f"this run could have seen a difference of {found.detectable_pct:.1f} % four times out of five."
    )


def _listed(levels: tuple[int, ...]) -> str:
    *rest, last = map(str, levels)
    return f"{', '.join(rest)} and {last}" if rest else last


def _caveats(table: pd.DataFrame, environment: Environment) -> Iterator[str]:
    valid = table[table["valid"]]
    blocks = valid["block"].nunique()
    if blocks < statistics.FEW_BLOCKS:
        yield f"{blocks} blocks are few: under {statistics.FEW_BLOCKS}, an interval is mostly error bar."
    if (unfinished := int((~table["complete"]).sum())) > 0:
        yield f"{unfinished} trials are left out: their blocks were not finished and, if continued, done anew."
    names = labels(table)
    for flag, what in FLAG_WORDS.items():
        flagged = table[table["flags"].str.contains(flag) & table["complete"]]
        if len(flagged):
            which = sorted(set(zip(flagged["vus"], flagged["arm"].map(names), strict=True)))
            listed = ", ".join(f"{arm} at {vus} VUs" for vus, arm in which)
            drop = " Nothing of them counts." if flag in INVALIDATING else ""
            yield f"{what} in {len(flagged)} of {len(table)} trials ({listed}).{drop}"
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


FLAG_WORDS = {
    "lost update": "The counter's final value contradicts what was acknowledged",
    "failures": "Calls failed",
    "cut off": "Calls never ended",
    "paused": "The run stood still inside the window, or the clock was set,",
    "generator limited": (
        "k6 used more than 90 % of its cores, so throughput and latency there are k6's and give no verdict:"
    ),
    "dropped iterations": "k6 had no free VU for some of the offered calls, so latency there is of fewer calls,",
    "warm-up too short": "Connections were still being made inside the window",
}
