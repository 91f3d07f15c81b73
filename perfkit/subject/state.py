"""What a critical section does: it adds to a key's count, may work or wait, and commits to a store, if any."""

from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from perfkit.errors import CallDropped, CountOverflow, NegativeValue, StoreFailed
from perfkit.subject.stores.contract import OneAtATime, Store
from perfkit.subject.work import OwnClock, burn

COUNT_MAX = 2**63 - 1

LAST = 100_000
"""So many of the last waits and commits are kept, to say how long they took."""

Wanted = Callable[[], bool]
"""Whether somebody still waits for the answer; asked at the last moment before a call is applied."""


class State:
    """Counts, their store, and what the critical section costs; a pattern sees to it that one at a time is in here."""

    def __init__(
        self,
        count: int = 0,
        *,
        hold_us: int = 0,
        work_us: int = 0,
        store: Store | None = None,
        clock: OwnClock | None = None,
    ) -> None:
        self.counts: dict[int, int] = dict(store.counts) if store else {0: count}
        """key → count; inside the section it may be ahead of the store, outside of it never"""
        self.began: Mapping[int, int] = dict(self.counts)
        """as it was found"""
        self.hold_s = hold_us / 1e6
        self.clock = clock or OwnClock()
        """by which waits and commits are timed"""
        self.store = store
        self.on_failure: Callable[[], object] = lambda: None
        """called when a commit has failed"""
        self._parts: list[State] = []
        self._failures: list[StoreFailed] = []
        self._changed: dict[int, int] = {}
        self._work_us = work_us
        self._held_us: deque[float] = deque(maxlen=LAST)
        self._commit_us: deque[float] = deque(maxlen=LAST)
        self._batches: Tally[int] = Tally()

    @property
    def count(self) -> int:
        """All keys' counts together."""
        return sum(self.counts.values())

    @property
    def first(self) -> int:
        """All keys' counts together, as they were found."""
        return sum(self.began.values())

    @property
    def failure(self) -> StoreFailed | None:
        """Why nothing can be committed any more; None: all is well."""
        return self._failures[0] if self._failures else None

    def split(self, shards: int) -> "list[State]":
        """Return so many states, each with a critical section of its own, whose keys differ; they share the store."""
        if shards == 1:
            return [self]
        if self.store:
            self.store = OneAtATime(self.store)
        self._parts = [copy(self) for _ in range(shards)]  # with the same counts, which no two of them change
        for part in self._parts:
            part._changed, part._batches = {}, Tally()
        return self._parts

    def committed(self, key: int) -> int:
        """Return a key's count as it was last committed, which any thread may ask for at any time."""
        return (self.store.counts if self.store else self.counts).get(key, 0)

    def add(self, by: int, wanted: Wanted, key: int = 0) -> int:
        """Add to a count, not yet committed, and return it; a CounterError says why that must not be."""
        count = self.next(by, wanted, key)
        if self.hold_s and by:
            began_ns = self.clock.now_ns()
            self.clock.sleep(self.hold_s)
            self.held(began_ns)
        if by:
            self.write(key, count)
        return count

    def write(self, key: int, count: int) -> None:
        """Take what `next` said a count will be."""
        self.counts[key] = count
        if self.store:
            self._changed[key] = count

    def next(self, by: int, wanted: Wanted, key: int = 0) -> int:
        """Do the section's work and return what a count will be; for those who wait and write by themselves."""
        if not wanted():
            raise CallDropped("the caller was gone before the call was applied")
        if by < 0:
            raise NegativeValue
        count = self.counts.get(key, 0)
        if by > COUNT_MAX - count:
            raise CountOverflow(f"adding {by} to {count} would leave 64 bits")
        if self._failures:
            raise StoreFailed(str(self.failure))  # anew: one raised again and again would keep every traceback
        if self._work_us and by:
            burn(self._work_us)
        return count + by

    def held(self, began_ns: int) -> None:
        """Note a wait that began then, by the clock, and has just ended."""
        self._held_us.append((self.clock.now_ns() - began_ns) / 1e3)

    def commit(self, calls: int) -> None:
        """Make durable what so many calls have added; after a StoreFailed only opening it again can tell what is."""
        store, changed = self.store, self._changed
        if store is None or not changed:
            return
        self._changed = {}
        began_ns = self.clock.now_ns()
        try:
            store.commit(changed)
        except StoreFailed as error:
            self._failures.append(error)
            self.counts |= {key: store.counts.get(key, 0) for key in changed}
            self.on_failure()
            raise
        self._commit_us.append((self.clock.now_ns() - began_ns) / 1e3)
        self._batches[calls] += 1

    def told(self) -> dict[str, Any]:
        """Return how long waits and commits really took, µs, and how many commits were for how many calls."""
        batches = sum((part._batches for part in self._parts), self._batches)
        return {
            "held_us": _spread(self._held_us),
            "commit_us": _spread(self._commit_us),
            "batches": {str(calls): commits for calls, commits in sorted(batches.items())},
        }

    def increments(self) -> dict[int, int]:
        """Return key → by how much its count was raised; only those that were."""
        return {key: count - before for key, count in self.counts.items() if count > (before := self.began.get(key, 0))}

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
