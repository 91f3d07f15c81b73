"""Notebooks as programs: what papermill put into them, how it executes them for the command line, and as pages."""

import ast
import difflib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfkit.checkout import ROOT
from perfkit.errors import NotebookError, PlanError
from perfkit.studies.catalogue import CATALOGUE

FOLDER = ROOT / "notebooks"

INJECTED = "# Parameters\n"
"""How papermill begins the cell that it puts behind the one tagged `parameters`."""


KERNEL_QUIET = ["--log-level=CRITICAL"]
"""What a kernel logs of its own beginning and end tells a user nothing; cells that fail are told otherwise."""


def check_parameters(study: str, cells: Sequence[str]) -> None:
    """Refuse injected parameters that the study of this name does not have; `cells` are those run, IPython's `In`.

    papermill only warns of a misspelt name and runs on with the default.
    """
    known = list(CATALOGUE[study].parameters)
    for cell in cells:
        if cell.startswith(INJECTED):
            for statement in ast.parse(cell).body:
                # A cell of one's own may begin so too, and do anything; papermill gives names literals.
                if isinstance(statement, ast.Assign) and _is_literal(statement.value):
                    for target in statement.targets:
                        if isinstance(target, ast.Name):
                            _refuse_unknown(target.id, known)


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


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
    with tempfile.TemporaryDirectory(prefix="perfkit-") as sockets:
        kernel = {"transport": "ipc", "ip": f"{sockets}/kernel"}
        try:
            papermill.execute_notebook(
                _unformatted(FOLDER / name), _unformatted(output), dict(values), kernel_name="python3",
                progress_bar=False, stdout_file=sys.stdout, stderr_file=sys.stderr,
                config=Config(KernelManager=kernel), extra_arguments=KERNEL_QUIET,
            )  # fmt: skip
        except PapermillExecutionError as error:
            raise NotebookError(f"{error.ename}: {error.evalue}; the notebook as far as it came is {output}") from error


def _unformatted(path: Path) -> str:
    """Return a path as papermill takes it, which puts parameters where braces are."""
    return str(path).replace("{", "{{").replace("}", "}}")


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
img {{ max-width: 100%; height: auto }}
table {{ border-collapse: collapse; font-size: 0.85rem; display: block; overflow-x: auto }}
td, th {{ border-bottom: 1px solid #ddd; padding: 0.2rem 0.6rem; text-align: left }}
pre {{ white-space: pre-wrap; font-size: 0.8rem }}
.anchor-link {{ display: none }}
</style></head><body>
{body}
</body></html>
"""


def export(executed: Path, page: Path) -> None:
    """Write an executed notebook as one HTML file without its code, which needs nothing from elsewhere."""
    from nbconvert import HTMLExporter  # noqa: PLC0415 - as in `execute`

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic", exclude_input=True, exclude_output_prompt=True
    )  # fmt: skip
    body, _ = exporter.from_filename(str(executed))
    page.write_text(PAGE.format(title=executed.stem, body=body))
