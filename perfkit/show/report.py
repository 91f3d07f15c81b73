"""What the notebooks of a sweep and of a comparison say, as Markdown."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from perfkit.analysis.comparison import A_DEARER, B_DEARER, Answer
from perfkit.analysis.comparison import names as arm_names
from perfkit.analysis.levels import CPU, THROUGHPUT, SweepAnswer
from perfkit.analysis.several.robust import Robustness
from perfkit.analysis.statistics import FEW_BLOCKS
from perfkit.design.arms import RUNNING
from perfkit.design.factors import FACTORS
from perfkit.design.plan import HANDICAP, SMALL_HANDICAP, SOLO
from perfkit.record.environment import Environment
from perfkit.record.load import load_environment
from perfkit.record.validity import FLAGS, INVALIDATING
from perfkit.show import levels, words
from perfkit.show.curves import offered
from perfkit.show.several import robust as together
from perfkit.studies import compare as studies_compare
from perfkit.studies import sweep as studies_sweep

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


def sweep(folder: str | Path) -> Markdown:
    """Return what the sweep in this folder says."""
    return Markdown("\n\n".join(sweep_parts(folder)))


def sweep_parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return what the sweep in this folder says, and what it rests on."""
    return of_sweep(studies_sweep.answer(folder), load_environment(folder))


def of_sweep(answer: SweepAnswer, environment: Environment) -> tuple[Markdown, Markdown]:
    """Return a sweep's answer in words, each sentence followed by what limits it; and what that rests on."""
    limits: dict[str, list[str]] = {CPU: [], THROUGHPUT: []}
    for metric, caveat in _sweep_caveats(answer, environment):
        limits[metric].append(caveat)
    cost = f"**{levels.sentence(answer)}**"
    if answer.plan.factor == "rate":
        head = [f"**The answer.** **{offered.sentence(answer)}**", _listed(limits[THROUGHPUT])]
        head += [cost, _listed(limits[CPU])]
    else:
        head = [f"**The answer.** {cost}", _listed(limits[CPU])]
        head += [levels.sentence(answer, THROUGHPUT) if answer.is_trusted else "", _listed(limits[THROUGHPUT])]
    table = "\n".join(levels.table_lines(answer)) if answer.over else ""
    does_nothing = not any(arm.waits or arm.work_us for arm in answer.plan.arms)
    general = [words.LOADS[answer.method], *([words.HARDLY_CONTENDED] if environment.gil and does_nothing else [])]
    rest = [table, "\n".join(levels.control_lines(answer)), " ".join(general), _spent(answer)]
    return _text([*head, where(environment)]), _text(rest)


def comparison_parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return a comparison's verdict, under one load or several, and where it was measured; and what limits it."""
    found = studies_compare.robustness(folder)
    first = found.answers[0]
    head = robust(found) if len(found.answers) > 1 else verdict(first)
    return _text([head, where(load_environment(folder))]), Markdown(_listed(words.caveats(first)))


def _text(parts: Iterable[str]) -> Markdown:
    return Markdown("\n\n".join(part for part in parts if part))


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def where(environment: Environment) -> str:
    """Return the line that says where a run was measured."""
    generators = f"k6 {environment.k6}" + (f", h2load {environment.h2load}" if environment.h2load else "")
    apart, commit = "", f"; commit {environment.git_commit}" if environment.git_commit else ""
    if environment.hosts:
        loading = "; ".join(f"{one.host} ({one.cpu_model}, {one.cores} cores)" for one in environment.hosts)
        apart = f" Servers on {environment.host}, load from {loading}."
    return (
        f"*{environment.cpu_model}, {environment.cores} cores, {environment.python}, {generators}; load "
        f"{environment.load_1m:.1f} before the run{commit}.{apart}*"
    )


def flag_lines(table: pd.DataFrame, which: str) -> Iterator[str]:
    """Give what flags limit the trials of a table, a line a flag, the worst first."""
    flags = table["flags"].str.split("; ").explode()
    for flag in FLAGS:
        if flagged := int((flags == flag.name).sum()):
            left_out = " They are left out." if flag.name in INVALIDATING else ""
            yield f"- {words.flagged(flag, flagged, len(table), which)}{left_out}"


