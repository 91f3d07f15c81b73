"""perfkit: what a lock and a single owner behind a queue cost in a gRPC service under load, with an honest error bar.

A served process imports this package too, so what needs pandas, matplotlib or gRPC is imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfkit import (
        figures,
        figures_compare,
        figures_engines,
        figures_published,
        published,
        report,
        statistics,
        survey,
    )
    from perfkit.experiment import answer, compare, sweep
    from perfkit.notebooks import check_parameters
    from perfkit.rows import columns
    from perfkit.store import load, load_environment, load_joint

__all__ = [
    "answer",
    "check_parameters",
    "columns",
    "compare",
    "figures",
    "figures_compare",
    "figures_engines",
    "figures_published",
    "load",
    "load_environment",
    "load_joint",
    "published",
    "report",
    "statistics",
    "survey",
    "sweep",
]

_HOME = {
    "answer": "perfkit.experiment",
    "compare": "perfkit.experiment",
    "load_joint": "perfkit.store",
    "check_parameters": "perfkit.notebooks",
    "columns": "perfkit.rows",
    "load": "perfkit.store",
    "load_environment": "perfkit.store",
    "sweep": "perfkit.experiment",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        return import_module(f"perfkit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
