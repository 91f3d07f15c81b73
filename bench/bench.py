"""What each arm's calls cost, in those of a textbook's server, of grpcio's floor, and of any command, with intervals.

    python bench/bench.py [--against 'exec:./server --port {port}'] [--arms A,B] [--vus N] [--budget-s N] [--json FILE]
    python bench/bench.py --read FILE

Every cell is a comparison by turns under k6, as `python -m perfkit compare` makes it. Where h2load is installed,
what each arm can do at most stands below, by `capacity.py`. Ends with exit code 1 where a target was missed, which the
last lines of the first part say.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from perfkit.checkout import RUNS
from perfkit.cli import gate
from perfkit.design.arms import parse_arms
from perfkit.design.parameters import PARAMETERS
from perfkit.errors import PerfkitError
from perfkit.rig.generators import h2load
from perfkit.studies import compare, engines
from perfkit.studies.common import campaign

HERE = Path(__file__).parent

BASELINES = ("textbook", "floor")
"""Servers beside this file, frozen."""

TARGETS = (
    # b, a, the most that a call of b may cost, in a's
    ("threads/mutex", "textbook", 1 / 1.10),
    ("threads/mutex", "floor", 1 / 0.93),
    ("threads/inputQ", "threads/mutex", 1 / 0.96),
    ("native/inputQ?batch=64", "textbook", 0.25),
    ("asyncio/mutex?loop=uvloop", "asyncio/mutex?loop=asyncio", 1 / 1.15),
)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="bench.py", allow_abbrev=False)
    parser.add_argument("--against", default="", help="a third column: any arm, as in 'exec:./server --port {port}'")
    parser.add_argument("--arms", default=f"{engines.REFERENCE},{engines.ARMS}", help="the rows, with commas between")
    parser.add_argument("--vus", default=10, help="virtual users at each arm (%(default)s)")
    parser.add_argument("--budget-s", default=40, help="seconds for each cell at most (%(default)s)")
    parser.add_argument("--workers", default=10, help="worker threads of arms that have them (%(default)s)")
    parser.add_argument("--k6", default="k6", help="the k6 program, by name or path")
    parser.add_argument("--json", default="", help="write the cells to this file too")
    parser.add_argument("--read", default="", help="measure nothing, print the table of such a file")
    options = parser.parse_args(arguments)
    home = RUNS / f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        if options.json:
            Path(options.json).touch()  # what can't be written is told before anything is measured
        cells = json.loads(Path(options.read).read_text()) if options.read else measured(options, home)
    except (PerfkitError, OSError, ValueError) as error:
        parser.error(str(error))
    if options.json:
        Path(options.json).write_text(json.dumps(cells, indent=1) + "\n")
    print(table(cells), "", *(line for line, _ in targets(cells)), sep="\n", flush=True)
    if not options.read and h2load.is_installed():
        import capacity  # noqa: PLC0415 - beside this file, which is on the path only where this is the program

        print("\nAlone, under h2load:\n")
        asked = {"arms": options.arms, "vus": options.vus, "generators": "h2load", "out": home / "capacity"}
        capacity.main([f"--{name}={value}" for name, value in asked.items()])
    return 0 if all(reached for _, reached in targets(cells)) else 1


def measured(options, home):
    """Make all comparisons, and return a cell for each: what `gate.as_json` has, with the baseline's name as `a`."""
    workers = PARAMETERS["workers"].read("--workers", options.workers)
    servers = {name: f"exec:'{sys.executable}' '{HERE}/{name}_server.py' {{port}} {workers}" for name in BASELINES}
    columns = [*servers, options.against] if options.against else [*servers]
    pairs = [(arm.name, column) for column in columns for arm in parse_arms(options.arms, workers)]
    pairs += [(b, a) for b, a, _ in TARGETS if a not in BASELINES]
    load = {"method": "turns", "vus": options.vus, "budget_s": options.budget_s, "precision_pct": 1, "workers": workers}
    plans = {
        f"{number:02d}": compare.STUDY.plan(a=servers.get(a, a), b=b, **load) for number, (b, a) in enumerate(pairs)
    }
    runs = campaign.measure(plans, home, k6=options.k6)
    return [_named(gate.as_json(compare.robustness(run)), a) for run, (_, a) in zip(runs, pairs, strict=True)]


def _named(cell, a):
    """Return a cell that calls `a` so, and not by its command, which is of this machine."""
    return {**cell, "a": a, "sentence": cell["sentence"].replace(cell["a"], a)}


def table(cells):
    """Return the table in Markdown: a row an arm, a column a baseline."""
    pairs = {(b, a) for b, a, _ in TARGETS if a not in BASELINES}
    shown = [cell for cell in cells if (_plain(cell["b"]), cell["a"]) not in pairs]
    columns, rows = (dict.fromkeys(cell[side] for cell in shown) for side in ("a", "b"))
    lines = [f"| CPU per call (capacity) of | {' | '.join(f'in {name}' for name in columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for b in rows:
        row = [_cell(cell) if (cell := _find(cells, b, a)) else "" for a in columns]
        lines.append(f"| {b} | {' | '.join(row)} |")
    return "\n".join(lines)


def targets(cells):
    """Give a line for each target whose cell was measured, and whether it was reached."""
    for b, a, most in TARGETS:
        cell = _find(cells, b, a)
        if cell:
            reached = cell["metrics"]["cpu_per_call"]["ratio"] <= most
            word = "reached" if reached else "MISSED"
            yield f"{word}: {b} in {a}: {_cell(cell)}; target {most:.3f} (x {1 / most:.2f}) or less", reached


def _find(cells, b, a):
    return next((cell for cell in cells if (_plain(cell["b"]), cell["a"]) == (_plain(b), a)), None)


def _plain(arm):
    """Return an arm's name as people write it, without the workers that everyone has."""
    return arm.partition("?workers")[0]


def _cell(cell):
    if not all(control["ok"] for control in cell["controls"].values()):
        return "not trusted"
    cost = cell["metrics"]["cpu_per_call"]
    low, high = cost["ci95"]
    return f"{cost['ratio']:.3f} ({low:.3f} to {high:.3f}), x {1 / cost['ratio']:.2f}"


if __name__ == "__main__":
    sys.exit(main())
