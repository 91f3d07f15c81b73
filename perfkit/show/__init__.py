"""What a person sees: figures, sentences, tables, all computed from what is stored."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.errors import PlanError

if TYPE_CHECKING:
    from IPython.display import Image


def own_style() -> AbstractContextManager[None]:
    """Return the style in which every figure is made.

    A user's own (TeX, say) is for the user's own figures; and a $ in a command is no mathematics.
    """
    from matplotlib import style  # noqa: PLC0415 - heavy

    return style.context(["default", {"text.parse_math": False}])


def draw(name: str, folder: str | Path, *, keep: bool = True) -> "Image":
    """Draw a figure of a run (or of a study's folder of runs), `keep` it there as PNG and SVG, and return it.

    The names are those of the files in `figures/`; an unknown one is refused with a PlanError that lists them.
    """
    from perfkit.show.figures import commit, compare, engines, files, levels, published, several  # noqa: PLC0415 - heavy
    from perfkit.show.figures.curves import crossover, of_sweeps, sweep  # noqa: PLC0415

    known: dict[str, Any] = {
        name: (function, module.inputs)
        for module in (levels, sweep, of_sweeps, compare, several, engines, commit, crossover, published)
        for name, function in module.ALL.items()
    }
    if name not in known:
        raise PlanError(f"figure {name!r} is unknown; the figures are: {', '.join(known)}")
    function, inputs = known[name]
    with own_style():
        figure = function(*inputs(Path(folder)))
        return files.keep(figure, folder, name) if keep else files.image(figure)
