"""A table of trials → matplotlib figures: every trial a dot, the mean over blocks with its 95 % interval."""

import logging
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from perfkit import report, statistics
from perfkit.results import GENERATOR_LIMIT
from perfkit.statistics import Interval, Ratio

DPI = 150

STYLES = (("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"))
"""Colour (Okabe and Ito's, told apart by the colour-blind), marker and line of each arm: any one of them is enough."""

MANY_LEVELS = 5
"""With more, the axis of VUs has smaller numbers."""

DODGE = 0.05
"""How far neighbouring arms stand apart on the axis of VUs, as a part of their value, so that bars don't overlap."""

WIDE = 140
"""Characters of small print that fit under several panels."""

TAIL = ("50", "90", "99", "99.9", "99.99")
"""Percentiles that the distribution's axis names."""

_log = logging.getLogger(__name__)

ERROR_BARS = "dots: one trial each; line and bars: mean over blocks with its 95 % interval (t)"


def throughput(table: pd.DataFrame) -> Figure:
    """Acknowledged calls per second against VUs, with the answer as its title."""
    figure, (axes,) = blank(report.headline(table))
    against_vus(axes, table, "throughput_rps")
    label(
        axes,
        "throughput (acknowledged calls per second)",
        f"{ERROR_BARS}; the axis does not begin at 0{_hollow(table)}",
    )
    return figure


def latency(table: pd.DataFrame) -> Figure:
    """Median, 95th and 99th percentile of latency against VUs, on a logarithmic axis."""
    known = [name for name in ("p50", "p95", "p99") if table[f"{name}_ms"].notna().any()] or ["p50"]
    figure, panels = blank("Latency of acknowledged calls, by percentile", panels=len(known), share_y=True)
    for axes, name in zip(panels, known, strict=True):
        logarithmic(axes)
        against_vus(axes, table, f"{name}_ms", geometric=True)
        axes.set_title(name)
        label(axes, "latency (ms)" if axes is panels[0] else "", legend=axes is panels[0])
    note = ERROR_BARS.replace("mean", "geometric mean") + "; a percentile with too few calls is left out"
    caption(figure, note + _hollow(table), WIDE)
    return figure


