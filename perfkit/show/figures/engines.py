"""A survey of engines → matplotlib figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from perfkit.analysis.statistics import Interval
from perfkit.design.arms import Arm
from perfkit.show import report_studies, words
from perfkit.show.figures.kit import MORE_STYLES, STYLES, WIDE, Style, blank, caption, margin, row, rows
from perfkit.studies import engines
from perfkit.studies.engines import Survey, is_limited

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)

ROOM = 1.25
"""How many times beyond the outermost ratio the axis goes on."""


def ladder(survey: Survey) -> Figure:
    """CPU per call of every arm in the reference's, and of each queue in its own engine's lock's."""
    figure, (costs, queues) = blank(report_studies.engines_headline(survey), panels=2)
    rows(costs, [_name(arm) for arm in survey.arms], fontsize=8)
    for height, arm in enumerate(survey.arms):
        if arm == survey.reference:
            row(costs, Interval(1, None, None, 0), height, _style(arm))
        elif cost := survey.cost.get(arm):
            row(costs, cost, height, _style(arm))
        else:
            costs.annotate("not trusted", (1, height), fontsize=8, va="center")
    costs.axvline(1, color="dimgray", linewidth=1)
    drawn = [1, *(ratio.ratio for ratio in survey.cost.values())]
    cheapest, low, high = min(drawn), min(drawn) / ROOM, max(drawn) * ROOM
    costs.set_xscale("log")
    costs.set_xlim(low, high)
    _ticks(costs.xaxis, low, high)
    costs.set_xlabel(f"CPU per call under k6, times {survey.reference.name}'s")
    above = costs.secondary_xaxis(
        "top", functions=(lambda x: np.asarray(x) / cheapest, lambda x: np.asarray(x) * cheapest)
    )
    _ticks(above.xaxis, low / cheapest, high / cheapest)
    above.set_xlabel("times the cheapest's")
    rows(queues, [_name(arm) for arm in survey.queue_cost], fontsize=8)
    for height, (arm, ratio) in enumerate(survey.queue_cost.items()):
        row(queues, ratio, height, _style(arm))
    margin(queues, report_studies.MARGIN_PCT)
    queues.set_xlabel("CPU per call of the queue, times that of mutex on the same engine")
    _legend(costs, survey)
    caption(
        figure,
        f"bars: 95 % interval over blocks, {words.WAYS[survey.method]} (t, on logarithms), of the two arms named; "
        f"grey: margin, ± {report_studies.MARGIN_PCT:g} %; logarithmic on the left",
        WIDE,
    )
    return figure


def alone(survey: Survey) -> Figure:
    """Every arm by itself: CPU per call and throughput in a closed loop, 99th percentile at one offered rate."""
    figure, panels = blank(f"Each arm alone, {survey.vus} VUs", panels=3, share_y=True)
    by, served = ("k6", survey.closed) if survey.capacity.empty else ("h2load", survey.capacity)
    drawn = (
        (survey.closed, "cpu_per_call_us", "server CPU per call under k6 (µs)"),
        (served, "throughput_rps", f"throughput under {by}, closed loop (calls per second)"),
        (survey.offered, "p99_ms", f"p99 (ms) under k6, offered {survey.rate} calls per second"),
    )
    for axes, (trials, metric, label) in zip(panels, drawn, strict=True):
        for height, arm in enumerate(survey.arms):
            mean = engines.alone(trials, arm, metric)
            if mean:
                hollow = metric != "cpu_per_call_us" and is_limited(trials, arm)
                row(axes, mean, height, _style(arm), hollow=hollow)
        axes.set_xlim(left=0)
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
    rows(panels[0], [_name(arm) for arm in survey.arms], fontsize=8)
    _legend(panels[0], survey)
    caption(
        figure,
        "dots: geometric mean over blocks; bars: its 95 % interval (t); hollow: the load generator was the limit",
        WIDE,
    )
    return figure


ALL: dict[str, Callable[[Survey], Figure]] = {"ladder": ladder, "alone": alone}
"""name of the file in the survey's folder → the figure"""


def inputs(folder: Path) -> tuple[Survey]:
    """Return what the figures are drawn from, of a survey's folder."""
    return (engines.read(folder),)


def _name(arm: Arm) -> str:
    return arm.name.replace("?", "\n?")


def _style(arm: Arm) -> Style:
    return STYLES.get(arm.pattern, MORE_STYLES[0])


def _legend(axes: Axes, survey: Survey) -> None:
    there = {arm.pattern for arm in survey.arms}
    for pattern, style in STYLES.items():
        if pattern in there:
            axes.plot([], [], color=style.colour, marker=style.marker, linestyle="none", label=pattern)
    axes.legend(frameon=False, fontsize=8)


def _ticks(axis: Axis, low: float, high: float) -> None:
    axis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())
