"""Child processes: started on their cores, tied to this process's life, their CPU clocks read from outside."""

import itertools
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.rig.programs.launch import ADDR_NO_RANDOMIZE

LAUNCH, GUARD = (Path(__file__).parent / "programs" / f"{name}.py" for name in ("launch", "guard"))

CAN_PIN = sys.platform == "linux"
"""Where not, children neither stay on their cores nor die with a killed parent."""

PORTS = range(20_000, 30_000)
"""Below what Linux gives to outgoing connections, with which a port chosen beforehand could collide."""

_PORTS = itertools.cycle(random.sample(PORTS, len(PORTS)))
"""Each comes again when all others have been."""

START_S = 30.0
"""How long a server may take to accept calls; it takes about 0.3 s."""

STOP_S = 10.0
"""How long a server may take to end after SIGTERM: its own time to drain, doubled."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a child process is run."""

    cpus: tuple[int, ...] = ()
    """the cores that it is pinned to (Linux); empty: not pinned"""
    alike: bool = False
    """Lay its memory out like that of every other such child, instead of at random (Linux).

    Servers that take turns on a core, many times a millisecond, meet in its caches and its branch predictor. Laid out
    at random, four copies of one server differ in CPU per call by luck, by 6 % (sd of a ratio), laid out alike by 1 %,
    and each call costs less (bench/layout.py).
    """
    own_session: bool = True
    """False: stay in the session of this process, so that the scheduler may favour one child over another"""


SLOWING = (
    "GRPC_TRACE", "GRPC_VERBOSITY", "PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONTRACEMALLOC", "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME", "PYTHONDUMPREFS", "PYTHONINSPECT",
)  # fmt: skip
"""Variables that make a call cost several times as much, or print where perfkit reads: no child gets them."""


def environment() -> dict[str, str]:
    """Return this process's environment, without what changes a server's cost or leads loopback through a proxy."""
    return {
        name: value for name, value in os.environ.items() if name not in SLOWING and not name.lower().endswith("_proxy")
    }


@contextmanager
def child(
    argv: Sequence[str],
    place: Place,
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    guarded: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `argv` in a process group of its own; whatever is left of that at the end is killed.

    On Linux the child is killed when the thread that started it dies; what it has started itself is only where it is
    `guarded`. Signals meant for this process's terminal don't reach it: ending it in order is the caller's to do.
    """
    cpus, layout = ",".join(map(str, place.cpus)), "alike" if place.alike else "random"
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), cpus, layout, *argv]
    process = subprocess.Popen(
        launch,
        bufsize=0,  # what waits for a line must not be told of by a buffer
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment() if variables is None else variables,
        start_new_session=place.own_session,
        process_group=None if place.own_session else 0,
    )
    guard = _guard(process.pid) if guarded else None
    try:
        yield process
    finally:
        # A group's leader is its first process, whether or not that still lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
        if guard:
            guard.communicate()


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Start what kills a process group when this process is dead."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(pid)], stdin=subprocess.PIPE, start_new_session=True
    )  # fmt: skip


class RunningServer:
    """A served arm in a process of its own."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: IO[bytes], address: str, start_s: float = START_S
    ) -> None:
        self.name = name
        self.address = address
        self._start_s = start_s
        self.pid = process.pid
        self.has_usual_words = True
        """whether its replies have the wire contract's words, so that their length is known"""
        self._process = process
        self._log = log

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

    def stop(self) -> int:
        """Let the server drain and end; return its final count."""
        self.check()
        self._process.send_signal(signal.SIGTERM)
        final_count: int = self._line(STOP_S, "end after SIGTERM")["increments"]
        self._wait()
        if self._process.returncode != 0:
            raise ServerError(f"server {self.name} ended badly ({self._how_it_ended()}){self._output()}")
        return final_count

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
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"; it said: {text[-500:]}" if text else ""


@contextmanager
def server(arm: Arm, place: Place, start_s: float = START_S) -> Iterator[RunningServer]:
    """Serve one of perfkit's own arms on a free loopback port; a server that was not stopped is killed at the end."""
    port = free_port()
    argv = [sys.executable, "-m", "perfkit", "serve", f"--arm={arm.name}", f"--port={port}"]
    with (
        tempfile.TemporaryFile() as log,
        child(argv, place, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        yield RunningServer(arm.name, process, log, f"127.0.0.1:{port}", start_s)


def free_port() -> int:
    """Return a port that nobody listens on, and that this process was not given before."""
    for port in itertools.islice(_PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"no port is free from {PORTS[0]} to {PORTS[-1]}")


def is_alike(pid: int) -> bool | None:
    """Return whether a process's memory is laid out like that of others; None where that is not known.

    A container's default profile may refuse it (Docker's and Podman's do), and then it is at random.
    """
    try:
        return bool(int(Path(f"/proc/{pid}/personality").read_text(), 16) & ADDR_NO_RANDOMIZE)
    except OSError:
        return None


@cache
def can_lay_alike() -> bool | None:
    """Try whether a child's memory can be laid out alike; None where that is not known."""
    sleeping = [sys.executable, "-I", "-S", "-c", "import time; print(flush=True); time.sleep(60)"]
    with child(sleeping, Place(alike=True), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdout.readline()
        return is_alike(process.pid)
