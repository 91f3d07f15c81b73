"""Several answers to one question → matplotlib figures: under several kinds of load, and of several stored runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from perfkit.analysis import comparison
from perfkit.analysis.several.pooling import Joined
from perfkit.analysis.several.robust import Robustness
from perfkit.analysis.statistics import Interval, Ratio
from perfkit.analysis.verdict import band
from perfkit.design.factors import K6
from perfkit.show.figures.kit import MORE_STYLES, STYLES, Style, bar, blank, caption, label, margin, row, rows
from perfkit.show.several import pooled as pooled_words
from perfkit.show.several import robust
from perfkit.studies.compare import robustness
from perfkit.studies.several.history import Stored
from perfkit.studies.several.pool import Pool

LOOKS = {True: STYLES["mutex"], False: MORE_STYLES[0]}
"""whether k6 was the generator → the looks of a row"""

MANY_RUNS = 8
"""From so many on, their names are written aslant."""


def loads(found: Robustness) -> Figure:
    """The ratio of b to a under each kind of load, with its interval and the margin: a specification curve."""
    figure, (axes,) = blank(robust.sentence(found))
    a, b = comparison.names(found.answers[0].plan)
    margin(axes, found.answers[0].plan.margin_pct)
    known = [(one.cpu_per_call, one.load) for one in found.answers if one.cpu_per_call]
    known.sort(key=lambda one: one[0].ratio)
    for height, (result, load) in enumerate(known):
        row(axes, result, height, LOOKS[load.generator == K6])
        axes.annotate(f"{result.ratio:.3f}", (result.ratio, height), (0, 7), textcoords="offset points", ha="center",
                      fontsize=8)  # fmt: skip
    rows(axes, [robust.kind(load) for _, load in known])
    axes.set_xlabel(f"CPU per call of {b}, times that of {a}")
    axes.legend(frameon=False, loc="best")
    caption(figure, "bars: 95 % interval over the same blocks; markers tell the generators apart")
    return figure


def line(runs: Sequence[Stored]) -> Figure:
    """The ratio of each run, in order of time, with its interval and the margin; runs not trusted are hollow."""
    several = {name: one for run in runs for name, one in run.ratios.items()}
    figure, (axes,) = blank(robust.over_runs(runs))
    margin(axes, runs[0].plan.margin_pct, horizontal=True)
    for number, name in enumerate(several):
        known = [(at, run.ratios[name], run.is_trusted) for at, run in enumerate(runs) if name in run.ratios]
        style = (STYLES["inputQ"], *MORE_STYLES)[number % (len(MORE_STYLES) + 1)]
        shift = 0.08 * (number - (len(several) - 1) / 2)
        axes.plot([at + shift for at, _, _ in known], [one.ratio for _, one, _ in known], color=style.colour,
                  linestyle=style.line, linewidth=1.2, label=name)  # fmt: skip
        for at, one, is_trusted in known:
            axes.errorbar(at + shift, one.ratio, yerr=bar(one), color=style.colour, marker=style.marker, markersize=7,
                          capsize=4, markerfacecolor=style.colour if is_trusted else "none")  # fmt: skip
    ends = [
        *band(runs[0].plan.margin_pct),
        *(end for run in runs for one in run.ratios.values() for end in one.interval),
    ]
    axes.set_ylim(min(ends) - 0.01, max(ends) + 0.01)
    axes.set_xticks(range(len(runs)), [f"{run.name[:24]}\n{run.started_at[:10]}" for run in runs], fontsize=8)
    if len(runs) > MANY_RUNS:
        axes.tick_params(axis="x", rotation=60)
    label(axes, "times the baseline's", "bars: 95 % interval over the blocks of a run; hollow: that run is not trusted")
    return figure


def forest(found: Pool) -> Figure:
    """A row a run under its machine, a row a machine, all together, and where the next machine is expected."""
    pooled = found.pooled
    heights: list[tuple[str, Ratio | Interval, Style, int]] = []
    for machine in pooled.machines:
        own = [one for one in pooled.runs if one.machine == machine.name]
        heights += [(f"{one.name}  ", one.ratio, STYLES["inputQ"], 6) for one in own]
        if len(own) > 1:
            heights.append((machine.name, _as_interval(machine), STYLES["mutex"], 9))
    heights.append(("all", _as_interval(pooled.together), STYLES["leader"], 11))
    if pooled.prediction:
        low, high = pooled.prediction
        heights.append(("the next machine", Interval(pooled.together.ratio, low, high, 0), MORE_STYLES[0], 0))
    figure, (axes,) = blank(pooled_words.sentence(found))
    figure.set_figheight(max(3.5, 1.6 + 0.32 * len(heights)))
    margin(axes, found.margin_pct)
    for height, (_, one, style, size) in enumerate(heights):
        row(axes, one, height, style, size=size)
    rows(axes, [name for name, *_ in heights], fontsize=8)
    axes.set_xlabel(f"CPU per call of {found.b}, times that of {found.a}")
    axes.legend(frameon=False, loc="best")
    what = "simulated runs of known spread, no machine was measured; " if found.is_simulated else ""
    caption(figure, f"{what}bars: 95 % intervals; of a run over its blocks, of all over machines (Hartung and Knapp)")
    return figure


def _as_interval(one: Joined) -> Interval:
    return Interval(one.ratio, one.low, one.high, one.runs)


ALL: dict[str, Callable[[Robustness], Figure]] = {"loads": loads}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> tuple[Robustness]:
    """Return what the figure is drawn from, of a comparison's run."""
    return (robustness(folder),)
