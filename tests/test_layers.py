import ast
from pathlib import Path

from tests.support import ROOT

FLOORS = [
    {"errors", "checkout", "clock"},
    {"service", "manifests"},
    {"design"},
    {"subject", "record"},
    {"rig", "analysis"},
    {"studies"},
    {"show", "notebooks"},
    {"cli"},
]
"""From the ground up: a room may import only from rooms below it. docs/architecture.md says what each is."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

MOST_LINES, MOST_FILES = 250, 8


def modules():
    """Give (dotted name, path) of every module but the generated stubs and the package's face."""
    for path in sorted((ROOT / "perfkit").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "perfkit").with_suffix("").parts).removesuffix(".__init__")
        if "_proto" not in name and name != "__init__":
            yield name, path


def imported(path: Path, names: set[str]) -> set[str]:
    """Return the modules of perfkit that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "perfkit":
            home = node.module.removeprefix("perfkit").removeprefix(".")
            inner = {f"{home}.{alias.name}".removeprefix(".") for alias in node.names} & names
            found |= inner or {home}
        elif isinstance(node, ast.Import):
            found |= {one.name.removeprefix("perfkit.") for one in node.names if one.name.startswith("perfkit")}
    return {name for name in found if not name.startswith("_proto") and name}


def graph():
    every = dict(modules())
    return {name: imported(path, set(every)) for name, path in every.items()}


def room(module: str) -> str:
    return "cli" if module == "__main__" else module.split(".", maxsplit=1)[0]


def test_every_module_has_a_room():
    assert {room(name) for name, _ in modules()} == set(FLOOR)
    assert len(FLOORS) <= 8


def test_imports_between_rooms_point_down():
    for name, others in graph().items():
        for other in others:
            assert room(other) == room(name) or FLOOR[room(other)] < FLOOR[room(name)], f"{name} imports {other}"


def test_no_module_imports_itself_by_way_of_others():
    edges = graph()
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way, name))}"
        if name not in done:
            for other in edges.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_files_and_folders_are_small():
    for name, path in modules():
        assert len(path.read_text().splitlines()) <= MOST_LINES, name
    folders = [path for path in (ROOT / "perfkit").rglob("*") if path.is_dir() and "_proto" not in str(path)]
    for folder in folders:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, f"{folder.name}: {len(files)} files"
