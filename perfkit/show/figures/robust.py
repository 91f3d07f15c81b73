"""A comparison under several kinds of load → matplotlib figure: a row each, from the smallest ratio to the largest."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from perfkit.analysis import comparison
from perfkit.analysis.robust import Robustness
from perfkit.design.factors import K6
from perfkit.show import robust
from perfkit.show.figures.kit import MORE_STYLES, STYLES, blank, caption, margin, row, rows
from perfkit.studies.compare import robustness

LOOKS = {True: STYLES["mutex"], False: MORE_STYLES[0]}
"""whether k6 was the generator → the looks of a row"""


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


ALL: dict[str, Callable[[Robustness], Figure]] = {"loads": loads}
"""name of the file in the run folder → the figure"""


def inputs(folder: Path) -> tuple[Robustness]:
    """Return what the figure is drawn from, of a comparison's run."""
    return (robustness(folder),)
