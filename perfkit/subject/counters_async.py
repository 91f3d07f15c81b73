"""The same subject on one event loop: a count guarded by an asyncio.Lock, or owned by one task behind a queue.

On one loop nothing can come between a read and a write that don't await; both stay right where they do (`hold_s`).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from perfkit.errors import CounterClosed
from perfkit.subject.counters import Wanted, applied


class AsyncCounter(Protocol):
    """A 64-bit count that any number of tasks of one event loop may increment."""

    async def increment(self, by: int, wanted: Wanted) -> int:
        """Add `by` ≥ 0 and return the count as this call left it; a CounterError means that nothing changed."""

    async def close(self) -> int:
        """Refuse what is still queued and all that comes later; return the final count."""


class AsyncMutexCounter:
    """The count behind a lock: whoever holds it reads and writes."""

    def __init__(self, count: int = 0, hold_s: float = 0.0) -> None:
        self._count = count
        self._hold_s = hold_s
        self._closed = False
        self._lock = asyncio.Lock()

    async def increment(self, by: int, wanted: Wanted) -> int:  # noqa: D102
        async with self._lock:
            if self._closed:
                raise CounterClosed("the counter is closed")
            count = applied(self._count, by, wanted)
            if self._hold_s:
                await asyncio.sleep(self._hold_s)
            self._count = count
            return count

    async def close(self) -> int:  # noqa: D102
        async with self._lock:
            self._closed = True
            return self._count


class AsyncInputQCounter:
    """The count owned by one task: all others ask it through a queue and await a reply of their own."""

    def __init__(self, count: int = 0, hold_s: float = 0.0) -> None:
        self._count = count
        self._hold_s = hold_s
        self._closed = False
        self._requests: asyncio.Queue[tuple[int, Wanted, asyncio.Future[int]] | None] = asyncio.Queue()
        self._owner = asyncio.create_task(self._own(), name="inputQ owner")

    async def increment(self, by: int, wanted: Wanted) -> int:  # noqa: D102
        if self._closed:
            raise CounterClosed("the counter is closed")
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._requests.put_nowait((by, wanted, reply))
        return await reply

    async def close(self) -> int:  # noqa: D102
        if not self._closed:
            self._closed = True  # before the last request: none can come behind it, on one loop
            self._requests.put_nowait(None)
        await asyncio.wait([self._owner])
        return self._count

    async def _own(self) -> None:
        # While something waits, get() does not suspend: each wake-up drains the queue.
        while request := await self._requests.get():
            by, wanted, reply = request
            try:
                count = applied(self._count, by, lambda: not reply.done() and wanted())  # noqa: B023 - called at once
                if self._hold_s:
                    await asyncio.sleep(self._hold_s)
                self._count = count
            except Exception as error:  # the caller's to handle: the owner lives on
                if not reply.done():
                    reply.set_exception(error)
            else:
                if not reply.done():
                    reply.set_result(count)


PATTERNS: dict[str, Callable[[int, float], AsyncCounter]] = {"mutex": AsyncMutexCounter, "inputQ": AsyncInputQCounter}
