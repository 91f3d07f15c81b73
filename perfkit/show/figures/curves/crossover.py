"""A map of two factors → heat maps with an interval in each cell; cold and hot keys under skew; stages of one row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from perfkit.analysis import statistics
from perfkit.analysis.curves.grid import Grid, Spot
from perfkit.design.factors import FACTORS
from perfkit.show import words
from perfkit.show.curves import crossover as said
from perfkit.show.figures.curves.stages import stacked
from perfkit.show.figures.kit import STYLES, WIDE, Style, bar, blank, caption, label, logarithmic
from perfkit.studies import crossover
from perfkit.studies.crossover import Crossover

COLOURS = colormaps["PuOr"]
"""of ratios: told apart by the colour-blind, and light in the middle"""

LEAST_SPAN = 1.2
"""The colours reach at least so far from 1."""

UNDECIDED, NO_NUMBER = "//", "xx"
"""Hatches of cells that are not decided, and of those without a number."""

LOOKS = (STYLES["mutex"], Style("#56B4E9", "v", ":"), STYLES["inputQ"])
"""of the three arms under skew"""


def heat_map(found: Crossover) -> Figure:
    """The ratio to the first arm in each cell, with its interval, a panel an arm."""
    grid, names = found.grid, words.labels(found.grid.trials)
    figure, panels = blank(said.headline(found), panels=max(2, len(grid.arms)), share_y=True)
    figure.set_size_inches(max(12.0, 4.4 * len(grid.arms)), 5.6)
    spread = [abs(np.log2(one.ratio.ratio)) for one in grid.spots if one.ratio]
    span = max([np.log2(LEAST_SPAN), *spread])
    norm = TwoSlopeNorm(0, -span, span)
    for axes, arm in zip(panels, grid.arms, strict=False):
        _cells(axes, grid, arm, norm)
        axes.set_title(f"{names[arm]}, times {names[grid.baseline]}'s")
    for axes in panels[len(grid.arms) :]:
        axes.set_axis_off()
    panels[0].set_ylabel(FACTORS[grid.y].axis)
    caption(
        figure,
        f"{words.METRIC_WORDS[grid.metric][0]}; small: 95 % interval of each cell by itself; without hatch: it holds "
        f"for the whole map (Holm), or lies within ±{grid.margin_pct:g} %; hatched {UNDECIDED[0]}: not known; hatched "
        f"{NO_NUMBER[0]}: no number; the table has each reason",
        WIDE,
    )
    return figure


def _cells(axes: Axes, grid: Grid, arm: str, norm: TwoSlopeNorm) -> None:
    xs, ys = grid.levels("x"), grid.levels("y")
    for one in grid.of(arm):
        _cell(axes, one, (xs.index(one.x), ys.index(one.y)), norm)
    axes.set_xticks(range(len(xs)), [str(level) for level in xs])
    axes.set_yticks(range(len(ys)), [str(level) for level in ys])
    axes.set_xlim(-0.5, len(xs) - 0.5)
    axes.set_ylim(-0.5, len(ys) - 0.5)
    axes.set_xlabel(FACTORS[grid.x].axis)


def _cell(axes: Axes, spot: Spot, at: tuple[int, int], norm: TwoSlopeNorm) -> None:
    value = np.log2(spot.ratio.ratio) if spot.ratio else 0.0
    colour = COLOURS(1 - norm(value)) if spot.ratio else "white"
    hatch = NO_NUMBER if spot.ratio is None else "" if spot.is_decided else UNDECIDED
    corner = (at[0] - 0.5, at[1] - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="darkgray", hatch=hatch, linewidth=0.5))
    if spot.ratio is None:
        return
    dark = abs(norm(value) - 0.5) > 0.35
    behind = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}
    ink = "white" if dark else "black"
    axes.text(*at, f"{spot.ratio.ratio:.2f}", ha="center", va="bottom", fontsize=11, color=ink, bbox=behind)
    if spot.ratio.low is not None:
        ends = f"{spot.ratio.low:.2f} to {spot.ratio.high:.2f}"
        axes.text(at[0], at[1] - 0.08, ends, ha="center", va="top", fontsize=7, color=ink, bbox=behind)


def cold_keys(found: Crossover) -> Figure:
    """Latency of cold keys and of the hot one under skew: median and longest, for locks and owners."""
    trials = found.skew[found.skew["valid"]]
    figure, panels = blank(said.cold(found.skew), panels=2, share_y=True)
    for axes, (part, title) in zip(
        panels, (("cold", "calls for cold keys"), ("hot", "calls for the hot key")), strict=True
    ):
        logarithmic(axes)
        for number, ((name, arm), style) in enumerate(zip(said.skewed(trials).items(), LOOKS, strict=True)):
            _latencies(axes, trials[trials["arm"] == arm], part, number, style, name)
        axes.set_xticks((0, 1), ("half within (p50)", "longest (max)"))
        axes.set_xlim(-0.5, 1.5)
        axes.set_title(title)
        label(axes, "latency (ms)" if axes is panels[0] else "", legend=axes is panels[0])
    one = trials.iloc[0]
    caption(
        figure,
        f"{one['keys']} keys, key k asked for in proportion to 1/(k+1)^{one['zipf']:g}, each call waits "
        f"{one['hold_us']} µs in its key's section, {one['vus']} VUs; dots: trials; markers and bars: geometric mean "
        "over blocks, 95 % interval",
        WIDE,
    )
    return figure


def _latencies(axes: Axes, trials: pd.DataFrame, part: str, number: int, style: Style, name: str) -> None:
    for place, statistic in enumerate(("p50", "max")):
        values = trials[f"{part}_{statistic}_ms"].dropna().astype(float).tolist()
        if not values:
            continue
        at, found = place + (number - 1) * 0.22, statistics.mean(values, logarithmic=True)
        axes.plot(
            [at] * len(values), values, style.marker, color=style.colour, markersize=4, alpha=0.4, label="_trials"
        )
        axes.errorbar(
            at, found.estimate, yerr=bar(found), color=style.colour, marker=style.marker, markersize=9, capsize=5,
            linestyle="none", label=name if place == 0 else "_",
        )  # fmt: skip


def stages_of_a_row(found: Crossover) -> Figure:
    """Where calls spend their time in the servers, in the cells of one row of the map."""
    grid = found.grid
    row = found.stages[grid.y].iloc[0] if len(found.stages) else "no"
    return stacked(found.stages, grid.x, f"Where a call spends its time in the server, at {grid.y} {row}")


ALL: dict[str, Callable[[Crossover], Figure]] = {
    "map": heat_map,
    "cold-keys": cold_keys,
    "stages-of-a-row": stages_of_a_row,
}
"""name of the file in the study's folder → the figure"""


def inputs(folder: Path) -> tuple[Crossover]:
    """Return what the figures are drawn from, of a study's folder."""
    return (crossover.read(folder),)
