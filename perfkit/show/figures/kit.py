"""What all figures are made of: blank figures, axes of a factor, one colour and marker a pattern, error bars."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from perfkit.analysis import contrast, statistics
from perfkit.analysis.statistics import Interval, Ratio
from perfkit.analysis.verdict import band
from perfkit.design.factors import FACTORS
from perfkit.show import words

MANY_LEVELS = 5  # with more, the axis of a factor has smaller numbers
DODGE = 0.05  # how far arms stand apart on the axis, as a part of their value, so that bars don't overlap

WIDE = 140  # characters of small print that fit under several panels

ERROR_BARS = "dots: one trial each; line and bars: mean over blocks with its 95 % interval (t)"


@dataclass(frozen=True, slots=True)
class Style:
    """Colour (Okabe and Ito's, told apart by the colour-blind), marker and line: any one of them is enough."""

    colour: str
    marker: str
    line: str


STYLES = {
    "mutex": Style("#0072B2", "o", "-"),
    "inputQ": Style("#D55E00", "s", "--"),
    "combining": Style("#E69F00", "P", "--"),
    "leader": Style("#000000", "X", "-."),
}
"""pattern → its style, in every figure"""

MORE_STYLES = (
    Style("#009E73", "^", "-."), Style("#CC79A7", "D", ":"), Style("#56B4E9", "v", "-"),
    STYLES["combining"], STYLES["leader"],
)  # fmt: skip
"""Of what has no pattern, and of the second and further arms of one pattern in a figure."""

CONTROL_STYLES = {
    "aa": Style("dimgray", "o", ":"),
    "handicap": Style("#009E73", "^", "-."),
    "small handicap": Style("#56B4E9", "v", "-."),
}
"""role → the looks of a control"""


def styles(table: pd.DataFrame) -> dict[str, Style]:
    """Return arm → its style, in the order of the legend."""
    looks: dict[str, Style] = {}
    patterns = table.drop_duplicates("arm").set_index("arm")["pattern"]
    taken = {STYLES[pattern] for pattern in patterns if pattern in STYLES}
    more = cycle([one for one in MORE_STYLES if one not in taken] or MORE_STYLES)
    for arm in sorted(patterns.index, key=len):  # of several of one pattern, the plainest has its style
        own = STYLES.get(patterns[arm])
        looks[arm] = own if own and own not in looks.values() else next(more)
    return {arm: looks[arm] for arm in words.labels(table)}


def blank(title: str, panels: int = 1, *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """Return a figure of its own, not pyplot's, which would keep it alive and show it twice in a notebook."""
    figure = Figure(figsize=(8 if panels == 1 else 12, 4.8), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=share_y)[0]
    figure.suptitle(wrapped(title, 85 if panels == 1 else 120), fontsize=11)
    return figure, list(axes)


def factor_axis(axes: Axes, levels: Sequence[float | str], factor: str = "vus") -> None:
    """Make the x axis one of a factor, with its levels as the only ticks: logarithmic where all are above 0."""
    ticks = positions(levels)
    if min(ticks, default=0) > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FixedFormatter([f"{one:g}" if isinstance(one, int | float) else one for one in levels])
    )
    axes.set_xlabel(FACTORS[factor].axis)
    if len(levels) > MANY_LEVELS:
        axes.tick_params(axis="x", labelsize=8)


def positions(levels: Sequence[float | str]) -> list[float]:
    """Return where the levels of a factor stand on its axis: numbers where they are, others side by side."""
    if all(isinstance(level, int | float) for level in levels):
        return [float(level) for level in levels]
    return [float(number) for number in range(len(levels))]


def against(
    axes: Axes,
    table: pd.DataFrame,
    metric: str,
    factor: str = "vus",
    *,
    geometric: bool = False,
    also_hollow: Sequence[str] = (),
) -> None:
    """Draw a metric of every arm against a factor: each trial a dot, the mean over blocks with its interval.

    Trials with a flag that makes the metric void, or one of `also_hollow`, are hollow. Where the factor is an option of
    arms, those that differ in nothing else are one line.
    """
    lines = _lines(table, factor)
    levels = sorted(lines[factor].unique().tolist())
    factor_axis(axes, levels, factor)
    if not levels:
        return
    where = dict(zip(levels, positions(levels), strict=True))
    names, looks = words.labels(lines), styles(lines)
    shifts = [number - (len(names) - 1) / 2 for number in range(len(names))]
    step = (max(where.values()) - min(where.values())) * DODGE / 4
    is_log = axes.get_xscale() == "log"
    for (arm, name), shift in zip(names.items(), shifts, strict=True):
        style = looks[arm]
        at = {one: x * (1 + DODGE * shift) if is_log else x + step * shift for one, x in where.items()}
        trials = lines[lines["valid"] & (lines["arm"] == arm) & lines[metric].notna()]
        void = contrast.is_void(trials, metric, also_hollow)
        for some, face in ((trials[~void], style.colour), (trials[void], "none")):
            axes.plot(
                some[factor].map(at), some[metric].astype(float), style.marker, markerfacecolor=face,
                markeredgecolor=style.colour, markersize=4, alpha=0.45, linestyle="none", label=f"_{name} trials",
            )  # fmt: skip
        means = {
            one: statistics.mean(trials.loc[trials[factor] == one, metric].tolist(), logarithmic=geometric)
            for one in levels
            if (trials[factor] == one).any()
        }
        middles = [one.estimate for one in means.values()]
        # Where one block gives no interval there is a bar of no length.
        below = [one.estimate - (one.estimate if one.low is None else one.low) for one in means.values()]
        above = [(one.estimate if one.high is None else one.high) - one.estimate for one in means.values()]
        axes.errorbar(
            [at[one] for one in means], middles, yerr=[below, above], color=style.colour, marker=style.marker,
            linestyle=style.line, markersize=7, capsize=4, linewidth=1.8, label=name,
        )  # fmt: skip
        hollow = [one for one in means if void[trials[factor] == one].any()]  # such a level gives no verdict
        axes.plot(
            [at[one] for one in hollow], [means[one].estimate for one in hollow], style.marker, markersize=7,
            markerfacecolor="white", markeredgecolor=style.colour, linestyle="none", zorder=3, label=f"_{name} hollow",
        )  # fmt: skip


def _lines(table: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Return the table with arms that differ in nothing but the factor called alike."""
    return table.assign(arm=table["arm"].map(lambda arm: contrast.without(arm, {factor})))


def logarithmic(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers as its ticks."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def label(axes: Axes, y: str, note: str = "", *, legend: bool = True) -> None:
    """Name the y axis, and put a note under the figure."""
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if legend and axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False)
    if note and axes.figure:
        caption(axes.figure, note)


def row(
    axes: Axes, result: Ratio | Interval, height: float, style: Style, *, size: int = 8, hollow: bool = False
) -> None:
    """Draw one estimate with its interval at a height, as in a forest plot."""
    middle = result.ratio if isinstance(result, Ratio) else result.estimate
    axes.errorbar(
        middle, height, xerr=bar(result), color=style.colour, marker=style.marker, markersize=size, capsize=5,
        linewidth=2, linestyle="none", markerfacecolor="none" if hollow else style.colour,
    )  # fmt: skip


def rows(axes: Axes, names: Sequence[str], *, fontsize: int = 10) -> None:
    """Name the rows of a forest plot, from the top down."""
    axes.set_yticks(range(len(names)), names, fontsize=fontsize)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)


def margin(axes: Axes, margin_pct: float, *, horizontal: bool = False) -> None:
    """Draw the margin as a band, and the line of no difference."""
    span, line = (axes.axhspan, axes.axhline) if horizontal else (axes.axvspan, axes.axvline)
    span(*band(margin_pct), color="0.9", zorder=0, label=f"margin, ±{margin_pct:g} %")
    line(1, color="dimgray", linewidth=1)


def bar(result: Ratio | Interval) -> list[list[float]] | None:
    """Return the lengths of an error bar below and above; None where one block gives no interval."""
    if result.low is None or result.high is None:
        return None
    middle = result.ratio if isinstance(result, Ratio) else result.estimate
    return [[middle - result.low], [result.high - middle]]


def caption(figure: FigureBase, text: str, width: int = 110) -> None:
    """Put small print under a figure."""
    figure.supxlabel(wrapped(text, width), fontsize=8, color="dimgray")


def wrapped(text: str, width: int) -> str:
    """Break text into lines, and no number from its unit."""
    return fill(re.sub(r"(?<=\d) (?=%|ms\b|µs\b)", "\N{NO-BREAK SPACE}", text), width)
