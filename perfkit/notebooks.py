"""Notebooks as programs: their parameters, and how papermill executes them for the command line."""

import ast
import difflib
import inspect
import os
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from perfkit.errors import PerfkitError, PlanError
from perfkit.experiment import sweep

FOLDER = Path(__file__).parent.parent / "notebooks"

INJECTED = "# Parameters\n"
"""How papermill begins the cell that it puts behind the one tagged `parameters`."""


def parameters(name: str) -> dict[str, str]:
    """Return parameter → what it means: the names in the cell tagged `parameters`, and the comment behind each."""
    cells = nbformat.read(FOLDER / name, as_version=4).cells
    (source,) = (cell.source for cell in cells if "parameters" in cell.metadata.get("tags", ()))
    tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {name: comments.get(line, "") for name, line in _assigned(source)}


def check_parameters(cells: Sequence[str]) -> None:
    """Refuse injected parameters that the sweep does not have; `cells` are the sources run so far, IPython's `In`.

    papermill only warns of a misspelt name and runs on with the default.
    """
    known = list(inspect.signature(sweep).parameters)
    for cell in cells:
        if cell.startswith(INJECTED):
            for name, _ in _assigned(cell):
                _refuse_unknown(name, known)


def _assigned(source: str) -> Iterator[tuple[str, int]]:
    """Give each name that a cell assigns to, with its line."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            yield from ((target.id, target.lineno) for target in statement.targets if isinstance(target, ast.Name))


def _refuse_unknown(name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise PlanError(f"parameter {name!r} is unknown; {meant}The parameters are: {', '.join(known)}")


def execute(name: str, given: Mapping[str, Any], output: Path) -> None:
    """Execute a notebook on this environment's kernel, its output streams shown live; a PerfkitError if a cell fails.

    `output` gets the executed notebook in either case.
    """
    # A kernel of the same name that the user has elsewhere must not stand in for this environment's.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ.pop("JUPYTER_PATH", None)
    try:
        papermill.execute_notebook(
            str(FOLDER / name), str(output), dict(given), kernel_name="python3", progress_bar=False,
            stdout_file=sys.stdout, stderr_file=sys.stderr, config=Config(KernelManager={"transport": "ipc"}),
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise PerfkitError(f"{error.ename}: {error.evalue}; the notebook as far as it came is {output}") from error
