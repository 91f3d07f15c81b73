"""Servers as processes: those of perfkit's own arms, and what is asked of any."""

import json
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from perfkit.design.arms import Arm
from perfkit.design.engines import STAGES_FILE
from perfkit.errors import ServerError
from perfkit.record.calls import Section, Stages, section, staged
from perfkit.rig.generators.contract import Window
from perfkit.rig.ports import LOOPBACK, free_port
from perfkit.rig.process import START_S, Place, child, written_to
from perfkit.service.called import Called

STORE = ".store-"
"""How folders begin in which the servers of a trial have their files."""

STOP_S = 10.0
"""How long a server may take to end after SIGTERM: its own time to drain, doubled."""


@dataclass(frozen=True, slots=True)
class Final:
    """What a server said when it had ended."""

    increments: int | None
    """by how much its count was raised; None: that is not known"""
    section: Section | None = None
    by_key: dict[str, int] | None = None
    """increments of each key, as text; None: not known, or not asked"""
    stages: Stages | None = None
    """None: it watched no calls"""

    @classmethod
    def since(cls, began: Mapping[str, int], counts: Mapping[str, int]) -> "Final":
        """Return by how much the counts of keys were raised, together and each."""
        raised = {key: count - began.get(key, 0) for key, count in counts.items()}
        return cls(sum(raised.values()), by_key=raised)


class RunningServer:
    """A served arm in a process of its own."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        address: str,
        start_s: float = START_S,
        stages: Path | None = None,
        stopped: Path | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self._start_s = start_s
        self.pid = process.pid
        self.has_usual_words = True
        """whether its replies have the wire contract's words, so that their length is known"""
        self.called: Called | None = None
        """the method of the user's own that it has; None: the counter"""
        self.stopped = stopped
        """where it reads for how many ns it has been stopped (8 bytes); None: it does not ask"""
        self._process = process
        self._log = log
        self._stages = stages

    def members(self) -> tuple[int, ...]:
        """Return its processes."""
        return (self.pid,)

    def ready(self) -> None:
        """Wait until the server accepts calls."""
        self._line(self._start_s, "accept calls")

    def check(self) -> None:
        """Raise a ServerError if the server is gone."""
        if self._process.poll() is not None:
            raise ServerError(f"server {self.name} died ({self._how_it_ended()}){self._output()}")

    def stop(self, window: Window | None = None) -> Final:
        """Let the server drain and end; what it saw of calls is of those that began in the window."""
        self.check()
        self._process.send_signal(signal.SIGTERM)
        told = self._line(STOP_S, "end after SIGTERM")
        self._wait()
        if self._process.returncode != 0:
            raise ServerError(f"server {self.name} ended badly ({self._how_it_ended()}){self._output()}")
        return Final(told["increments"], section(told["section"]), told["by_key"], self._seen(window))

    def _seen(self, window: Window | None) -> Stages | None:
        if self._stages is None or window is None:
            return None
        lines = self._stages.read_text().splitlines()
        stamps_us = [tuple(map(int, line.split(","))) for line in lines]
        return staged(stamps_us, window.from_ms * 1000, window.until_ms * 1000)

    def _wait(self) -> None:
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired as error:
            raise ServerError(
                f"server {self.name} hangs: it did not end within {STOP_S:g} s of SIGTERM{self._output()}"
            ) from error

    def _line(self, patience_s: float, to_do: str) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - so says the call in `server`
        until = time.monotonic() + patience_s
        while True:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not readable:
                raise ServerError(f"server {self.name} hangs: it did not {to_do} within {patience_s:g} s")
            line = self._process.stdout.readline()  # servers write whole lines
            if not line:
                self._process.wait()
                raise ServerError(
                    f"server {self.name} died before it could {to_do} ({self._how_it_ended()}){self._output()}"
                )
            if line.startswith(b"{"):  # else somebody's sitecustomize prints
                message: dict[str, Any] = json.loads(line)
                return message

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _output(self) -> str:
        text = self._text().decode(errors="replace").strip()
        return f"; it said: {' | '.join(text[-500:].splitlines())}" if text else ""

    def _text(self) -> bytes:
        return written_to(self._log)


@contextmanager
def server(
    arm: Arm, place: Place, start_s: float = START_S, folder: Path | None = None, address: str = LOOPBACK
) -> Iterator[RunningServer]:
    """Serve one of perfkit's own arms on a free port of an address; what was not stopped is killed at the end.

    One that has files has them in `folder` until then.
    """
    port = free_port(address)
    argv = [sys.executable, "-m", "perfkit", "serve", f"--arm={arm.name}", f"--host={address}", f"--port={port}"]
    with ExitStack() as stack:
        stages = None
        if arm.has_files:
            files = stack.enter_context(
                tempfile.TemporaryDirectory(prefix=STORE, dir=folder, ignore_cleanup_errors=True)
            )
            argv.append(f"--folder={files}")
            stages = Path(files, STAGES_FILE) if arm.stages else None
        stopped = None
        if arm.waits:
            stopped = Path(stack.enter_context(tempfile.NamedTemporaryFile(prefix="perfkit-")).name)
            stopped.write_bytes(bytes(8))
            argv.append(f"--stopped={stopped}")
        log = stack.enter_context(tempfile.TemporaryFile())
        process = stack.enter_context(child(argv, place, stdout=subprocess.PIPE, stderr=log))
        yield RunningServer(arm.name, process, log, f"{address}:{port}", start_s, stages, stopped)
