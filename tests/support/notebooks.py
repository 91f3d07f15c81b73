"""Notebooks, as files: read as JSON, since nbformat takes five seconds to be imported."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Cell:
    kind: str
    source: str
    tags: list[str]
    outputs: list[dict[str, Any]]
    execution_count: int | None


def cells(path: Path) -> list[Cell]:
    return [
        Cell(
            cell["cell_type"],
            "".join(cell["source"]),
            cell["metadata"].get("tags", []),
            cell.get("outputs", []),
            cell.get("execution_count"),
        )
        for cell in json.loads(path.read_text())["cells"]
    ]


def code_cells(path: Path) -> list[Cell]:
    return [cell for cell in cells(path) if cell.kind == "code"]


def outputs_of(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path) for output in cell.outputs]


def images(path: Path) -> list[bytes]:
    pictures = (output.get("data", {}).get("image/png") for output in outputs_of(path))
    return [base64.b64decode(picture) for picture in pictures if picture]


def text(path: Path) -> str:
    """Return all Markdown that a notebook shows."""
    return "\n".join("".join(output.get("data", {}).get("text/markdown", "")) for output in outputs_of(path))
