"""Figures as files, and for notebooks to show."""

import logging
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from IPython.display import Image
from matplotlib.figure import Figure

DPI = 150

_log = logging.getLogger(__name__)


def keep(figure: Figure, run: str | Path, name: str) -> Image:
    """Write a figure to a run folder as PNG and SVG, and return it for a notebook to show."""
    folder, shown = Path(run) / "figures", image(figure)
    try:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.png").write_bytes(shown.data)
        write_svg(figure, folder / f"{name}.svg")
    except OSError as error:  # a stored run may be somebody else's: what it shows matters more
        _log.warning("figure %s is shown only, %s can't be written: %s", name, folder, error.strerror)
    return shown


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG: the same data, the same bytes."""
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def image(figure: Figure) -> Image:
    """Return a figure for a notebook to show."""
    png = BytesIO()
    figure.savefig(png, dpi=DPI, format="png")
    width, alt = int(figure.get_figwidth() * 100), figure.get_suptitle()
    return Image(data=png.getvalue(), width=width, alt=alt)  # type: ignore[no-untyped-call]
