"""A command and all that it has started: its processes, their CPU time, and whether one of them is who listens."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil


def members(pid: int) -> tuple[int, ...]:
    """Return a process and all that descend from it, itself first."""
    try:
        return pid, *sorted(child.pid for child in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return (pid,)


def cpu_ns(pids: Sequence[int]) -> int:
    """Return the CPU time that processes have used, in ns; ProcessLookupError when one is gone."""
    return sum(map(_cpu_ns, pids))


def peak_rss_bytes(pids: Sequence[int]) -> int:
    """Return the largest resident memory of each so far, summed, in bytes."""
    return sum(map(_peak_rss_bytes, pids))


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


def _cpu_ns(pid: int) -> int:
    """Return the CPU time that a process has used, in ns; ProcessLookupError when it is gone."""
    if sys.platform == "linux":
        # CPUCLOCK_SCHED of another process, see linux/posix-timers.h; /proc/PID/stat counts in ticks of 10 ms.
        try:
            return time.clock_gettime_ns((~pid << 3) | 2)
        except OSError as error:
            if not Path(f"/proc/{pid}").exists():
                raise ProcessLookupError(f"process {pid} is gone") from error
            # Some sandboxes have no such clocks.
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
    return int((times.user + times.system) * 1e9)


def _peak_rss_bytes(pid: int) -> int:
    """Return the largest resident memory of a process so far, in bytes; where only the present one is known, that."""
    if sys.platform == "linux":
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)
