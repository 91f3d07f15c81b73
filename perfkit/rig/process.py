"""Child processes: started on their cores, tied to this process's life, their CPU clocks read from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from perfkit.rig.programs.launch import ADDR_NO_RANDOMIZE

LAUNCH, GUARD = (Path(__file__).parent / "programs" / f"{name}.py" for name in ("launch", "guard"))

CAN_PIN = sys.platform == "linux"
"""Where not, children neither stay on their cores nor die with a killed parent."""

START_S = 30.0
"""How long a server may take to accept calls; it takes about 0.3 s."""


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
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `argv` in a process group of its own, in `folder`; whatever is left of that at the end is killed.

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
        cwd=folder,
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


def written_to(log: IO[bytes]) -> bytes:
    """Return all that a child has written to its log so far.

    A child goes on writing where the file's place is, and shares that with this process: whoever moves it back to read
    has the child write over what it has said.
    """
    return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0)


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Start what kills a process group when this process is dead."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(pid)], stdin=subprocess.PIPE, start_new_session=True
    )  # fmt: skip


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
