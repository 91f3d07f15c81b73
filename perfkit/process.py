"""Child processes: started on their cores, tied to this process's life, their CPU clocks read from outside."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from perfkit.errors import ServerError
from perfkit.plan import Arm

LAUNCH = Path(__file__).with_name("_launch.py")

CAN_PIN = sys.platform == "linux"
"""Where not, children neither stay on their cores nor die with a killed parent."""

START_S = 30.0
"""How long a server may take to accept calls; it takes about 0.3 s."""

STOP_S = 10.0
"""How long a server may take to end after SIGTERM: its own time to drain, doubled."""


@contextmanager
def child(
    argv: Sequence[str],
    *,
    cpus: Sequence[int],
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `argv` in a session of its own; whatever is left of that session at the end is killed.

    On Linux the child is pinned to `cpus` (empty: not pinned) and is killed when the thread that started it dies.
    Signals meant for this process's terminal don't reach it: ending it in order is the caller's to do.
    """
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), ",".join(map(str, cpus)), *argv]
    process = subprocess.Popen(
        launch, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        # A session's leader is its group's, whether or not it still lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


class RunningServer:
    """A served arm in a process of its own."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log = log
        self.address: str = self._line(START_S, "accept calls")["address"]

    def check(self) -> None:
        """Raise a ServerError if the server is gone."""
        if self._process.poll() is not None:
            raise ServerError(f"server {self.name} died ({self._how()}){self._last_words()}")

    def stop(self) -> int:
        """Let the server drain and end; return its final count."""
        self.check()
        self._process.send_signal(signal.SIGTERM)
        final_count: int = self._line(STOP_S, "end after SIGTERM")["increments"]
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"server {self.name} hangs: it said its last line and did not end") from error
        if self._process.returncode != 0:
            raise ServerError(f"server {self.name} ended badly ({self._how()}){self._last_words()}")
        return final_count

    def _line(self, patience_s: float, to_do: str) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - so says the call in `server`
        readable, _, _ = select.select([self._process.stdout], [], [], patience_s)
        if not readable:
            raise ServerError(f"server {self.name} hangs: it did not {to_do} within {patience_s:g} s")
        line = self._process.stdout.readline()  # servers write whole lines
        if not line:
            self._process.wait()
            raise ServerError(f"server {self.name} died before it could {to_do} ({self._how()}){self._last_words()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def _how(self) -> str:
        code = self._process.returncode
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _last_words(self) -> str:
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"; it said: {text[-500:]}" if text else ""


def command(arm: Arm) -> list[str]:
    """Return the command that serves `arm` on a free loopback port."""
    options = {"arm": arm.name, "port": 0}
    return [sys.executable, "-m", "perfkit", "serve", *(f"--{name}={value}" for name, value in options.items())]


@contextmanager
def server(name: str, argv: Sequence[str], cpus: Sequence[int]) -> Iterator[RunningServer]:
    """Run a server that says what `perfkit serve` says; one that was not stopped is killed at the end."""
    with (
        tempfile.TemporaryFile() as log,
        child(argv, cpus=cpus, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        yield RunningServer(name, process, log)


def cpu_ns(pid: int) -> int:
    """Return the CPU time that a process has used, in ns; ProcessLookupError when it is gone."""
    if sys.platform == "linux":
        # CPUCLOCK_SCHED of another process, see linux/posix-timers.h; /proc/PID/stat counts in ticks of 10 ms.
        try:
            return time.clock_gettime_ns((~pid << 3) | 2)
        except OSError as error:
            raise ProcessLookupError(f"process {pid} is gone") from error
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
    return int((times.user + times.system) * 1e9)


def peak_rss_bytes(pid: int) -> int:
    """Return the largest resident memory of a process so far, in bytes; where only the present one is told, that."""
    if sys.platform == "linux":
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)
