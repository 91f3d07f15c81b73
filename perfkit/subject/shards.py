"""Keys: each of several shards guards its own, and reads may go past all guards to what was last committed."""

from collections.abc import Callable, Sequence

from perfkit.design.arms import Arm
from perfkit.design.engines import SNAPSHOT
from perfkit.subject.counters import Counter, Request
from perfkit.subject.counters_async import AsyncCounter
from perfkit.subject.state import State, Wanted


class Shards:
    """Several counters, each with the keys that fall to it."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._counters = counters

    def handle(self, request: Request) -> None:  # noqa: D102
        self._counters[request.key % len(self._counters)].handle(request)

    def close(self) -> int:  # noqa: D102
        return [counter.close() for counter in self._counters][-1]  # all counts together, when all are closed


class SnapshotReads:
    """A counter whose reads are answered at once with what was last committed: they wait for no lock and no queue.

    What is committed is there before it is answered, and never gets less: no caller sees its own key go back.
    """

    def __init__(self, counter: Counter, committed: Callable[[int], int]) -> None:
        self._counter = counter
        self._committed = committed

    def handle(self, request: Request) -> None:  # noqa: D102
        if request.by:
            self._counter.handle(request)
        else:
            request.answer(self._committed(request.key))

    def close(self) -> int:  # noqa: D102
        return self._counter.close()


def guarded(arm: Arm, state: State, pattern: Callable[[State, int], Counter]) -> Counter:
    """Return the counter of an arm: as many as it has shards, and its reads as it says."""
    several = [pattern(part, arm.batch) for part in state.split(arm.shards)]
    counter = several[0] if len(several) == 1 else Shards(several)
    return SnapshotReads(counter, state.committed) if arm.reads == SNAPSHOT else counter


class AsyncShards:
    """The same of an event loop's counters."""

    def __init__(self, counters: Sequence[AsyncCounter]) -> None:
        self._counters = counters

    async def increment(self, by: int, wanted: Wanted, key: int = 0) -> int:  # noqa: D102
        return await self._counters[key % len(self._counters)].increment(by, wanted, key)

    async def close(self) -> int:  # noqa: D102
        return [await counter.close() for counter in self._counters][-1]


class AsyncSnapshotReads:
    """The same of an event loop's counter."""

    def __init__(self, counter: AsyncCounter, committed: Callable[[int], int]) -> None:
        self._counter = counter
        self._committed = committed

    async def increment(self, by: int, wanted: Wanted, key: int = 0) -> int:  # noqa: D102
        return await self._counter.increment(by, wanted, key) if by else self._committed(key)

    async def close(self) -> int:  # noqa: D102
        return await self._counter.close()


def guarded_async(arm: Arm, state: State, pattern: Callable[[State, int], AsyncCounter]) -> AsyncCounter:
    """Return the counter of an arm of an event loop, likewise."""
    several = [pattern(part, arm.batch) for part in state.split(arm.shards)]
    counter = several[0] if len(several) == 1 else AsyncShards(several)
    return AsyncSnapshotReads(counter, state.committed) if arm.reads == SNAPSHOT else counter
