"""A sweep's answer → matplotlib figures: what was served at each level, and what the queue costs there."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfkit.analysis.levels import CPU, THROUGHPUT, SweepAnswer
from perfkit.analysis.statistics import Ratio
from perfkit.design.factors import FACTORS
from perfkit.design.plan import SOLO
from perfkit.show import levels as told
from perfkit.show import words
from perfkit.show.figures.curves import sweep as sweep_figures
from perfkit.show.figures.kit import (
    CONTROL_STYLES,
    ERROR_BARS,
    WIDE,
    Style,
    against,
    bar,
    blank,
    caption,
    label,
    logarithmic,
    margin,
    styles,
)
from perfkit.studies import sweep

TOGETHER = "all"
"""What the place on the axis is called that speaks of all levels."""

APART = 0.12
"""How far arms and controls stand apart at a place on the axis."""


def served(answer: SweepAnswer) -> Figure:
    """Throughput, and latency at p50 and p99, against VUs: the picture for a talk."""
    table, solo = answer.trials, answer.solo
    latencies = [name for name in ("p50", "p99") if solo[f"{name}_ms"].notna().any()]
    figure, (throughput, *panels) = blank(told.sentence(answer, THROUGHPUT), panels=1 + len(latencies))
    against(throughput, table, THROUGHPUT, answer.plan.factor)
    throughput.set_title("throughput")
    label(throughput, "acknowledged calls per second")
    for axes, name in zip(panels, latencies, strict=True):
        logarithmic(axes)
        against(axes, solo, f"{name}_ms", answer.plan.factor, geometric=True)
        axes.set_title(f"latency, {name}")
        label(axes, "ms", legend=False)
    where = "" if answer.method == SOLO else f"; throughput: {words.WAYS[answer.method]}; latency: {words.WAYS[SOLO]}"
    caption(figure, f"{ERROR_BARS}{where}; axes don't begin at 0{sweep_figures.hollow(table)}", WIDE)
    return figure


def price(answer: SweepAnswer) -> Figure:
    """How many times the first arm's the others' CPU per call and throughput are, level by level, and the controls'."""
    figure, panels = blank(told.sentence(answer), panels=2)
    names, looks = words.labels(answer.trials), styles(answer.trials)
    every = [one for over in answer.over.values() for found in over.values() for one in found.ratios]
    numbers = sorted({one.levels[0] for one in every})
    places = [*map(str, numbers), TOGETHER]
    for axes, metric in zip(panels, (CPU, THROUGHPUT), strict=True):
        margin(axes, answer.plan.margin_pct, horizontal=True)
        for number, (arm, over) in enumerate(answer.over.items()):
            found = over[metric]
            shift = APART * number
            middles = [(numbers.index(one.levels[0]) + shift, one) for one in found.ratios]
            points(axes, middles, looks[arm], names[arm], line=True)
            if found.together:
                points(axes, [(len(numbers) + shift, found.together)], looks[arm])
        if metric == CPU:
            for number, (role, control) in enumerate(answer.controls.items(), start=1):
                name = told.NAMES.get(role, role)
                points(axes, [(len(numbers) - APART * number, control.result)], CONTROL_STYLES[role], name)
        axes.set_xticks(range(len(places)), places)
        axes.set_xlabel(FACTORS[answer.plan.factor].axis)
        label(axes, f"{words.METRIC_WORDS[metric][0]}, times {names.get(answer.baseline, 'the first')}'s", legend=False)
    shown = panels[0].get_legend_handles_labels()
    figure.legend(*shown, frameon=False, loc="outside right center")  # over the data it would hide a bar
    caption(
        figure,
        "bars: 95 % intervals over blocks, which hold for all levels together; 'all': over all levels, where they do "
        "not differ beyond chance; no mark: no verdict there; the handicap control is a known burn of about 10 %",
        WIDE,
    )
    return figure


def points(axes: Axes, at: list[tuple[float, Ratio]], style: Style, name: str = "", *, line: bool = False) -> None:
    """Draw ratios with their intervals, each at a place on the axis, with a line through them where that is wanted."""
    if line:
        axes.plot([x for x, _ in at], [one.ratio for _, one in at], color=style.colour, linestyle=style.line)
    for number, (x, one) in enumerate(at):
        axes.errorbar(
            x, one.ratio, yerr=bar(one), color=style.colour, marker=style.marker, markersize=7, capsize=4,
            linewidth=1.8, linestyle="none", label="" if number else name,
        )  # fmt: skip


def cpu_per_call(answer: SweepAnswer) -> Figure:
    """CPU time of the server per acknowledged call against VUs, of the trials in which arms are compared."""
    return sweep_figures.cpu_per_call(answer.trials, answer.plan.factor)


ALL: dict[str, Callable[[SweepAnswer], Figure]] = {"levels": served, "price": price, "cpu-per-call": cpu_per_call}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> tuple[SweepAnswer]:
    """Return what the figures are drawn from, of a sweep's run."""
    return (sweep.answer(folder),)
