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
    groups: list[int] = []
    until_s, owner = math.inf, 0
    while True:
        left_s = max(0.0, until_s - time.monotonic())
        readable, _, _ = select.select([sys.stdin], [], [], None if math.isinf(left_s) else left_s)
        line = sys.stdin.readline() if readable else ""
        if not line:
            kill(groups)
            if not readable and owner and has_stopped(owner):
                os.kill(owner, signal.SIGKILL)
            return
        told = json.loads(line)
        groups, owner = told["groups"], told["owner"]
        until_s = time.monotonic() + told["within_s"] if groups else math.inf


def kill(groups: list[int]) -> None:
    """Kill groups that may be gone."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def has_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


if __name__ == "__main__":
    main()
