"""Trials by turns: a watchdog (`programs/turns.py`) stops and continues servers, each with its k6; one pair runs."""

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from perfkit.errors import LoadError
from perfkit.record.results import Turns
from perfkit.rig.process import written_to

WATCHDOG = Path(__file__).parent.parent / "programs" / "turns.py"

REPORT_S = 20.0
"""How long the watchdog may take to let all go on and to report."""


@dataclass(frozen=True, slots=True)
class Team:
    """Process groups that run and stop together, each told by its members."""

    groups: Sequence[Sequence[int]]
    stopped: Path | None = None
    """where its server reads for how many ns it has been stopped"""


class RunningTurns:
    """Servers taking turns."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise a LoadError if the watchdog is gone: then nobody takes turns."""
        if self._process.poll() is not None:
            raise LoadError(f"the watchdog of the turns ended (exit code {self._process.returncode}){self._output()}")

    def end(self, missing: int = 0) -> tuple[Turns, list[float]]:
        """Let all servers go on; return what the turns were, and each server's own seconds of the window.

        `missing` is how many VUs had no answer yet when the turns began.
        """
        self.check()
        assert self._process.stdin is not None  # noqa: S101 - so says the call in `turns`
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(b"end\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], REPORT_S)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise LoadError(f"the watchdog of the turns gave no report within {REPORT_S:g} s{self._output()}")
        report: dict[str, Any] = json.loads(line)
        own_s: list[float] = report.pop("own_s")
        return Turns(**report, missing=missing), own_s

    def _output(self) -> str:
        text = written_to(self._log).decode(errors="replace").strip()
        return f"; it said: {text[-500:]}" if text else ""


@contextmanager
def turns(
    teams: Sequence[Team], turn_ms: int, window: tuple[float, float], seed: str, cpus: Sequence[int]
) -> Iterator[RunningTurns]:
    """Let teams of process groups take turns of `turn_ms` from now on.

    They do so in rounds of newly drawn order.
    `window` is in seconds by the monotonic clock. The watchdog runs on `cpus`: k6's, so that it takes nothing from the
    server whose turn it is. It is in no other way tied to this process than by a pipe: when that closes, it kills the
    groups.
    """
    told = [list(map(list, team.groups)) for team in teams]
    clocks = [str(team.stopped or "") for team in teams]
    config = {"teams": told, "clocks": clocks, "turn_ms": turn_ms, "window": window, "seed": seed, "cpus": list(cpus)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHDOG)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(json.dumps(config).encode() + b"\n")
            process.stdin.flush()
            yield RunningTurns(process, log)
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(REPORT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
