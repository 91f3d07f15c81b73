import ast
from pathlib import Path

from .conftest import ROOT

LAYERS = [
    {"errors", "_launch", "environment", "engines"},
    {"parameters", "counters"},
    {"arms", "counters_async", "engines.contract"},
    {"engines.workers"},
    {"engines.threads", "engines.asyncio", "engines.native"},
    {"plan", "serve"},
    {"results", "process", "statistics"},
    {"rows", "foreign", "k6", "stopping", "controls"},
    {"runner", "store", "comparison", "doctor"},
    {"report", "gate", "experiment"},
    {"figures", "published", "survey"},
    {"figures_compare", "figures_published", "figures_engines", "notebooks", "calibrate"},
    {"__main__"},
]
"""From the ground up: a module may import only what lies below it."""

LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}


def modules():
    for path in sorted((ROOT / "perfkit").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "perfkit").with_suffix("").parts).removesuffix(".__init__")
        if "_proto" not in name and name != "__init__":
            yield name, path


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "perfkit":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("perfkit."):
            home = node.module.removeprefix("perfkit.")
            inner = {f"{home}.{alias.name}" for alias in node.names} & set(LEVEL)  # modules of a package
            found |= inner | {home}
    return {name for name in found if name != "_proto"}


def test_every_module_has_a_layer():
    assert {name for name, _ in modules()} == set(LEVEL)


def test_imports_point_down():
    for name, path in modules():
        for other in imported(path):
            assert LEVEL[other] < LEVEL[name], f"{name} imports {other}"


def test_modules_are_small():
    for name, path in modules():
        assert len(path.read_text().splitlines()) <= 300, name
