"""What a critical section does: it adds to the count, may work or wait, and commits to the store, if there is one."""

import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable
from typing import Any

from perfkit.errors import CallDropped, CountOverflow, NegativeValue, StoreFailed
from perfkit.subject.stores.contract import Store
from perfkit.subject.work import burn

COUNT_MAX = 2**63 - 1

LAST = 100_000
"""So many of the last waits and commits are kept, to say how long they took."""

Wanted = Callable[[], bool]
"""Whether somebody still waits for the answer; asked at the last moment before a call is applied."""


class State:
    """The count, its store, and what the critical section costs; a pattern sees to it that one at a time is in here."""

    def __init__(self, count: int = 0, *, hold_us: int = 0, work_us: int = 0, store: Store | None = None) -> None:
        self.count = store.count if store else count
        """inside the section it may be ahead of the store, outside of it never"""
        self.first = self.count
        self.hold_s = hold_us / 1e6
        self.store = store
        self.failure: StoreFailed | None = None
        """why nothing can be committed any more"""
        self.on_failure: Callable[[], object] = lambda: None
        """called when a commit has failed"""
        self._work_us = work_us
        self._held_us: deque[float] = deque(maxlen=LAST)
        self._commit_us: deque[float] = deque(maxlen=LAST)
        self._batches: Tally[int] = Tally()

    def add(self, by: int, wanted: Wanted) -> int:
        """Add to the count, not yet committed, and return it; a CounterError says why that must not be."""
        count = self.next(by, wanted)
        if self.hold_s:
            began_ns = time.perf_counter_ns()
            time.sleep(self.hold_s)
            self.held(began_ns)
        self.count = count
        return count

    def next(self, by: int, wanted: Wanted) -> int:
        """Do the section's work and return what the count will be; for those who wait and write by themselves."""
        if not wanted():
            raise CallDropped("the caller was gone before the call was applied")
        if by < 0:
            raise NegativeValue
        if by > COUNT_MAX - self.count:
            raise CountOverflow(f"adding {by} to {self.count} would leave 64 bits")
        if self.failure:
            raise StoreFailed(str(self.failure))  # anew: one raised again and again would keep every traceback
        if self._work_us:
            burn(self._work_us)
        return self.count + by

    def held(self, began_ns: int) -> None:
        """Note a wait that began then and has just ended."""
        self._held_us.append((time.perf_counter_ns() - began_ns) / 1e3)

    def commit(self, calls: int) -> None:
        """Make durable what so many calls have added; after a StoreFailed only opening it again can tell what is."""
        store = self.store
        if store is None or self.count == store.count:
            return
        began_ns = time.perf_counter_ns()
        try:
            store.commit(self.count)
        except StoreFailed as error:
            self.failure, self.count = error, store.count
            self.on_failure()
            raise
        self._commit_us.append((time.perf_counter_ns() - began_ns) / 1e3)
        self._batches[calls] += 1

    def told(self) -> dict[str, Any]:
        """Return how long waits and commits really took, µs, and how many commits were for how many calls."""
        return {
            "held_us": _spread(self._held_us),
            "commit_us": _spread(self._commit_us),
            "batches": {str(calls): commits for calls, commits in sorted(self._batches.items())},
        }

    def close(self) -> None:
        """Close the store, after which nothing can be committed."""
        if self.store:
            self.store.close()


def _spread(taken_us: deque[float]) -> dict[str, float] | None:
    if not taken_us:
        return None
    rising = sorted(taken_us)
    return {
        "mean": sum(rising) / len(rising),
        "p50": rising[len(rising) // 2],
        "p99": rising[len(rising) * 99 // 100],
    }
