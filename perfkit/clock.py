"""Time, handed in to whatever reasons about it, so that a test can hand in a clock of its own."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

LOOK_S = 0.01
"""How often it is looked whether something holds."""


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
    look: Callable[[], T], within_s: float, clock: Clock = time, check: Callable[[], None] = lambda: None
) -> T:
    """Look until something true is seen, for `within_s` seconds at most; return what was seen last.

    `check` is called before each look, and may raise.
    """
    until_s = clock.monotonic() + within_s
    while True:
        check()
        if (seen := look()) or clock.monotonic() >= until_s:
            return seen
        clock.sleep(LOOK_S)
