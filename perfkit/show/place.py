"""The place at the top of a notebook where its answer stands, with its picture, while it runs and at the end."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.analysis.levels import SweepAnswer
from perfkit.checkout import ROOT
from perfkit.clock import Clock
from perfkit.record.load import load_environment, load_plan
from perfkit.show import draw, own_style, report, report_commit, report_studies, words
from perfkit.show.curves import crossover as crossover_said
from perfkit.show.curves import offered, scalability
from perfkit.show.report import Markdown
from perfkit.studies import commit, compare, crossover, engines, published, sweep
from perfkit.studies.several.pool import Pool

if TYPE_CHECKING:
    from IPython.display import Image

LEAST_APART_S = 15.0
"""How far apart it is drawn anew while something is measured: each time costs about a second."""


def _comparisons_figure(folder: Path) -> str:
    return "loads" if len(load_plan(folder).variations) > 1 else "forest"


def _sweeps_figure(folder: Path) -> str:
    plan = load_plan(folder)
    if plan.factor == "rate":
        return "offered"
    return "price" if len(plan.arms) > 1 else "levels"


ANSWERS: dict[str, tuple[Callable[[Path], tuple[Markdown, Markdown]], Callable[[Path], str]]] = {
    sweep.STUDY.name: (report.sweep_parts, _sweeps_figure),
    compare.STUDY.name: (report.comparison_parts, _comparisons_figure),
    engines.STUDY.name: (report_studies.engines_parts, lambda _: "ladder"),
    commit.STUDY.name: (report_commit.parts, lambda _: "gain"),
    crossover.STUDY.name: (crossover_said.parts, lambda _: "map"),
    published.STUDY.name: (report_studies.published_parts, lambda _: "study-beside-ours"),
}
"""study → what it says of its folder, and what that rests on; and the figure between the two"""


class Place:
    """A place in a notebook that is shown now and filled later, wherever the cell is that fills it."""

    def __init__(self, study: str, clock: Clock = time) -> None:
        from IPython.display import display  # noqa: PLC0415 - a shell's command needs none

        self._say, self._figure = ANSWERS[study]
        self._clock = clock
        self._drawn_s = clock.monotonic()
        nothing = Markdown("")
        empty = (Markdown("*The answer stands here as soon as something is known.*"), nothing, nothing)
        self._handles = [display(one, display_id=True) for one in empty]  # type: ignore[no-untyped-call]

    def show(self, folder: str | Path, *, keep: bool = True) -> None:
        """Show what the run, or runs, in this folder say, and `keep` the figure there."""
        home = Path(folder)
        said, basis = self._say(home)
        contents: tuple[Any, ...] = (said, draw(self._figure(home), home, keep=keep), basis)
        for handle, content in zip(self._handles, contents, strict=True):
            if handle is not None:  # outside a notebook there is none
                handle.update(content)
        self._drawn_s = self._clock.monotonic()

    def show_now_and_then(self, folder: Path) -> None:
        """Show it unless it was shown a moment ago; between two blocks of a run."""
        if self._clock.monotonic() - self._drawn_s >= LEAST_APART_S:
            self.show(folder, keep=False)


NOTHING_MORE = (
    'Nothing more was asked for: several rates (`rate="500,1000,2000"`), a law of scalability '
    '(`vus="1,2,4,8,16,32"`, both with `method="solo"`), or the stages of a call (`stages=True`).'
)

COST = ROOT / "data" / "example" / "stages-cost"
"""A stored comparison of an arm with itself, its calls watched."""


def _watched(_: SweepAnswer) -> list[str]:
    cost = compare.answer(COST).cpu_per_call
    assert cost is not None  # noqa: S101 - as it is stored
    price = f"{words.percent(cost)} CPU per call where that was measured ({load_environment(COST).cpu_model})"
    what = "Stages follow each other in the server, from when grpcio hands a call to its executor until it is answered."
    return [f"{what} To watch one call in 16 costs the server {price}; docs/stages.md."]


SAID: dict[str, Callable[[SweepAnswer], Iterable[str]]] = {
    "offered": offered.table_lines,
    "scalability": scalability.lines,
    "stages": _watched,
}
"""figure → the lines beneath it"""


def more(folder: str | Path) -> None:
    """Show what only some sweeps have: latency over offered rates, a law of scalability, the stages of a call."""
    from IPython.display import display  # noqa: PLC0415 - as above

    from perfkit.show.figures.curves import of_sweeps  # noqa: PLC0415 - heavy

    answer = sweep.answer(folder)
    names = of_sweeps.known(answer)
    for name in names:
        display(draw(name, folder), Markdown("\n".join(SAID[name](answer))))  # type: ignore[no-untyped-call]
    if not names:
        display(Markdown(NOTHING_MORE))  # type: ignore[no-untyped-call]


def draw_pool(found: Pool) -> "Image":
    """Return the forest plot of pooled comparisons, for a notebook to show."""
    from perfkit.show.figures import files, several  # noqa: PLC0415 - heavy

    with own_style():
        return files.image(several.forest(found))
