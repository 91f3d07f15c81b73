"""Where a fault is done to the real thing: each returns (what happened, what was kept)."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import perfkit
from perfkit.analysis.stopping import is_over
from perfkit.errors import PerfkitError
from perfkit.record.load import is_fulfilled, load_plan
from perfkit.rig import trial
from tests.conftest import FAULTS_SEEN, OF_THE_MINUTE, command_of, on_disk
from tests.rig.test_process import gone_within

PLAN = {"vus": [2], "method": "solo", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 1}
"""Two trials."""

FAULTS: dict[str, Callable[["Bench"], tuple[str, str]]] = {}


class Bench:
    """Where a fault is done."""

    def __init__(
        self,
        folder: Path,
        finished_run: Path,
        monkeypatch: pytest.MonkeyPatch,
        descendants: Callable[[int], set[int]],
    ) -> None:
        self.folder, self.monkeypatch, self.descendants = folder, monkeypatch, descendants
        self.out = folder / "run"
        self.disk = on_disk(folder)
        self._finished_run = finished_run

    def finish(self) -> None:
        """Have a finished run of PLAN in `out`."""
        shutil.copytree(self._finished_run, self.out)

    @property
    def trials(self) -> bytes:
        path = self.out / "trials.jsonl"
        return path.read_bytes() if path.exists() else b""

    def processes(self, ancestor: int) -> list[tuple[int, str]]:
        """Give (pid, command line) of all that descends from a process."""
        return [(pid, command_of(pid)) for pid in self.descendants(ancestor)]

    def commands(self, ancestor: int) -> list[str]:
        return [command for _, command in self.processes(ancestor)]

    def child(self, name: str) -> int | None:
        return next((pid for pid, command in self.processes(os.getpid()) if name in command), None)

    def wait_for_second_trial(self) -> None:
        """Return when its load is on: k6 is there before the server that it calls."""
        patience = time.monotonic() + 60
        while not (self.trials.count(b"\n") == 1 and _is_connected(self.child("counter.js"))):
            assert time.monotonic() < patience, "no second trial"
            time.sleep(0.02)
        time.sleep(0.5)

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

    def broken(self, fault: Callable[[], object], mend: Callable[[], object] = lambda: None) -> tuple[str, str]:
        """Sweep, do the fault in the second trial once its load is on, mend it, and start the same again."""

        def strike() -> None:
            self.wait_for_second_trial()
            fault()

        striking = threading.Thread(target=strike)
        striking.start()
        try:
            perfkit.sweep(**PLAN, out=self.out)
            happened = self.noted()
        except PerfkitError as error:
            happened = str(error)
        striking.join()
        self.monkeypatch.undo()
        mend()
        return happened, self.continued()

    def own_process(
        self, call: str, begun: Callable[[int], None], act: Callable[[subprocess.Popen[bytes]], None], within_s: float
    ) -> str:
        """Make a call of perfkit in a process of its own, act on that once it has begun; return what it said on stderr.

        Nothing that descends from it may be there, running or stopped, `within_s` seconds after its end.
        """
        # What a shell has started in the background ignores SIGINT, and hands that on.
        begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        run = subprocess.Popen([sys.executable, "-c", f"{begin}; import perfkit; {call}"], stderr=subprocess.PIPE)
        begun(run.pid)
        children = self.descendants(run.pid)
        act(run)
        _, said = run.communicate(timeout=60)
        assert gone_within(children, within_s), "something outlived it"
        return said.decode()

    def noted(self) -> str:
        several = perfkit.load(self.out)["flags"].str.split("; ").explode()
        (flagged,) = {*several} - {"", *OF_THE_MINUTE} or {"nothing"}
        return f"the trial is flagged: {flagged}"

    def continued(self) -> str:
        """Start the same again where it did not end; every trial on file must still be there."""
        before = self.trials
        if not is_fulfilled(self.out, load_plan(self.out), is_over):
            perfkit.sweep(**PLAN, out=self.out)
            assert self.trials.startswith(before)
            assert perfkit.load(self.out)["complete"].sum() == 2
            return f"{len(before.splitlines())} finished trial; the same start again ran to the end"
        return f"all {len(before.splitlines())} trials, the flagged one counts for nothing"

    def fake_k6(self, body: str) -> str:
        path = self.folder / "k6"
        path.write_text(f"#!/bin/sh\nif [ \"$1\" = version ]; then echo 'k6 v1.1.0 (fake)'; exit; fi\n{body}\n")
        path.chmod(0o755)
        return str(path)


def _is_connected(pid: int | None) -> bool:
    try:
        return bool(pid) and any(
            one.status == psutil.CONN_ESTABLISHED for one in psutil.Process(pid).net_connections(kind="tcp")
        )
    except psutil.NoSuchProcess:
        return False


def table(page: Path) -> dict[str, tuple[str, str]]:
    """Return fault → (what happened, what was kept), as a page has it; "…" stands for anything."""
    lines = page.read_text().partition("| fault |")[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {fault: (happened, kept) for fault, happened, kept in cells}


def fits(pattern: str, text: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), " ".join(text.split())))


def comes_out(page: Path, name: str, outcome: tuple[str, str]) -> None:
    """See that a fault came out as a page's table has it."""
    FAULTS_SEEN.append(" | ".join((name, *outcome)))
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


def fault(name: str):
    def add(function: Callable[[Bench], tuple[str, str]]) -> Callable[[Bench], tuple[str, str]]:
        FAULTS[name] = function
        return function

    return add
