"""The place at the top of a notebook where its answer stands, with its picture, while it runs and at the end."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.record.load import load_plan
from perfkit.show import draw, report, report_commit, report_studies
from perfkit.show.report import Markdown
from perfkit.studies import commit, compare, engines, published, sweep

LEAST_APART_S = 15.0
"""How far apart it is drawn anew while something is measured: each time costs about a second."""


def _comparisons_figure(folder: Path) -> str:
    return "loads" if len(load_plan(folder).variations) > 1 else "forest"


ANSWERS: dict[str, tuple[Callable[[Path], tuple[Markdown, Markdown]], Callable[[Path], str]]] = {
    sweep.STUDY.name: (report.sweep_parts, lambda _: "levels"),
    compare.STUDY.name: (report.comparison_parts, _comparisons_figure),
    engines.STUDY.name: (report_studies.engines_parts, lambda _: "ladder"),
    commit.STUDY.name: (report_commit.parts, lambda _: "gain"),
    published.STUDY.name: (report_studies.published_parts, lambda _: "study-beside-ours"),
}
"""study → what it says of its folder, and what that rests on; and the figure between the two"""


class Place:
    """A place in a notebook that is shown now and filled later, wherever the cell is that fills it."""

    def __init__(self, study: str) -> None:
        from IPython.display import display  # noqa: PLC0415 - a shell's command needs none

        self._say, self._figure = ANSWERS[study]
        self._drawn_s = time.monotonic()
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
        self._drawn_s = time.monotonic()

    def show_now_and_then(self, folder: Path) -> None:
        """Show it unless it was shown a moment ago; between two blocks of a run."""
        if time.monotonic() - self._drawn_s >= LEAST_APART_S:
            self.show(folder, keep=False)
