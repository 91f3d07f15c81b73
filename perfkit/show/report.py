"""What the notebooks of a sweep and of a comparison say, as Markdown, and the published study's form of table."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer
from perfkit.analysis.robust import Robustness
from perfkit.analysis.statistics import FEW_BLOCKS
from perfkit.design.engines import PATTERNS
from perfkit.design.plan import HANDICAP, JOINT, SMALL_HANDICAP, SOLO
from perfkit.record.environment import Environment
from perfkit.record.load import load, load_plan
from perfkit.record.validity import FLAGS
from perfkit.show import levels, words
from perfkit.show import robust as together

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


class Place:
    """A place in a notebook that is shown now and filled later, wherever the cell is that fills it."""

    def __init__(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - a shell's command needs none

        empty = (Markdown("*The answer stands here when the run has ended.*"), Markdown(""))
        self._handles = [display(one, display_id=True) for one in empty]  # type: ignore[no-untyped-call]

    def fill(self, text: Markdown, figure: object) -> None:
        """Show a text and a figure there."""
        for handle, content in zip(self._handles, (text, figure), strict=True):
            if handle is not None:  # outside a notebook there is none
                handle.update(content)


def sweep(table: pd.DataFrame, environment: Environment) -> Markdown:
    """Return a sweep's answer in words, where it was measured, and what limits it."""
    caveats = "\n".join(f"- {caveat}" for caveat in _sweep_caveats(table, environment))
    cpu, throughput = words.headline(table, "cpu_per_call_us"), words.headline(table)
    every = levels.judged(table)
    turning, each = levels.turning(table, every), "\n".join(levels.table_lines(table, every)) if every else ""
    answer = f"**{turning}** Over all levels: {cpu}" if turning else f"**{cpu}**"
    return Markdown(
        f"**The answer.** {answer} {throughput}\n\n{each}\n\n{_where(environment)}\n\n"
        f"**What it can't say**\n\n{caveats}"
    )


def joint(folder: str | Path) -> Markdown:
    """Return what the joint trials of a sweep are, and what their controls showed at each level."""
    lines = "\n".join(levels.joint_lines(load_plan(folder), load(folder, JOINT)))
    return Markdown(
        "## Both at once\n\nJoint trials see the same noise at the same moment, and carry their controls: `a` again, "
        f"which must cost the same, and `a` with a known burn, which must be found.\n\n{lines}"
    )


def _where(environment: Environment) -> str:
    """Return the line that says where a run was measured."""
    generators = f"k6 {environment.k6}" + (f", h2load {environment.h2load}" if environment.h2load else "")
    return (
        f"*{environment.cpu_model}, {environment.cores} cores, {environment.python}, {generators}; load "
        f"{environment.load_1m:.1f} before the run.*"
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
    head = f"## Solo trials of the same blocks\n\n{b} against {a}, one server at a time, {load}:"
    return Markdown("\n".join([head, "", *(lines or ["- no verdict"])]))


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
