"""What the notebooks of a sweep and of a comparison say, as Markdown, and the published study's form of table."""

from collections.abc import Callable, Iterator

import pandas as pd

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer
from perfkit.analysis.robust import Robustness
from perfkit.analysis.statistics import FEW_BLOCKS
from perfkit.design.engines import PATTERNS
from perfkit.design.plan import HANDICAP, SMALL_HANDICAP, SOLO
from perfkit.record.environment import Environment
from perfkit.record.validity import FLAGS
from perfkit.show import robust as together
from perfkit.show import words

ABSENT = "-"

METRIC_NAMES = {
    "cpu_per_call": "CPU per call",
    HANDICAP: "CPU per call, `a` with the burn against `a` without",
    SMALL_HANDICAP: "CPU per call, `a` with the smaller burn against `a` without",
}

CONTROL_NAMES = {
    "aa": "The A/A control",
    HANDICAP: "The handicap control",
    SMALL_HANDICAP: "The control with a smaller handicap",
}

BUSY_LOAD = 0.5
"""Runnable processes a core, before the run began, from which on the machine was not idle."""

FEW_IN_FLIGHT = 0.8
"""Calls in flight per VU under which the VUs did not load the server as their number says."""


class Markdown(str):
    """Text that a notebook renders."""

    def _repr_markdown_(self) -> str:
        return str(self)


def sweep(table: pd.DataFrame, environment: Environment) -> Markdown:
    """Return a sweep's caveats and, last, its answer in words."""
    caveats = "\n".join(f"- {caveat}" for caveat in _sweep_caveats(table, environment))
    cpu, throughput = words.headline(table, "cpu_per_call_us"), words.headline(table)
    return Markdown(
        f"**What it can't say**\n\n{caveats}\n\n**What it says.** {throughput}\n\n**The answer.** **{cpu}**"
    )


def _sweep_caveats(table: pd.DataFrame, environment: Environment) -> Iterator[str]:
    """Give what limits a sweep."""
    valid = table[table["valid"]]
    blocks = valid["block"].nunique()
    if blocks < FEW_BLOCKS:
        yield f"{blocks} blocks are few: under {FEW_BLOCKS}, an interval is mostly error bar."
    if (unfinished := int((~table["complete"]).sum())) > 0:
        yield f"{unfinished} trials are left out: their blocks were not finished and, if continued, done anew."
    names = words.labels(table)
    for flag in FLAGS:
        flagged = table[table["flags"].str.contains(flag.name) & table["complete"]]
        if len(flagged):
            which = sorted(set(zip(flagged["vus"], flagged["arm"].map(names), strict=True)))
            listed = ", ".join(f"{arm} at {vus} VUs" for vus, arm in which)
            yield words.flagged(flag, len(flagged), len(table), listed)
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


def verdict(answer: Answer) -> Markdown:
    """Return the verdict of a comparison, large, and beneath it what it rests on."""
    beneath = [f"{answer.blocks} blocks, {answer.seconds:.0f} s of trials{words.detectable(answer.cpu_per_call)}."]
    if answer.cpu_per_call and answer.is_reached:
        capacity_pct = (1 / answer.cpu_per_call.ratio - 1) * 100
        beneath.append(f"The same as capacity, calls per CPU second: {capacity_pct:+.1f} %.")
    if answer.throughput:
        beneath.append(f"Throughput, of each server's own turns: {words.percent(answer.throughput)}.")
    if "cpu_per_call" in answer.solo and answer.plan.paired != SOLO:
        beneath.append(f"In solo trials of the same blocks: {words.percent(answer.solo['cpu_per_call'])} CPU per call.")
    a, b = comparison.names(answer.plan)
    dearer = {comparison.A_DEARER: f"{a} is the dearer", comparison.B_DEARER: f"{b} is the dearer"}
    large = dearer.get(answer.verdict, answer.verdict.capitalize())
    return Markdown(f"# {large}\n\n## {words.sentence(answer)}\n\n{' '.join(beneath)}")


def robust(robustness: Robustness) -> Markdown:
    """Return what a comparison says under several loads: one sentence, large, and a row for each."""
    return Markdown(together.table(robustness))


def solo(answer: Answer) -> Markdown:
    """Return what the solo trials of a comparison say, each metric with what they could have seen."""
    loads = answer.plan.loads(SOLO)
    if not loads:
        return Markdown("No solo trials were asked for (`solo=True`): nothing is said on throughput and latency.")
    load = "in a closed loop" if loads[0].rate is None else f"offered {loads[0].rate} calls/s"
    a, b = comparison.names(answer.plan)
    lines = [
        f"- {METRIC_NAMES.get(name, name)}: {words.percent(result)}{words.detectable(result)}."
        for name, result in answer.solo.items()
    ]
    return Markdown("\n".join([f"{b} against {a}, one server at a time, {load}:", "", *(lines or ["- no verdict"])]))


def controls(answer: Answer) -> Markdown:
    """Return what the controls of a comparison showed, and its caveats."""
    checks = [
        f"- **{CONTROL_NAMES[name]} {'passed' if one.ok else 'failed'}:** {words.control_sentence(one)}."
        for name, one in answer.controls.items()
    ]
    return Markdown("\n".join([*checks, *(f"- {caveat}" for caveat in words.caveats(answer))]))


def study_tables(table: pd.DataFrame) -> Markdown:
    """Return one table a level in the form of the published study: the mean over blocks of each statistic."""
    names = words.labels(table)
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
        amount = trials[column].astype(float).mean()
        if pd.isna(amount):  # no trial, or a generator that does not say
            return ABSENT
        return f"{_bytes(amount)} ({_bytes(amount / trials['duration_s'].iloc[0])}/s)"

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
