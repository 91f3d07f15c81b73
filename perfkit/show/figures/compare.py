"""A comparison → matplotlib figures: the verdict first, every block a dot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from perfkit.analysis import comparison, controls
from perfkit.analysis.comparison import Answer
from perfkit.analysis.statistics import Ratio
from perfkit.analysis.stopping import FEWEST_BLOCKS
from perfkit.analysis.verdict import band
from perfkit.design.arms import Arm
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.plan import AA, JOINT, SOLO, TURNS, A, B, Plan
from perfkit.record.validity import EQUAL_SHARES, GENERATOR_LIMIT
from perfkit.show import words
from perfkit.show.figures.kit import (
    CONTROL_STYLES,
    MORE_STYLES,
    STYLES,
    WIDE,
    Style,
    blank,
    caption,
    logarithmic,
    margin,
    row,
    rows,
)
from perfkit.studies.compare import tables

Inputs = tuple[Answer, pd.DataFrame, pd.DataFrame]
"""the answer, and the tables of paired and of solo trials"""

TRIALS = {TURNS: "trials by turns", JOINT: "joint trials", SOLO: "solo trials"}
"""method → what trials by it are called"""

WAYS = {"paired": MORE_STYLES[2], "solo": MORE_STYLES[1]}
"""Looks of the two ways to one ratio."""


def role_styles(plan: Plan) -> dict[str, Style]:
    """Return role → its style: patterns as everywhere, `b` apart where it has the pattern of `a`."""
    a, b = _style(plan.arm(A)), _style(plan.arm(B))
    return {A: a, B: b if b != a else MORE_STYLES[1], **CONTROL_STYLES}


def _style(arm: Arm) -> Style:
    return STYLES.get(arm.pattern, MORE_STYLES[1])


def forest(answer: Answer, paired: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """B, A/A and handicap as ratios to a, every block a dot, the margin as a band, the verdict as the title."""
    figure, (axes,) = blank(words.sentence(answer))
    a, b = comparison.names(answer.plan)
    margin(axes, answer.plan.margin_pct)
    results: list[tuple[str, str, Ratio]] = []
    if answer.cpu_per_call:
        burned = "mutex" if answer.plan.arm(A).is_foreign else a
        names = {AA: f"A/A control:\n{a} again"}
        names |= {
            role: f"{role} control:\n{burned} with {control.burn_us:g} µs burned"
            for role, control in answer.controls.items()
            if control.burn_us is not None
        }
        results = [(B, f"{b}\nagainst {a}", answer.cpu_per_call)]
        results += [(role, names[role], control.result) for role, control in answer.controls.items()]
    wide, looks = controls.by_block(paired), role_styles(answer.plan)
    for height, (role, _, result) in enumerate(results):
        ratios = np.exp(controls.role_logs(wide, role))
        axes.plot(ratios, np.full(len(ratios), height + 0.2), ".", color=looks[role].colour, alpha=0.5)
        row(axes, result, height, looks[role], size=9)
        axes.annotate(f"{result.ratio:.3f}", (result.ratio, height), (0, 10), textcoords="offset points", ha="center")
    rows(axes, [name for _, name, _ in results])
    axes.set_xlabel(f"CPU per call, times that of {a}")
    axes.legend(frameon=False, loc="best")
    caption(figure, "dots: one block each; bars: 95 % interval over blocks")
    return figure


def narrowing(answer: Answer, paired: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """How the interval of the primary ratio narrowed with the time spent."""
    figure, (axes,) = blank("How the interval narrowed")
    steps = comparison.narrowing(answer.plan, paired)
    seconds, colour = [spent for spent, _ in steps], role_styles(answer.plan)[B].colour
    axes.fill_between(seconds, [one.interval[0] for _, one in steps], [one.interval[1] for _, one in steps], alpha=0.25,
                      color=colour, label="95 % interval (t), as if it had ended there")  # fmt: skip
    axes.plot(seconds, [one.ratio for _, one in steps], color=colour, marker=".", label="ratio b to a")
    margin(axes, answer.plan.margin_pct, horizontal=True)
    if len(steps) > 3:  # the first, of two blocks, would make all others flat
        ends = [*band(answer.plan.margin_pct), *(end for _, one in steps[2:] for end in one.interval)]
        axes.set_ylim(min(ends) - 0.005, max(ends) + 0.005)
    axes.set_xlabel(f"seconds of {TRIALS[answer.plan.paired]}")
    axes.set_ylabel("CPU per call, b in a's")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def shares(answer: Answer, paired: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """Each server's share of the core, and how busy k6 was, block by block."""
    figure, (left, right) = blank("What share had each server, and had k6 time to spare?", panels=2)
    looks = role_styles(answer.plan)
    for role, trials in paired.groupby("role"):
        style = looks.get(str(role), MORE_STYLES[-1])
        left.plot(
            trials["block"], trials["share"], marker=style.marker, linestyle="none", color=style.colour, alpha=0.7,
            label=role,
        )  # fmt: skip
    servers = paired.groupby(["block", "attempt"]).size().max() if len(paired) else 1  # a block has one handicap
    equal = 1 / servers
    left.axhline(equal, color="dimgray", linewidth=1, label="equal")
    # What counts as unequal fills the height, so that what does not is not drawn large.
    furthest = max([*(paired["share"] - equal).abs(), EQUAL_SHARES * equal]) * 1.2
    left.set_ylim(equal - furthest, equal + furthest)
    left.set_ylabel("share of the servers' CPU time")
    right.plot(paired["block"], paired["generator_busy"], "k.", label="load generator")
    right.axhline(GENERATOR_LIMIT, color="dimgray", linewidth=1, label=f"limit, {GENERATOR_LIMIT:g}")
    right.set_ylabel("part of its cores that the generator used")
    right.set_ylim(0, 1.05)
    for axes in (left, right):
        axes.set_xlabel("block")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def both_ways(answer: Answer, paired: pd.DataFrame, solo: pd.DataFrame) -> Figure:
    """What solo trials in the same blocks say next to the paired ones, and how fast the intervals of both narrow."""
    method = answer.plan.paired
    steps = {way: comparison.narrowing(answer.plan, table) for way, table in (("paired", paired), ("solo", solo))}
    figure, (left, right) = blank(_precision(steps, method), panels=2)
    results = [(f"CPU per call, {method}", "paired", answer.cpu_per_call)] if answer.cpu_per_call else []
    results += [
        (f"{name.replace('_', ' ').replace('cpu', 'CPU')}, solo", "solo", result)
        for name, result in answer.solo.items()
        if name not in HANDICAPS_PCT
    ]
    for height, (_, way, result) in enumerate(results):
        row(left, result, height, WAYS[way])
    left.axvline(1, color="dimgray", linewidth=1)
    rows(left, [name for name, _, _ in results])
    left.set_xlabel("b's, in a's")
    for way, each in steps.items():
        shown = [step for step in each if step[1].blocks >= FEWEST_BLOCKS]  # with fewer it is mostly chance
        right.plot([spent for spent, _ in shown], [one.half_width_pct for _, one in shown], color=WAYS[way].colour,
                   linestyle=WAYS[way].line, marker=WAYS[way].marker, markersize=4,
                   label=TRIALS[method if way == "paired" else SOLO])  # fmt: skip
    logarithmic(right)
    right.set_xlabel(f"seconds of trials ({method}: all arms; solo: a and b)")
    right.set_ylabel("half the width of the interval of CPU per call (%)")
    right.grid(alpha=0.3, which="both")
    right.legend(frameon=False)
    note = "bars: 95 % interval over the same blocks (t, on logarithms); right: half of its width, as time goes on"
    caption(figure, note if len(solo) else "no solo trials were asked for (solo=True)", WIDE)
    return figure


def _precision(steps: dict[str, list[tuple[float, Ratio]]], method: str) -> str:
    """What both ways knew after as many seconds, those that both have spent."""
    nothing = f"Solo trials beside {TRIALS[method]}"
    if not all(steps.values()):
        return nothing
    seconds = min(each[-1][0] for each in steps.values())
    known = {}
    for way, each in steps.items():
        within = [one.half_width_pct for spent, one in each if spent <= seconds]
        if not within:
            return nothing
        known[way] = within[-1]
    return (
        f"In {seconds:.0f} s of trials, {TRIALS[method]} know CPU per call to ±{known['paired']:.1f} %, "
        f"solo trials to ±{known['solo']:.1f} %: {known['solo'] / known['paired']:.1f} times as wide"
    )


ALL: dict[str, Callable[[Answer, pd.DataFrame, pd.DataFrame], Figure]] = {
    "forest": forest,
    "narrowing": narrowing,
    "shares": shares,
    "beside-solo": both_ways,
}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> Inputs:
    """Return what the figures are drawn from, of a comparison's run."""
    plan, paired, solo = tables(folder)
    return comparison.answer(plan, paired, solo), paired, solo
