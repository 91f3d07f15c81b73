"""Kill a process group when whoever started it is dead.

    python -I -S guard.py PID < a pipe that nobody writes to

The parent-death signal reaches a command, and not what that command has started: k6 behind a shell script would go on
loading. Imports nothing of perfkit.
"""

import contextlib
import os
import signal
import sys

if __name__ == "__main__":
    sys.stdin.read()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(int(sys.argv[1]), signal.SIGKILL)
