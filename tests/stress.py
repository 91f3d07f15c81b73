"""Repeat the tests, and say how often each has failed: `make stress N=20`, and beside a busy core `NEIGHBOUR=1`.

Each finished run is a line in .stress/: one that was broken off goes on where it stopped, and other code begins anew.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent

TESTED = ("perfkit", "tests", "k6", "proto", "notebooks", "examples", "data", "pyproject.toml", "requirements.lock")
"""A tally is of one state of these."""

SLOWEST = 20


@dataclass(frozen=True)
class Run:
    """One run of all tests."""

    seconds: float
    passed: int
    failed: list[str]
    skipped: int
    took_s: dict[str, float]
    """test → seconds, set-up included"""

    def line(self) -> str:
        return f"{self.passed} passed, {len(self.failed)} failed, {self.skipped} skipped in {self.seconds:.0f} s"


def main() -> int:
    asked = _asked()
    home = ROOT / ".stress"
    home.mkdir(exist_ok=True)
    tally = home / f"{_state()}{'-beside-a-busy-core' if asked.neighbour else ''}.jsonl"
    runs = [Run(**json.loads(line)) for line in tally.read_text().splitlines()] if tally.exists() else []
    if runs:
        print(f"{len(runs)} runs are in {tally.relative_to(ROOT)}: it goes on", flush=True)
    with _busy_core() if asked.neighbour else nullcontext():
        while len(runs) < asked.n:
            runs.append(_run())
            with tally.open("a") as file:
                file.write(json.dumps(asdict(runs[-1])) + "\n")
            print(f"run {len(runs)} of {asked.n}: {runs[-1].line()}", *runs[-1].failed, sep="\n  ", flush=True)
    print(_told(runs[: asked.n]))
    return int(any(one.failed for one in runs[: asked.n]))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", default="20")
    parser.add_argument("--neighbour", default="0")
    asked = parser.parse_args()
    if not asked.n.isdecimal() or int(asked.n) < 1:
        sys.exit(f"stress: N={asked.n} is no whole number from 1; say how often, as in make stress N=20")
    if asked.neighbour not in ("0", "1"):
        sys.exit(f"stress: NEIGHBOUR={asked.neighbour} is neither 0 nor 1; NEIGHBOUR=1 keeps one core busy meanwhile")
    return argparse.Namespace(n=int(asked.n), neighbour=asked.neighbour == "1")


def _state() -> str:
    """Return what tells this state of the code from others."""
    argv = ["git", "ls-files", "-s", "--", *TESTED]
    index = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout
    changed = subprocess.run(["git", "diff", "--", *TESTED], cwd=ROOT, capture_output=True, check=True).stdout
    return hashlib.sha256(index + changed).hexdigest()[:12]


@contextmanager
def _busy_core() -> Iterator[None]:
    """Have a process that uses the first core, which is the servers' in a trial, all the while."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burning:
        os.sched_setaffinity(burning.pid, {min(os.sched_getaffinity(0))})
        try:
            yield
        finally:
            burning.kill()


def _run() -> Run:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        argv = ["tests", f"PYTEST_ADDOPTS=--junitxml={report}"]
        began = time.monotonic()
        said = subprocess.run(["make", *argv], cwd=ROOT, capture_output=True, text=True, check=False)
        if said.returncode:
            failures = ROOT / ".stress" / f"failed-{int(time.time())}.log"
            failures.write_text(said.stdout + said.stderr)
        seconds = time.monotonic() - began
        if not report.exists():
            sys.exit(f"stress: the tests did not run:\n{said.stdout[-2000:]}{said.stderr[-2000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    outcomes = Counter("failed" if _has(one, "failure", "error") else "skipped" if _has(one, "skipped") else "passed"
                       for one in cases)  # fmt: skip
    return Run(
        seconds,
        outcomes["passed"],
        [_name(one) for one in cases if _has(one, "failure", "error")],
        outcomes["skipped"],
        {_name(one): float(one.get("time", 0)) for one in cases},
    )


def _has(case: ElementTree.Element, *tags: str) -> bool:
    return any(case.find(tag) is not None for tag in tags)


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def _told(runs: list[Run]) -> str:
    failures = Counter(name for one in runs for name in set(one.failed))
    names = {name for one in runs for name in one.took_s}
    took = {name: median([one.took_s.get(name, 0.0) for one in runs]) for name in names}
    slowest = sorted(took, key=took.__getitem__, reverse=True)[:SLOWEST]
    green = sum(not one.failed for one in runs)
    return "\n".join([
        f"the {SLOWEST} slowest tests, median seconds:",
        *(f"{took[name]:7.1f}  {name}" for name in slowest),
        "failed, in how many runs:" if failures else "no test failed",
        *(f"{count:7d}  {name}" for name, count in failures.most_common()),
        f"{median([one.seconds for one in runs]):.0f} s a run (median)",
        f"{green} of {len(runs)} green",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
