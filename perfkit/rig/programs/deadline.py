"""Kill process groups when their time is over, or when whoever started them is dead.

    python -I -S deadline.py < lines

Each line of JSON, {"groups": [pid…], "within_s", "owner"}, takes the place of the one before: these groups are killed,
stopped ones too, when so many seconds have passed, or when the pipe is closed, and that is the end. So nothing outlives
its trial on a host whose agent was killed, has stopped, or hears nobody any more. An agent that has stopped is killed
too, where it is named as `owner`: 0 names none. Imports nothing of perfkit.
"""

import contextlib
import json
import math
import os
import select
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Keep the deadline of the last line, until it is over or the pipe is closed."""
    keep(System())


class System:
    """Time, processes and the pipe as they are; a test has others."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def line(until_s: float) -> str | None:
        """Wait until then; return a line that comes sooner, "" where the pipe is closed, None where nothing comes."""
        left_s = None if math.isinf(until_s) else max(0.0, until_s - time.monotonic())
        readable, _, _ = select.select([sys.stdin], [], [], left_s)
        return sys.stdin.readline() if readable else None

    @staticmethod
    def kill_group(group: int) -> None:
        """Kill a process group that may be gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

    @staticmethod
    def kill_if_stopped(pid: int) -> None:
        """Kill a process that was stopped by a signal."""
        if has_stopped(pid):
            os.kill(pid, signal.SIGKILL)


def keep(system: System) -> None:
    """Take lines, and end what the last one names when its time is over or no more can come."""
    groups: list[int] = []
    until_s, owner = math.inf, 0
    while True:
        line = system.line(until_s)
        if not line:
            for group in groups:
                system.kill_group(group)
            if line is None and owner:
                system.kill_if_stopped(owner)
            return
        told = json.loads(line)
        groups, owner = told["groups"], told["owner"]
        until_s = system.monotonic() + told["within_s"] if groups else math.inf


def has_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


if __name__ == "__main__":
    main()
