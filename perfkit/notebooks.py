"""Notebooks as programs: what papermill put into them, and how it executes them for the command line."""

import ast
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfkit.checkout import ROOT
from perfkit.errors import NotebookError, PlanError
from perfkit.studies.catalogue import CATALOGUE

FOLDER = ROOT / "notebooks"

INJECTED = "# Parameters\n"
"""How papermill begins the cell that it puts behind the one tagged `parameters`."""


def check_parameters(study: str, cells: Sequence[str]) -> None:
    """Refuse injected parameters that the study of this name does not have; `cells` are those run, IPython's `In`.

    papermill only warns of a misspelt name and runs on with the default.
    """
    known = list(CATALOGUE[study].parameters)
    for cell in cells:
        if cell.startswith(INJECTED):
            for statement in ast.parse(cell).body:
                for target in getattr(statement, "targets", ()):
                    _refuse_unknown(target.id, known)


def _refuse_unknown(name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise PlanError(f"parameter {name!r} is unknown; {meant}The parameters are: {', '.join(known)}")


def execute(name: str, values: Mapping[str, Any], output: Path) -> None:
    """Execute a notebook on this environment's kernel, its output streams shown live; a NotebookError if a cell fails.

    `output` gets the executed notebook in either case.
    """
    # Imported here: it takes seconds, which neither a notebook that checks its parameters nor a refused command needs.
    import papermill  # noqa: PLC0415
    from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415
    from traitlets.config import Config  # noqa: PLC0415

    # A kernel of the same name that the user has elsewhere must not stand in for this environment's.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ.pop("JUPYTER_PATH", None)
    try:
        papermill.execute_notebook(
            str(FOLDER / name), str(output), dict(values), kernel_name="python3", progress_bar=False,
            stdout_file=sys.stdout, stderr_file=sys.stderr, config=Config(KernelManager={"transport": "ipc"}),
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise NotebookError(f"{error.ename}: {error.evalue}; the notebook as far as it came is {output}") from error
