"""Work and waits on purpose, by clocks that stand still while the server is stopped."""

import mmap
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from perfkit.clock import Clock

_STOPPED_NS = struct.Struct("=q")


class OwnClock:
    """The server's own time: it stands still while a watchdog lets other servers have their turn.

    A wait by it is as long as one of a server that is never stopped; by any other clock, one that is stopped in
    mid-wait would have waited for nothing.
    """

    def __init__(self, stopped: Path | None = None, clock: Clock = time) -> None:
        self._clock = clock
        self._stopped: mmap.mmap | None = None
        if stopped:
            with stopped.open("rb") as file:
                self._stopped = mmap.mmap(file.fileno(), _STOPPED_NS.size, access=mmap.ACCESS_READ)

    def now_ns(self) -> int:
        """Return nanoseconds since some moment, but for those in which the server was stopped."""
        if self._stopped is None:
            return self._clock.monotonic_ns()
        # It changes only while nothing runs here, so that it must be the same before and after.
        while True:
            stopped_ns: int = _STOPPED_NS.unpack_from(self._stopped)[0]
            now_ns = self._clock.monotonic_ns()
            if _STOPPED_NS.unpack_from(self._stopped) == (stopped_ns,):
                return now_ns - stopped_ns

    def waits(self, duration_s: float) -> Iterator[float]:
        """Yield the seconds to sleep, again and again, until that much has passed by this clock."""
        until_ns = self.now_ns() + round(duration_s * 1e9)
        yield duration_s
        while self._stopped is not None and (left_ns := until_ns - self.now_ns()) > 0:
            yield left_ns / 1e9

    def sleep(self, duration_s: float) -> None:
        """Wait so long by this clock."""
        for some_s in self.waits(duration_s):
            self._clock.sleep(some_s)


def burn(duration_us: int) -> None:
    """Use CPU time, by this thread's own clock: waiting would cost nothing, and the wall clock counts others' turns."""
    until = time.thread_time_ns() + duration_us * 1000
    while time.thread_time_ns() < until:
        pass
