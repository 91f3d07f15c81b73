"""Where a fault is done: each returns (what happened, what was kept)."""

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

import perfkit
from perfkit.errors import PerfkitError
from perfkit.rig import trial
from tests.support.disks import on_disk
from tests.support.processes import descendants, find, is_connected, wait_for, wait_for_end
from tests.support.results import simulated_trials
from tests.support.trials import own_flags

PLAN = {"vus": [2], "method": "solo", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 1}
"""Two trials."""

STRUCK = {**PLAN, "duration_s": 3}
"""Two trials long enough that something is done in the middle of one."""

QUICK = ()
TEST = (pytest.mark.load,)
FULL = (pytest.mark.load, pytest.mark.full)
"""The marks of a fault's row: those of `make quick`, where no load is started; of `make test`; of `make test-all`."""


Place = TypeVar("Place")


@dataclass(frozen=True)
class Fault(Generic[Place]):
    """A row of the table: how it is done in a place, and which command does it."""

    do: Callable[[Place], tuple[str, str]]
    marks: tuple[pytest.MarkDecorator, ...]


FAULTS: dict[str, Fault["Bench"]] = {}


def rows(faults: Mapping[str, Fault[Any]]) -> list[object]:
    """Return the names of faults as pytest's parameters."""
    return [pytest.param(name, marks=fault.marks) for name, fault in faults.items()]


class Bench:
    """Where a fault is done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.out = folder / "run"

    @property
    def disk(self) -> Path:
        return on_disk(self.folder)

    def finish(self) -> None:
        """Have a finished run of PLAN in `out`."""
        with simulated_trials():
            perfkit.sweep(**PLAN, out=self.out)

    @property
    def trials(self) -> bytes:
        path = self.out / "trials.jsonl"
        return path.read_bytes() if path.exists() else b""

    def wait_for_second_trial(self, parent: int = 0) -> None:
        """Return when its load is on, in this process or another: k6 is there before the server that it calls."""
        wait_for("a second trial", lambda: self.trials.count(b"\n") == 1 and is_connected(find("counter.js", parent)))

    def refused(self, **changes: object) -> tuple[str, str]:
        """Start a sweep that is to be refused before anything is started."""
        before, there = self.trials, self.out.exists()
        with self.monkeypatch.context() as patch:
            patch.setattr(trial, "measure", lambda *_: pytest.fail("a trial was started"))
            with pytest.raises(PerfkitError) as told:
                perfkit.sweep(**{**PLAN, "out": self.out, **changes})
        assert self.trials == before
        assert self.out.exists() == there
        return str(told.value), "what was there" if there else "nothing was started"

    def broken(
        self, fault: Callable[[], object], mend: Callable[[], object] = lambda: None, **changes: object
    ) -> tuple[str, str]:
        """Sweep, do the fault in the second trial once its load is on, mend it, and start the same again."""

        def strike() -> None:
            self.wait_for_second_trial()
            fault()

        striking = threading.Thread(target=strike)
        striking.start()
        with pytest.raises(PerfkitError) as told:
            perfkit.sweep(**{**STRUCK, **changes}, out=self.out)
        striking.join()
        mend()
        return str(told.value), self.continued({**STRUCK, **changes})

    def own_process(
        self, call: str, begun: Callable[[int], None], act: Callable[[subprocess.Popen[bytes]], None]
    ) -> str:
        """Make a call of perfkit in a process of its own, act on that once it has begun; return what it said on stderr.

        Nothing that descends from it may be left, running or stopped.
        """
        # What a shell has started in the background ignores SIGINT, and hands that on.
        begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        run = subprocess.Popen([sys.executable, "-c", f"{begin}; import perfkit; {call}"], stderr=subprocess.PIPE)
        begun(run.pid)
        children = descendants(run.pid)
        act(run)
        _, said = run.communicate(timeout=150)
        wait_for_end(children)
        return said.decode()

    def flagged(self) -> str:
        """Return how the one flag is said that a trial has beside those of interference."""
        (flag,) = own_flags(perfkit.load(self.out)) or {"nothing"}
        return f"the trial is flagged: {flag}"

    def continued(self, plan: dict[str, object]) -> str:
        """Start the same again; every trial on file must still be there."""
        before = self.trials.rpartition(b"\n")[0] + b"\n"  # less a torn last line
        perfkit.sweep(**plan, out=self.out)
        assert self.trials.startswith(before)
        assert perfkit.load(self.out)["complete"].sum() == 2
        return f"{len(before.splitlines())} finished trial; the same start again ran to the end"

    def fake_k6(self, body: str) -> str:
        path = self.folder / "k6"
        path.write_text(f"#!/bin/sh\nif [ \"$1\" = version ]; then echo 'k6 v1.1.0 (fake)'; exit; fi\n{body}\n")
        path.chmod(0o755)
        return str(path)


def table(page: Path) -> dict[str, tuple[str, str]]:
    """Return fault → (what happened, what was kept), as a page has it; "…" stands for anything."""
    lines = page.read_text().partition("| fault |")[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {fault: (happened, kept) for fault, happened, kept in cells}


def fits(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), " ".join(text.split())))


def comes_out(page: Path, name: str, outcome: tuple[str, str], request: pytest.FixtureRequest) -> None:
    """See that a fault came out as a page's table has it."""
    request.node.user_properties.append(("fault", " | ".join((name, *outcome))))
    for expected, really in zip(table(page)[name], outcome, strict=True):
        assert fits(expected, really), really


def fill(disk: Path) -> Path:
    """Write a file that leaves no room; return it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def adding_to(faults: dict[str, Fault[Any]]):
    """Return a decorator that adds a row to a table."""

    def fault(name: str, marks: tuple[pytest.MarkDecorator, ...] = FULL):
        def add(function: Callable[[Any], tuple[str, str]]) -> Callable[[Any], tuple[str, str]]:
            faults[name] = Fault(function, marks)
            return function

        return add

    return fault


fault = adding_to(FAULTS)
