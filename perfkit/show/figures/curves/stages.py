"""Watched calls → where they spent their time in the server."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfkit.analysis.levels import SweepAnswer
from perfkit.design.engines import STAGES
from perfkit.design.factors import FACTORS
from perfkit.show import words
from perfkit.show.figures.kit import WIDE, blank, caption, label, wrapped

LOOKS = {
    "worker": ("#0072B2", ""),
    "reading": ("#56B4E9", "//"),
    "waiting": ("#D55E00", ""),
    "holding": ("#E69F00", "xx"),
    "committing": ("#000000", ""),
    "answering": ("#009E73", ".."),
}
"""stage → colour and hatch: either is enough"""

ELSEWHERE = "lightgray"

ROOMY = 2
"""Up to so many panels have room for whole words at their axes."""


def where_time_goes(answer: SweepAnswer) -> Figure:
    """Return the parts of a call's latency by stage, a bar a level and a panel an arm."""
    return stacked(answer.solo, answer.plan.factor, "Where a call spends its time in the server")


def stacked(table: pd.DataFrame, factor: str, title: str) -> Figure:
    """Return the mean of each stage as a part of mean latency, a bar a level of a factor and a panel an arm."""
    counted = table[table["valid"] & table["stage_worker_us"].notna()]
    names = words.labels(counted)
    figure, panels = blank(title, panels=max(1, len(names)), share_y=True)
    for axes, (arm, name) in zip(panels, names.items(), strict=False):
        _bars(axes, counted[counted["arm"] == arm], factor)
        axes.set_title(wrapped(name, 20), fontsize=10)
        axes.set_xlabel(FACTORS[factor].axis if len(names) <= ROOMY else FACTORS[factor].unit or factor)
        label(axes, "part of mean latency" if axes is panels[0] else "", legend=False)
    if names:
        handles, said = panels[0].get_legend_handles_labels()
        figure.legend(handles[::-1], said[::-1], loc="outside right upper", frameon=False, fontsize=8)
    caption(
        figure,
        "one call in 16 is watched; numbers: mean latency as k6 saw it, ms; grey: what the server's executor does "
        "not see (network, k6, grpcio before it hands a call over); means over blocks of solo trials",
        WIDE,
    )
    return figure


def _bars(axes: Axes, trials: pd.DataFrame, factor: str) -> None:
    means = trials.groupby(factor)[[*(f"stage_{name}_us" for name in STAGES), "latency_avg_ms"]].mean()
    levels = [f"{level:g}" for level in means.index]
    total_us = means["latency_avg_ms"].astype(float) * 1e3
    bottom = pd.Series(0.0, index=means.index)
    for name, what in STAGES.items():
        part = means[f"stage_{name}_us"].astype(float) / total_us
        colour, hatch = LOOKS[name]
        axes.bar(levels, part, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=what)
        bottom += part
    rest = (1 - bottom).clip(lower=0)
    axes.bar(levels, rest, bottom=bottom, color=ELSEWHERE, label="elsewhere")
    for place, total in enumerate(total_us):
        top = max(1.0, float(bottom.iloc[place])) + 0.01  # watched calls are a sample: they may have waited longer
        axes.annotate(f"{total / 1e3:.3g}", (place, top), ha="center", fontsize=8)
    axes.set_ylim(0, 1.1)
