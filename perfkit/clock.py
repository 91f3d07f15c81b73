"""Time, handed in to whatever reasons about it, so that a test can hand in a clock of its own."""

import time
from collections.abc import Callable
from typing import Protocol

LOOK_S = 0.01
"""How often a condition is looked at."""


class Clock(Protocol):
    """What is asked of a clock; the module `time` is the machine's."""

    def time(self) -> float:
        """Return seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds since some moment, by a clock that nobody sets."""

    def monotonic_ns(self) -> int:
        """Return the same in nanoseconds."""

    def sleep(self, seconds: float, /) -> None:
        """Let so much time pass."""


def wait_until(
    holds: Callable[[], bool], within_s: float, clock: Clock = time, check: Callable[[], None] = lambda: None
) -> bool:
    """Wait until a condition holds, for `within_s` seconds at most; return whether it does.

    `check` is called before each look, and may raise.
    """
    until_s = clock.monotonic() + within_s
    while True:
        check()
        if holds():
            return True
        if clock.monotonic() >= until_s:
            return False
        clock.sleep(LOOK_S)
