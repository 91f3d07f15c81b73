"""Work on purpose: CPU time that is used for nothing."""

import time


def burn(duration_us: int) -> None:
    """Use CPU time, by this thread's own clock: waiting would cost nothing, and the wall clock counts others' turns."""
    until = time.thread_time_ns() + duration_us * 1000
    while time.thread_time_ns() < until:
        pass