def latency_distribution(table: pd.DataFrame) -> Figure:
    """Latency against percentile at the highest level, the tail stretched as HDR histograms show it."""
    vus = int(table["vus"].max())
    figure, (axes,) = blank(f"Latency distribution at {vus} VUs")
    logarithmic(axes)
    level = table[table["valid"] & (table["vus"] == vus)]
    for (arm, name), (colour, _, line) in zip(report.labels(table).items(), STYLES * len(table), strict=False):
        curves = [trial for trial in level.loc[level["arm"] == arm, "percentiles_ms"] if trial]
        for curve in curves:
            axes.plot(*_hdr(curve), color=colour, linewidth=0.6, alpha=0.4, linestyle=line)
        if curves:
            # Only where every block has the percentile: a mean over fewer would jump.
            shared = [p for p in curves[0] if all(p in curve for curve in curves)]
            middle = {p: float(np.exp(np.mean([np.log(curve[p]) for curve in curves]))) for p in shared}
            axes.plot(*_hdr(middle), color=colour, linewidth=2.2, linestyle=line, label=name)
    axes.xaxis.set_major_locator(FixedLocator([_nines(float(p)) for p in TAIL]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{p} %" for p in TAIL]))
    axes.set_xlabel("part of the calls that were at least this fast")
    label(axes, "latency (ms)", "thin: one block each; thick: geometric mean over blocks")
    return figure


def cpu_per_call(table: pd.DataFrame) -> Figure:
    """CPU time of the server per acknowledged call against VUs."""
    figure, (axes,) = blank(report.headline(table, "cpu_per_call_us"))
    against_vus(axes, table, "cpu_per_call_us", hollow=False)
    label(axes, "server CPU per call (µs)", f"{ERROR_BARS}; the axis does not begin at 0")
    return figure


def ratios(table: pd.DataFrame) -> Figure:
    """Each level's ratio to the baseline, for throughput and CPU per call."""
    against = statistics.baseline(table)
    names = report.labels(table)
    figure, panels = blank(f"How many times {names[against]}'s: each level, and all together", panels=2)
    for axes, metric in zip(panels, ("throughput_rps", "cpu_per_call_us"), strict=True):
        rows: list[str] = []
        for (arm, name), (colour, marker, _) in zip(names.items(), STYLES * len(names), strict=False):
            if arm == against:
                continue
            each = statistics.ratios(table, metric, arm, against)
            levels = statistics.usable_levels(table, metric)
            together = [statistics.ratio(table, metric, arm, against, levels)] if len(levels) > 1 else []
            for one in [*each, *together]:
                is_all = one in together
                rows.append(f"{name}, all together" if is_all else f"{name}, {one.levels[0]} VUs")
                axes.errorbar(
                    one.ratio, len(rows) - 1, xerr=bar(one), color=colour, marker="D" if is_all else marker,
                    markersize=9 if is_all else 6, capsize=4, linestyle="none",
                )  # fmt: skip
        axes.axvline(1, color="dimgray", linewidth=1)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
        axes.set_xlabel(f"{report.WORDS[metric][0]}, times {names[against]}'s")
        axes.grid(axis="x", alpha=0.3)
        if not rows:
            axes.text(0.5, 0.5, "nothing to compare", transform=axes.transAxes, ha="center")
    caption(figure, "bars: 95 % interval over blocks (t, on logarithms)")
    return figure


def instrument(table: pd.DataFrame) -> Figure:
    """What the load really was: calls in flight, and how busy k6 and the server were."""
    figure, panels = blank("Was the server loaded, and was it the server that was measured?", panels=3)
    logarithmic(panels[0])
    against_vus(panels[0], table, "in_flight", geometric=True, hollow=False)
    levels = sorted(table["vus"].unique())
    panels[0].plot(levels, levels, color="dimgray", linewidth=1, zorder=0, label="= VUs")
    label(panels[0], "calls in flight (Little's law)")
    against_vus(panels[1], table, "k6_busy", hollow=False)
    panels[1].axhline(GENERATOR_LIMIT, color="dimgray", linewidth=1, label=f"limit, {GENERATOR_LIMIT:g}")
    label(panels[1], "part of its cores that k6 used")
    against_vus(panels[2], table, "server_cores", hollow=False)
    label(panels[2], "cores that the server used")
    for axes in panels[1:]:
        axes.set_ylim(bottom=0)
    caption(figure, ERROR_BARS)
    return figure


ALL: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "throughput": throughput,
    "latency": latency,
    "latency-distribution": latency_distribution,
    "cpu-per-call": cpu_per_call,
    "ratios": ratios,
    "instrument": instrument,
}
"""name of the file in the run folder → the figure"""


def draw(name: str, table: pd.DataFrame) -> Image:
    """Draw one of ALL, write it to the run folder as PNG and SVG, and return it for a notebook to show."""
    return keep(ALL[name](table), table.attrs["run"], name)


def keep(figure: Figure, run: str | Path, name: str) -> Image:
    """Write a figure to a run folder as PNG and SVG, and return it for a notebook to show."""
    folder = Path(run) / "figures"
    png = BytesIO()
    figure.savefig(png, dpi=DPI)
    try:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.png").write_bytes(png.getvalue())
        with mpl.rc_context({"svg.hashsalt": name}):  # the same data, the same bytes
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    except OSError as error:  # a stored run may be somebody else's: what it shows matters more
        _log.warning("figure %s is shown only, %s can't be written: %s", name, folder, error.strerror)
    width, alt = int(figure.get_figwidth() * 100), figure.get_suptitle()
    return Image(data=png.getvalue(), width=width, alt=alt)  # type: ignore[no-untyped-call]


def blank(title: str, panels: int = 1, *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """Return an empty figure, made without pyplot, which would keep it alive and show it twice in a notebook."""
    figure = Figure(figsize=(8 if panels == 1 else 12, 4.8), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=share_y)[0]
    figure.suptitle(wrapped(title, 85 if panels == 1 else 120), fontsize=11)
    return figure, list(axes)


def vus_axis(axes: Axes, levels: Sequence[int]) -> None:
    """Make the x axis one of VUs: logarithmic, with the levels as its only ticks."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(levels))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("virtual users (VUs)")
    if len(levels) > MANY_LEVELS:
        axes.tick_params(axis="x", labelsize=8)


def against_vus(axes: Axes, table: pd.DataFrame, metric: str, *, geometric: bool = False, hollow: bool = True) -> None:
    """Draw a metric of every arm against VUs: each trial a dot, the mean over blocks with its interval."""
    levels = sorted(int(vus) for vus in table["vus"].unique())
    vus_axis(axes, levels)
    for (name, trials, style), shift in zip(_arms(table), _shifts(table), strict=True):
        colour, marker, line = style
        known = trials[trials[metric].notna()]
        limited = known["flags"].str.contains("generator limited") & hollow
        for some, face in ((known[~limited], colour), (known[limited], "none")):
            axes.plot(
                some["vus"] * shift, some[metric].astype(float), marker, markerfacecolor=face, markeredgecolor=colour,
                markersize=4, alpha=0.45, linestyle="none", label=f"_{name} trials",
            )  # fmt: skip
        means = {
            vus: statistics.mean(known.loc[known["vus"] == vus, metric].tolist(), logarithmic=geometric)
            for vus in levels
            if (known["vus"] == vus).any()
        }
        middles = [one.estimate for one in means.values()]
        # Where one block gives no interval there is a bar of no length.
        below = [one.estimate - (one.estimate if one.low is None else one.low) for one in means.values()]
        above = [(one.estimate if one.high is None else one.high) - one.estimate for one in means.values()]
        axes.errorbar(
            [vus * shift for vus in means], middles, yerr=[below, above], color=colour, marker=marker, linestyle=line,
            markersize=7, capsize=4, linewidth=1.8, label=name,
        )  # fmt: skip


def logarithmic(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers as its ticks."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _arms(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, tuple[str, str, str]]]:
    valid = table[table["valid"]]
    for number, (arm, name) in enumerate(report.labels(table).items()):
        yield name, valid[valid["arm"] == arm], STYLES[number % len(STYLES)]


def _shifts(table: pd.DataFrame) -> Sequence[float]:
    count = table["arm"].nunique()
    return [1 + DODGE * (number - (count - 1) / 2) for number in range(count)]


def label(axes: Axes, y: str, note: str = "", *, legend: bool = True) -> None:
    """Name the y axis, and put a note under the figure."""
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if legend and axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False)
    if note and axes.figure:
        caption(axes.figure, note)


def bar(found: Ratio | Interval) -> list[list[float]] | None:
    """Return the lengths of an error bar below and above; None where one block gives no interval."""
    if found.low is None or found.high is None:
        return None
    middle = found.ratio if isinstance(found, Ratio) else found.estimate
    return [[middle - found.low], [found.high - middle]]


def caption(figure: FigureBase, text: str, width: int = 110) -> None:
    """Put small print under a figure."""
    figure.supxlabel(wrapped(text, width), fontsize=8, color="dimgray")


def wrapped(text: str, width: int) -> str:
    """Break text into lines, and no number from its per cent."""
    return fill(text.replace(" %", "\N{NO-BREAK SPACE}%"), width)


def _hollow(table: pd.DataFrame) -> str:
    limited = table["flags"].str.contains("generator limited").any()
    return "; hollow: k6 was the limit, not the server" if limited else ""


def _hdr(percentiles_ms: dict[str, float]) -> tuple[list[float], list[float]]:
    return [_nines(float(p)) for p in percentiles_ms], list(percentiles_ms.values())


def _nines(percentile: float) -> float:
    """90 → 1, 99 → 2, 99.9 → 3."""
    return float(-np.log10(1 - percentile / 100))
