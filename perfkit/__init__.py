"""perfkit: what a lock and a single owner behind a queue cost in a gRPC service under load, with an honest error bar.

A served process imports this package too, so what needs pandas, matplotlib or gRPC is imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfkit.notebooks import check_parameters
    from perfkit.record.load import load, load_environment, write_csv
    from perfkit.record.rows import columns
    from perfkit.show import draw, report, report_commit, report_studies
    from perfkit.show.curves import crossover as report_crossover
    from perfkit.show.place import Place, draw_pool, more
    from perfkit.show.several import pooled as report_pool
    from perfkit.show.study_form import study_tables
    from perfkit.studies.commit import commit
    from perfkit.studies.compare import answer, compare, robustness
    from perfkit.studies.crossover import crossover
    from perfkit.studies.engines import engines
    from perfkit.studies.engines import read as survey
    from perfkit.studies.published import published, study
    from perfkit.studies.several.pool import pool, simulated
    from perfkit.studies.sweep import sweep

__all__ = [
    "Place",
    "answer",
    "check_parameters",
    "columns",
    "commit",
    "compare",
    "crossover",
    "draw",
    "draw_pool",
    "engines",
    "load",
    "load_environment",
    "more",
    "pool",
    "published",
    "report",
    "report_commit",
    "report_crossover",
    "report_pool",
    "report_studies",
    "robustness",
    "simulated",
    "study",
    "study_tables",
    "survey",
    "sweep",
    "write_csv",
]

_HOMES = {
    "Place": ("perfkit.show.place", "Place"),
    "answer": ("perfkit.studies.compare", "answer"),
    "check_parameters": ("perfkit.notebooks", "check_parameters"),
    "columns": ("perfkit.record.rows", "columns"),
    "commit": ("perfkit.studies.commit", "commit"),
    "compare": ("perfkit.studies.compare", "compare"),
    "crossover": ("perfkit.studies.crossover", "crossover"),
    "draw_pool": ("perfkit.show.place", "draw_pool"),
    "draw": ("perfkit.show", "draw"),
    "engines": ("perfkit.studies.engines", "engines"),
    "load": ("perfkit.record.load", "load"),
    "load_environment": ("perfkit.record.load", "load_environment"),
    "more": ("perfkit.show.place", "more"),
    "pool": ("perfkit.studies.several.pool", "pool"),
    "published": ("perfkit.studies.published", "published"),
    "report": ("perfkit.show.report", ""),
    "report_commit": ("perfkit.show.report_commit", ""),
    "report_crossover": ("perfkit.show.curves.crossover", ""),
    "report_pool": ("perfkit.show.several.pooled", ""),
    "report_studies": ("perfkit.show.report_studies", ""),
    "robustness": ("perfkit.studies.compare", "robustness"),
    "simulated": ("perfkit.studies.several.pool", "simulated"),
    "study": ("perfkit.studies.published", "study"),
    "study_tables": ("perfkit.show.study_form", "study_tables"),
    "survey": ("perfkit.studies.engines", "read"),
    "sweep": ("perfkit.studies.sweep", "sweep"),
    "write_csv": ("perfkit.record.load", "write_csv"),
}
"""name → its module, and what it is called there; "": the module itself"""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute) if attribute else import_module(module)
