"""Which of these figures a sweep has."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from perfkit.analysis.curves.scalability import fitted_to
from perfkit.analysis.levels import SweepAnswer
from perfkit.show.figures.curves.offered import offered
from perfkit.show.figures.curves.scalability import scales
from perfkit.show.figures.curves.stages import where_time_goes
from perfkit.studies import sweep

ALL: dict[str, Callable[[SweepAnswer], Figure]] = {
    "offered": offered,
    "scalability": scales,
    "stages": where_time_goes,
}
"""name of the file in the run folder → the figure"""


def known(answer: SweepAnswer) -> tuple[str, ...]:
    """Return the names of those that there is something to show in."""
    has = {
        "offered": answer.plan.factor == "rate",
        "scalability": len(fitted_to(answer.solo)) > 0,
        "stages": bool(answer.solo["stage_worker_us"].notna().any()),
    }
    return tuple(name for name, is_there in has.items() if is_there)


def inputs(folder: Path) -> tuple[SweepAnswer]:
    """Return what the figures are drawn from, of a sweep's run."""
    return (sweep.answer(folder),)
