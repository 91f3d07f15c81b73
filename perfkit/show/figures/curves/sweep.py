"""A table of solo trials → matplotlib figures: every trial a dot, the mean over blocks with its 95 % interval."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from perfkit.design.factors import FACTORS
from perfkit.record.load import load, load_plan
from perfkit.record.validity import GENERATOR_LIMIT, voiding
from perfkit.show import levels, words
from perfkit.show.figures.kit import ERROR_BARS, WIDE, against, blank, caption, label, logarithmic, styles

TAIL = ("50", "90", "99", "99.9", "99.99")
"""Percentiles that the distribution's axis names."""


def throughput(table: pd.DataFrame, factor: str = "vus") -> Figure:
    """Acknowledged calls per second against a factor, with the answer as its title."""
    figure, (axes,) = blank(_title(table, "throughput_rps", factor))
    against(axes, table, "throughput_rps", factor)
    label(
        axes,
        "throughput (acknowledged calls per second)",
        f"{ERROR_BARS}; the axis does not begin at 0{hollow(table)}",
    )
    return figure


def latency(table: pd.DataFrame, factor: str = "vus") -> Figure:
    """Median, 95th and 99th percentile of latency against a factor, on a logarithmic axis."""
    known = [name for name in ("p50", "p95", "p99") if table[f"{name}_ms"].notna().any()] or ["p50"]
    figure, panels = blank("Latency of acknowledged calls, by percentile", panels=len(known), share_y=True)
    for axes, name in zip(panels, known, strict=True):
        logarithmic(axes)
        against(axes, table, f"{name}_ms", factor, geometric=True)
        axes.set_title(name)
        label(axes, "latency (ms)" if axes is panels[0] else "", legend=axes is panels[0])
    note = ERROR_BARS.replace("mean", "geometric mean") + "; a percentile with too few calls is left out"
    caption(figure, note + hollow(table), WIDE)
    return figure


def latency_distribution(table: pd.DataFrame, factor: str = "vus") -> Figure:
    """Latency against percentile at the highest level, the tail stretched as HDR histograms show it."""
    highest = int(table[factor].max()) if len(table) else 0
    figure, (axes,) = blank(f"Latency distribution at {highest} {FACTORS[factor].unit}")
    logarithmic(axes)
    level = table[table["valid"] & (table[factor] == highest)]
    looks = styles(table)
    for arm, name in words.labels(table).items():
        style = looks[arm]
        curves = [trial for trial in level.loc[level["arm"] == arm, "percentiles_ms"] if trial]
        for curve in curves:
            axes.plot(*_hdr(curve), color=style.colour, linewidth=0.6, alpha=0.4, linestyle=style.line)
        if curves:
            # Only where every block has the percentile: a mean over fewer would jump.
            shared = [p for p in curves[0] if all(p in curve for curve in curves)]
            middle = {p: float(np.exp(np.mean([np.log(curve[p]) for curve in curves]))) for p in shared}
            axes.plot(*_hdr(middle), color=style.colour, linewidth=2.2, linestyle=style.line, label=name)
    axes.xaxis.set_major_locator(FixedLocator([_nines(float(p)) for p in TAIL]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{p} %" for p in TAIL]))
    axes.set_xlabel("part of the calls that were at least this fast")
    label(axes, "latency (ms)", "thin: one block each; thick: geometric mean over blocks")
    return figure


def cpu_per_call(table: pd.DataFrame, factor: str = "vus") -> Figure:
    """CPU time of the server per acknowledged call against a factor."""
    figure, (axes,) = blank(f"Server CPU time per acknowledged call against {FACTORS[factor].axis}")
    against(axes, table, "cpu_per_call_us", factor)
    label(axes, "server CPU per call (µs)", f"{ERROR_BARS}; the axis does not begin at 0")
    return figure


def instrument(table: pd.DataFrame, factor: str = "vus") -> Figure:
    """What the load really was: calls in flight, and how busy k6 and the server were."""
    figure, panels = blank("Was the server loaded, and was it the server that was measured?", panels=3)
    logarithmic(panels[0])
    against(panels[0], table, "in_flight", factor, geometric=True)
    if factor == "vus":
        numbers = sorted(table["vus"].unique())
        panels[0].plot(numbers, numbers, color="dimgray", linewidth=1, zorder=0, label="= VUs")
    label(panels[0], "calls in flight (Little's law)")
    against(panels[1], table, "generator_busy", factor)
    panels[1].axhline(GENERATOR_LIMIT, color="dimgray", linewidth=1, label=f"limit, {GENERATOR_LIMIT:g}")
    label(panels[1], "part of its cores that the generator used")
    against(panels[2], table, "server_cores", factor)
    label(panels[2], "cores that the server used")
    for axes in panels[1:]:
        axes.set_ylim(bottom=0)
    caption(figure, ERROR_BARS)
    return figure


ALL: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "throughput": throughput,
    "latency": latency,
    "latency-distribution": latency_distribution,
    "instrument": instrument,
}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> tuple[pd.DataFrame, str]:
    """Return what the figures are drawn from, of a run, and against what."""
    return load(folder), load_plan(folder).factor


def _title(table: pd.DataFrame, metric: str, factor: str) -> str:
    """The answer, which is about levels of VUs; or what is drawn."""
    if factor == "vus":
        return levels.headline(table, metric)
    return f"{words.METRIC_WORDS[metric][0].capitalize()} against {FACTORS[factor].axis}"


def hollow(table: pd.DataFrame) -> str:
    """Return what small print says of hollow dots, where there are some."""
    some = table["flags"].str.contains("|".join(voiding("throughput_rps"))).any()
    return "; hollow: the load generator was the limit, not the server" if some else ""


def _hdr(percentiles_ms: dict[str, float]) -> tuple[list[float], list[float]]:
    return [_nines(float(p)) for p in percentiles_ms], list(percentiles_ms.values())


def _nines(percentile: float) -> float:
    """90 → 1, 99 → 2, 99.9 → 3."""
    return float(-np.log10(1 - percentile / 100))
