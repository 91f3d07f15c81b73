"""Become another program, after arranging that it dies with its parent.

    python -I -S launch.py PARENT CPUS LAYOUT argv…

PARENT is the parent's pid; CPUS are cores with commas between, or empty; LAYOUT is `alike` or `random`.

A program of its own because what it sets must be set between fork and exec, where a process with threads
(a notebook's kernel) may run no Python safely. Imports nothing of perfkit: it stands in front of k6 too.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h


def main(parent: int, cpus: str, layout: str, argv: list[str]) -> None:
    """Set death with the parent, the cores, the layout of memory and the limit of open files, then exec `argv`."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before prctl could tie this process to it
            sys.exit(f"parent {parent} is gone")
        if cpus:
            os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
        if layout == "alike":
            libc.personality(ADDR_NO_RANDOMIZE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection takes a file
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"can't start {argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