def _spent(answer: SweepAnswer) -> str:
    """Return what was spent on what."""
    apart = ["block", "attempt", "vus", "rate", "arm" if answer.method == SOLO else "method"]
    several = answer.trials.drop_duplicates(apart)
    parts = [f"{len(several)} trials {words.WAYS[answer.method]} in {several['took_s'].sum():.0f} s"]
    if answer.method != SOLO and len(answer.solo):
        blocks, seconds = answer.solo["block"].nunique(), answer.solo["took_s"].sum()
        parts.append(f"for latency {len(answer.solo)} trials {words.WAYS[SOLO]}, {blocks} blocks, in {seconds:.0f} s")
    return f"{'; '.join(parts)}."


def _sweep_caveats(answer: SweepAnswer, environment: Environment) -> Iterator[tuple[str, str]]:
    """Give what limits a sweep: the metric whose sentence it limits, and how."""
    table = answer.trials
    valid = table[table["valid"]]
    blocks = valid["block"].nunique()
    if blocks < FEW_BLOCKS:
        yield CPU, f"{blocks} blocks are few: under {FEW_BLOCKS}, an interval is mostly error bar."
    if (unfinished := int((~table["complete"]).sum())) > 0:
        yield CPU, f"{unfinished} trials are left out: their blocks were not finished and, if continued, done anew."
    names, unit = words.labels(table), FACTORS[answer.plan.factor].unit
    for flag in FLAGS:
        flagged = table[table["flags"].str.contains(flag.name) & table["complete"]]
        if len(flagged):
            by_arm = flagged.groupby(flagged["arm"].map(names))
            levels_of = {arm: sorted(set(some[answer.plan.factor].astype(int))) for arm, some in by_arm}
            everybody = list(levels_of.values()) == [next(iter(levels_of.values()))] * len(names)
            which = {"all": next(iter(levels_of.values()))} if everybody and len(names) > 1 else levels_of
            listed = "; ".join(f"{arm} at {words.listed(some)} {unit}" for arm, some in which.items())
            metric = THROUGHPUT if THROUGHPUT in flag.voids else CPU
            yield metric, words.flagged(flag, len(flagged), len(table), listed)
    counted = answer.solo[answer.solo["valid"] & answer.solo["rate"].isna()]
    idle = counted[counted["in_flight"] < FEW_IN_FLIGHT * counted["vus"]]
    for vus, level in idle.groupby("vus"):
        few = f"only {level['in_flight'].mean():.0f} calls were in flight (Little's law)"
        yield THROUGHPUT, f"At {vus} VUs {few}: the rest of the VUs waited elsewhere."
    for arm, waited in valid[valid["hold_us"] > 0].groupby("arm"):
        asked_us, really_us = waited["hold_us"].iloc[0], waited["held_us"].mean()
        yield CPU, f"A wait of {asked_us} µs was asked for of {names[str(arm)]}; it was really {really_us:.0f} µs long."
    if ((valid["server_cpu_list"] == "") & ~valid["arm"].str.startswith(f"{RUNNING}:")).any():
        yield CPU, "Server and k6 were not pinned to cores of their own, so they took time from each other."
    if environment.load_1m > BUSY_LOAD * environment.cores:
        yield (
            CPU,
            f"The machine was not idle before the run: load {environment.load_1m:.1f} on {environment.cores} cores.",
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
    a, b = arm_names(answer.plan)
    dearer = {A_DEARER: f"{a} is the dearer", B_DEARER: f"{b} is the dearer"}
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
    a, b = arm_names(answer.plan)
    lines = [
        f"- {METRIC_NAMES.get(name, name)}: {words.percent(result)}{words.detectable(result)}."
        for name, result in answer.solo.items()
    ]
    head = f"## Solo trials of the same blocks\n\n{b} against {a}, one server at a time, {load}:"
    return Markdown("\n".join([head, "", *(lines or ["- no verdict"])]))


def controls(answer: Answer) -> Markdown:
    """Return what the controls of a comparison showed."""
    return Markdown(
        _listed(
            f"{CONTROL_NAMES[name]} {words.control_verdict(one)}: {words.control_sentence(one)}."
            for name, one in answer.controls.items()
        )
        or "No control: under two paired trials count."
    )
