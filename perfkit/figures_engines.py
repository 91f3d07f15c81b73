"""A survey of engines → matplotlib figures."""

from collections.abc import Callable

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from perfkit import survey as surveys
from perfkit.arms import PATTERNS, Arm
from perfkit.figures import STYLES, WIDE, bar, blank, caption, keep
from perfkit.survey import Survey

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)

ROOM = 1.25
"""How many times beyond the outermost ratio the axis goes on."""


def ladder(survey: Survey) -> Figure:
    """CPU per call of every arm in the reference's, and of each queue in its own engine's lock's."""
    figure, (costs, queues) = blank(surveys.headline(survey), panels=2)
    _rows(costs, survey.arms)
    for height, arm in enumerate(survey.arms):
        cost = survey.cost.get(arm)
        if arm == survey.reference:
            _dot(costs, 1, height, arm, None)
        elif cost:
            _dot(costs, cost.ratio, height, arm, bar(cost))
        else:
            costs.annotate("not trusted", (1, height), fontsize=8, va="center")
    costs.axvline(1, color="dimgray", linewidth=1)
    drawn = [1, *(ratio.ratio for ratio in survey.cost.values())]
    fastest, low, high = min(drawn), min(drawn) / ROOM, max(drawn) * ROOM
    costs.set_xscale("log")
    costs.set_xlim(low, high)
    _ticks(costs.xaxis, low, high)
    costs.set_xlabel(f"CPU per call, times {survey.reference.name}'s")
    above = costs.secondary_xaxis(
        "top", functions=(lambda x: np.asarray(x) / fastest, lambda x: np.asarray(x) * fastest)
    )
    _ticks(above.xaxis, low / fastest, high / fastest)
    above.set_xlabel("times the fastest's")
    _rows(queues, tuple(survey.queues))
    for height, (arm, ratio) in enumerate(survey.queues.items()):
        _dot(queues, ratio.ratio, height, arm, bar(ratio))
    queues.axvspan(1 - surveys.MATTERS, 1 + surveys.MATTERS, color="dimgray", alpha=0.15)
    queues.axvline(1, color="dimgray", linewidth=1)
    queues.set_xlabel("CPU per call of the queue, times that of mutex on the same engine")
    _legend(costs)
    caption(
        figure,
        "bars: 95 % interval over blocks of joint trials (t, on logarithms), of the two arms named; "
        f"grey: ± {surveys.MATTERS * 100:g} %; logarithmic on the left",
        WIDE,
    )
    return figure


def alone(survey: Survey) -> Figure:
    """Every arm by itself: CPU per call and throughput in a closed loop, 99th percentile at one offered rate."""
    figure, panels = blank(f"Each arm alone, {survey.vus} VUs", panels=3, share_y=True)
    drawn = (
        (survey.closed, "cpu_per_call_us", "server CPU per call (µs)"),
        (survey.closed, "throughput_rps", "throughput, closed loop (calls per second)"),
        (survey.offered, "p99_ms", f"p99 (ms), offered {survey.rate} calls per second"),
    )
    _rows(panels[0], survey.arms)
    for axes, (trials, metric, label) in zip(panels, drawn, strict=True):
        for height, arm in enumerate(survey.arms):
            found = surveys.alone(trials, arm, metric)
            if found is None:
                continue
            hollow = metric != "cpu_per_call_us" and surveys.is_limited(trials, arm)
            _dot(axes, found.estimate, height, arm, bar(found), hollow=hollow)
        axes.set_xlim(left=0)
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
    _legend(panels[0])
    caption(
        figure,
        "dots: geometric mean over blocks; bars: its 95 % interval (t); hollow: k6 was the limit, not the server",
        WIDE,
    )
    return figure


ALL: dict[str, Callable[[Survey], Figure]] = {"ladder": ladder, "alone": alone}
"""name of the file in the survey's folder → the figure"""


def draw(name: str, survey: Survey) -> Image:
    """Draw one of ALL, write it to the survey's folder as PNG and SVG, and return it for a notebook to show."""
    return keep(ALL[name](survey), survey.folder, name)


def _rows(axes: Axes, arms: tuple[Arm, ...]) -> None:
    axes.set_yticks(range(len(arms)), [arm.name.replace("?", "\n?") for arm in arms], fontsize=8)
    axes.set_ylim(max(len(arms), 1) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)


def _dot(
    axes: Axes, x: float, height: float, arm: Arm, reach: list[list[float]] | None, *, hollow: bool = False
) -> None:
    colour, marker, _ = _style(arm)
    axes.errorbar(
        x, height, xerr=reach, color=colour, marker=marker, markersize=8, capsize=5, linewidth=2, linestyle="none",
        markerfacecolor="none" if hollow else colour,
    )  # fmt: skip


def _legend(axes: Axes) -> None:
    for pattern, (colour, marker, _) in zip(PATTERNS, STYLES, strict=False):
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=pattern)
    axes.legend(frameon=False, fontsize=8)


def _style(arm: Arm) -> tuple[str, str, str]:
    return STYLES[PATTERNS.index(arm.pattern)] if arm.pattern in PATTERNS else STYLES[len(PATTERNS)]


def _ticks(axis: Axis, low: float, high: float) -> None:
    axis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())
