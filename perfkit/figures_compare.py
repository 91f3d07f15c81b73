"""A comparison → matplotlib figures: the verdict first, every block a dot."""

import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.figure import Figure

from perfkit import comparison, controls
from perfkit.comparison import Answer
from perfkit.figures import WIDE, bar, blank, caption, keep, logarithmic, vus_axis, wrapped
from perfkit.plan import AA, HANDICAP, A, B
from perfkit.results import EQUAL_SHARES, GENERATOR_LIMIT
from perfkit.statistics import Ratio
from perfkit.stopping import FEWEST_BLOCKS
from perfkit.store import load, load_joint

LOOKS = {B: ("#0072B2", "D"), AA: ("dimgray", "o"), HANDICAP: ("#D55E00", "s")}
"""Colour and marker of each row of the forest plot."""


def forest(answer: Answer, joint: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """B, A/A and handicap as ratios to a, every block a dot, the margin as a band, the verdict as the title."""
    figure, (axes,) = blank(answer.sentence)
    a, b = comparison.names(answer.plan)
    margin = 1 + answer.plan.margin_pct / 100
    axes.axvspan(1 / margin, margin, color="0.9", label=f"margin, ±{answer.plan.margin_pct:g} %")
    axes.axvline(1, color="dimgray", linewidth=1)
    rows = []
    if answer.cpu_per_call:
        rows.append((B, f"{b}\nagainst {a}", answer.cpu_per_call))
        rows.append((AA, f"A/A control:\n{a} again", answer.controls["aa"].found))
        rows.append((HANDICAP, f"handicap control:\n{a if not answer.plan.a.is_foreign else 'mutex'} with a known burn",
                     answer.controls["handicap"].found))  # fmt: skip
    wide = controls.by_block(joint)
    for height, (role, _, found) in enumerate(rows):
        colour, marker = LOOKS[role]
        ratios = wide[role] / wide[controls.reference(wide, role)]
        axes.plot(ratios, np.full(len(ratios), height + 0.2), ".", color=colour, alpha=0.5)
        axes.errorbar(
            found.ratio, height, xerr=bar(found), color=colour, marker=marker, markersize=9, capsize=5, linewidth=2
        )
        axes.annotate(f"{found.ratio:.3f}", (found.ratio, height), (0, 10), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(rows)), [name for _, name, _ in rows])
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_xlabel(f"CPU per call, times that of {a}")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="best")
    caption(figure, "dots: one block each; bars: 95 % interval over blocks")
    return figure


