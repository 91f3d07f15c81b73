"""Commands that read several stored runs of one question."""

from collections.abc import Callable
from pathlib import Path

import click
from matplotlib.figure import Figure

from perfkit.cli import HELP
from perfkit.errors import StoreError
from perfkit.show import own_style, words
from perfkit.show.figures import files, several
from perfkit.show.several import pooled, robust
from perfkit.studies.several import pool as together
from perfkit.studies.several.history import changes, differences, read_all


def command(name: str) -> click.Command:
    """Return the command of this name."""
    return {"diff": diff, "history": history, "pool": pool}[name]


@click.command(help=f"{HELP['diff']} The older is told by its trials, not by its place.")
@click.argument("runs", nargs=2, type=click.Path(path_type=Path))
def diff(runs: tuple[Path, Path]) -> None:
    """Print the change of each ratio, then what else is not the same."""
    old, new = read_all(runs)
    print(f"{old.name} ({old.started_at[:16]}) → {new.name} ({new.started_at[:16]})")
    for name, change in changes(old, new).items():
        print(f"{name}: {robust.went(change, is_trusted=old.is_trusted and new.is_trusted)}")
        print(f"  before {words.percent(old.ratios[name])}, now {words.percent(new.ratios[name])}")
    apart = differences(old.environment, new.environment)
    print("Not the same:" if apart else "Nothing else is known to differ: commit, programs and packages are the same.")
    for line in apart:
        print(f"  {line}")


@click.command(help=f"{HELP['history']} Each run lies in a folder of its own there.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--figure", type=click.Path(path_type=Path), help="a file for the picture, SVG  [default: in FOLDER]")
def history(folder: Path, figure: Path | None) -> None:
    """Print a line a run, and draw them."""
    found = sorted(path.parent for path in folder.glob("*/plan.json"))
    if len(found) < 2:
        raise StoreError(f"{folder} holds {len(found)} runs, and a history needs two; name the folder above theirs")
    runs = read_all(found)
    for run in runs:
        told = "; ".join(f"{name} {words.percent(one)}" for name, one in run.ratios.items()) or "nothing is known"
        print(f"{run.started_at[:16]} {run.name}: {told}{'' if run.is_trusted else ' (not trusted)'}")
    path = figure or folder / "history.svg"
    _draw(lambda: several.line(runs), path)
    print(f"{robust.over_runs(runs)}.\nfigure: {path}")


@click.command(help=f"{HELP['pool']} Executes nothing; notebooks/pool.ipynb shows the same.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--figure", type=click.Path(path_type=Path), default=Path("pool.svg"), show_default=True,
    help="a file for the picture, SVG",
)  # fmt: skip
def pool(runs: tuple[Path, ...], figure: Path) -> None:
    """Print a line a run, what all say together, and draw them."""
    found = together.pool(runs)
    _draw(lambda: several.forest(found), figure)
    print(f"{pooled.table(found)}\n\n{pooled.sentence(found)}\n{pooled.basis(found)}\nfigure: {figure}")


def _draw(draw: Callable[[], Figure], path: Path) -> None:
    try:
        with own_style():
            files.write_svg(draw(), path)
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror}; name another with --figure") from error
