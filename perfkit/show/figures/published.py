"""The published study and runs of ours → matplotlib sweep."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfkit.analysis import contrast
from perfkit.record.load import load
from perfkit.show.figures.curves import sweep
from perfkit.show.figures.kit import (
    MORE_STYLES,
    WIDE,
    Style,
    against,
    bar,
    blank,
    caption,
    factor_axis,
    label,
    logarithmic,
)
from perfkit.studies.published import MANNERS, call_share, study

Tables = Mapping[str, pd.DataFrame]
"""what a table is called → a table as `perfkit.load` or `published.study` returns it; the study's comes first"""

NAMES = dict(zip(MANNERS, ("ours, in its manner", "ours, connections kept"), strict=True))


def study_throughput(tables: Tables) -> Figure:
    """The study's throughput, as a sweep's is drawn."""
    return _single_runs(sweep.throughput(next(iter(tables.values()))))


def study_latency(tables: Tables) -> Figure:
    """The study's latency, as a sweep's is drawn."""
    return _single_runs(sweep.latency(next(iter(tables.values()))))


def _single_runs(figure: Figure) -> Figure:
    caption(figure, "one run for each number, as published: no error bar can be given")
    return figure


def throughput(tables: Tables) -> Figure:
    """Throughput against VUs, a panel for each table."""
    figure, panels = blank("Throughput: the study's single runs, and blocks of ours", panels=len(tables))
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        against(axes, table, "throughput_rps")
        axes.set_title(name, fontsize=10)
        label(axes, "acknowledged calls per second" if axes is panels[0] else "")
    caption(
        figure,
        "the study: one run, no error bar; ours: mean over blocks with its 95 % interval (t), dots one trial each, "
        "hollow where k6 was the limit; axes don't begin at 0",
        WIDE,
    )
    return figure


def study_load(tables: Tables) -> Figure:
    """What the load was: calls in flight, the call's share of an iteration, and the ratio of the patterns."""
    figure, (flight, share, ratio) = blank("What was the load, and who was ahead?", panels=3)
    levels = sorted({int(vus) for table in tables.values() for vus in table["vus"]})
    for (name, table), style in zip(tables.items(), MORE_STYLES, strict=False):
        valid = table[table["valid"]]
        _mean_line(flight, valid["in_flight"].groupby(valid["vus"]).mean(), name, style)
        _mean_line(share, call_share(valid).groupby(valid["vus"]).mean() * 100, name, style)
        _ratios(ratio, table, style)
    logarithmic(flight)
    flight.plot(levels, levels, color="dimgray", linewidth=1, zorder=0, label="= VUs")
    ratio.axhline(1, color="dimgray", linewidth=1)
    share.set_ylim(bottom=0)
    for axes, text in (
        (flight, "calls in flight (Little's law)"),
        (share, "call's share of an iteration (%)"),
        (ratio, "throughput of inputQ, times mutex's"),
    ):
        factor_axis(axes, levels)
        label(axes, text, legend=axes is flight)
    caption(
        figure,
        "left and middle: mean of both patterns; right: single runs have no interval, ours 95 % over blocks, "
        "at levels where k6 was not the limit",
        WIDE,
    )
    return figure


ALL: dict[str, Callable[[Tables], Figure]] = {
    "study-throughput": study_throughput,
    "study-latency": study_latency,
    "study-load": study_load,
    "study-beside-ours": throughput,
}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> tuple[Tables]:
    """Return what the figures are drawn from: the study, and our two runs in this folder."""
    return ({"the study (Go)": study(), **{name: load(folder / manner) for manner, name in NAMES.items()}},)


def _mean_line(axes: Axes, by_level: "pd.Series[float]", name: str, style: Style) -> None:
    axes.plot(by_level.index, by_level, color=style.colour, marker=style.marker, linestyle=style.line, label=name)


def _ratios(axes: Axes, table: pd.DataFrame, style: Style) -> None:
    baseline = contrast.baseline(table)
    (arm,) = set(table["arm"]) - {baseline}
    for one in contrast.contrasts(table, "throughput_rps", arm, baseline):
        axes.errorbar(
            one.levels[0], one.ratio, yerr=bar(one), color=style.colour, marker=style.marker, capsize=4,
            linestyle=style.line,
        )  # fmt: skip