def narrowing(answer: Answer, joint: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """How the interval of the primary ratio narrowed with the time spent."""
    figure, (axes,) = blank("How the interval narrowed")
    steps = comparison.narrowing(answer.plan, joint)
    seconds = [spent for spent, _ in steps]
    axes.fill_between(seconds, [one.interval[0] for _, one in steps], [one.interval[1] for _, one in steps], alpha=0.25,
                      color=LOOKS[B][0], label="95 % interval (t), as if it had ended there")  # fmt: skip
    axes.plot(seconds, [one.ratio for _, one in steps], color=LOOKS[B][0], marker=".", label="ratio b to a")
    margin = 1 + answer.plan.margin_pct / 100
    axes.axhspan(1 / margin, margin, color="0.9", zorder=0, label=f"margin, ±{answer.plan.margin_pct:g} %")
    axes.axhline(1, color="dimgray", linewidth=1)
    if len(steps) > 3:  # the first, of two blocks, would make all others flat
        shown = [end for _, one in steps[2:] for end in one.interval]
        axes.set_ylim(min(*shown, 1 / margin) - 0.005, max(*shown, margin) + 0.005)
    axes.set_xlabel("seconds of joint trials")
    axes.set_ylabel("CPU per call, b in a's")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def shares(_answer: Answer, joint: pd.DataFrame, _solo: pd.DataFrame) -> Figure:
    """Each server's share of the core, and how busy k6 was, block by block."""
    figure, (left, right) = blank("Did the servers get equal shares, and had k6 time to spare?", panels=2)
    for role, trials in joint.groupby("role"):
        colour, marker = LOOKS.get(str(role), ("black", "^"))
        left.plot(
            trials["block"], trials["share"], marker=marker, linestyle="none", color=colour, alpha=0.7, label=role
        )
    equal = 1 / joint["role"].nunique()
    left.axhline(equal, color="dimgray", linewidth=1, label="equal")
    # What counts as unequal fills the height, so that what does not is not drawn large.
    furthest = max((joint["share"] - equal).abs().max(), EQUAL_SHARES * equal) * 1.2
    left.set_ylim(equal - furthest, equal + furthest)
    left.set_ylabel("share of the servers' CPU time")
    right.plot(joint["block"], joint["k6_busy"], "k.", label="k6")
    right.axhline(GENERATOR_LIMIT, color="dimgray", linewidth=1, label=f"limit, {GENERATOR_LIMIT:g}")
    right.set_ylabel("part of its cores that k6 used")
    right.set_ylim(0, 1.05)
    for axes in (left, right):
        axes.set_xlabel("block")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def beside(answer: Answer, joint: pd.DataFrame, solo: pd.DataFrame) -> Figure:
    """What solo trials in the same blocks say, beside the joint ones, and how fast the intervals of both narrow."""
    ways = {
        "joint": (comparison.narrowing(answer.plan, joint), LOOKS[B], "-"),
        "solo": (comparison.narrowing(answer.plan, solo), LOOKS[HANDICAP], "--"),
    }
    figure, (left, right) = blank(_precision({way: steps for way, (steps, _, _) in ways.items()}), panels=2)
    rows = [("CPU per call, joint", answer.cpu_per_call)] if answer.cpu_per_call else []
    rows += [(f"{name.replace('_', ' ').replace('cpu', 'CPU')}, solo", found)
             for name, found in answer.solo.items() if name != HANDICAP]  # fmt: skip
    for height, (name, found) in enumerate(rows):
        colour, marker = ways[name.rpartition(" ")[2]][1]
        left.errorbar(found.ratio, height, xerr=bar(found), color=colour, marker=marker, capsize=5, linewidth=2)
    left.axvline(1, color="dimgray", linewidth=1)
    left.set_yticks(range(len(rows)), [name for name, _ in rows])
    left.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    left.set_xlabel("b's, in a's")
    left.grid(axis="x", alpha=0.3)
    for way, (steps, (colour, marker), line) in ways.items():
        shown = [step for step in steps if step[1].blocks >= FEWEST_BLOCKS]  # with fewer it is mostly chance
        right.plot([spent for spent, _ in shown], [one.half_width_pct for _, one in shown], color=colour,
                   linestyle=line, marker=marker, markersize=4, label=f"{way} trials")  # fmt: skip
    logarithmic(right)
    right.set_xlabel("seconds of trials (joint: all arms; solo: a and b)")
    right.set_ylabel("half the width of the interval of CPU per call (%)")
    right.grid(alpha=0.3, which="both")
    right.legend(frameon=False)
    note = "bars: 95 % interval over the same blocks (t, on logarithms); right: half of its width, as time goes on"
    caption(figure, note if len(solo) else "no solo trials were asked for (solo=True)", WIDE)
    return figure


def _precision(ways: dict[str, list[tuple[float, Ratio]]]) -> str:
    """What both ways knew after as many seconds, those that both have spent."""
    if not all(ways.values()):
        return "Solo trials beside joint ones"
    seconds = min(steps[-1][0] for steps in ways.values())
    known = {}
    for way, steps in ways.items():
        within = [one.half_width_pct for spent, one in steps if spent <= seconds]
        if not within:
            return "Solo trials beside joint ones"
        known[way] = within[-1]
    return (
        f"In {seconds:.0f} s of trials, joint trials know CPU per call to ±{known['joint']:.1f} %, "
        f"solo trials to ±{known['solo']:.1f} %: {known['solo'] / known['joint']:.1f} times as wide"
    )


def levels(joint: pd.DataFrame) -> Figure:
    """CPU per call of b, of a again and of the handicap, in a's, against VUs: the joint trials of a sweep."""
    figure, (axes,) = blank("CPU per call in joint trials, times a's")
    counted = joint[joint["valid"]]
    axes.axhline(1, color="dimgray", linewidth=1)
    for role, name in {B: "b", AA: "A/A control", HANDICAP: "handicap control"}.items():
        if counted.empty:
            break
        found = [_at_level(trials, role) for _, trials in counted.groupby("vus")]
        colour, marker = LOOKS[role]
        vus = [one.levels[0] for one in found]
        axes.plot(vus, [one.ratio for one in found], color=colour, marker=marker, label=name)
        if all(one.blocks > 1 for one in found):
            low, high = zip(*(one.interval for one in found), strict=True)
            axes.fill_between(vus, low, high, color=colour, alpha=0.2)
    vus_axis(axes, sorted(int(vus) for vus in counted["vus"].unique()))
    axes.set_ylabel("CPU per call, times a's")
    axes.grid(alpha=0.3)
    if counted.empty:
        axes.text(0.5, 0.5, "no joint trials were asked for (joint=True)", transform=axes.transAxes, ha="center")
    else:
        axes.legend(frameon=False)
        first = counted.drop_duplicates("role").set_index("role")["arm"]
        figure.suptitle(wrapped(f"CPU per call in joint trials: b is {first[B]}, a is {first[A]}", 85), fontsize=11)
        note = "bands: 95 % interval over blocks (t, on logarithms), at each level for itself"
        caption(figure, note)
    return figure


def _at_level(trials: pd.DataFrame, role: str) -> Ratio:
    return controls.role_ratio(controls.by_block(trials), role, int(trials["vus"].iloc[0]))


ALL = {"forest": forest, "narrowing": narrowing, "shares": shares, "solo-beside-joint": beside}
"""name of the file in the run folder → the figure"""


def draw_levels(run: str) -> Image:
    """Draw the joint trials of a sweep against VUs, write the figure to the run folder, and return it."""
    return keep(levels(load_joint(run)), run, "joint-levels")


def draw(name: str, answer: Answer, run: str) -> Image:
    """Draw one of ALL, write it to the run folder as PNG and SVG, and return it for a notebook to show."""
    return keep(ALL[name](answer, load_joint(run), load(run)), run, name)
