"""A command and all that it has started: its processes, their CPU time, and whether one of them is who listens."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from perfkit.rig import process


def members(pid: int) -> tuple[int, ...]:
    """Return a process and all that descend from it, itself first."""
    try:
        return pid, *sorted(child.pid for child in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return (pid,)


def cpu_ns(pids: Sequence[int]) -> int:
    """Return the CPU time that processes have used, in ns; ProcessLookupError when one is gone."""
    return sum(map(process.cpu_ns, pids))


def peak_rss_bytes(pids: Sequence[int]) -> int:
    """Return the largest resident memory of each so far, summed, in bytes."""
    return sum(map(process.peak_rss_bytes, pids))


def listens(pids: Sequence[int], port: int) -> bool | None:
    """Return whether one of these processes listens on a port; None where that can't be seen."""
    try:
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == port
            for pid in pids
            for one in psutil.Process(pid).net_connections(kind="tcp")
        )
    except psutil.Error:
        return None


def is_script(path: str) -> bool:
    """Return whether a program is a script, which may start the real one as another process."""
    try:
        with Path(path).open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False
