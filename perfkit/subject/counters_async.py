"""The same subject on one event loop: a count guarded by an asyncio.Lock, or owned by one task behind a queue.

On one loop nothing can come between a read and a write that don't await; both stay right where they do (a wait, or a
commit on a thread, during which the loop goes on).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from perfkit.errors import CounterClosed
from perfkit.subject.state import State, Wanted


class AsyncCounter(Protocol):
    """64-bit counts by key that any number of tasks of one event loop may increment."""

    async def increment(self, by: int, wanted: Wanted, key: int = 0) -> int:
        """Add `by` ≥ 0 to a key's count and return it as this call left it; a CounterError: nothing changed."""

    async def close(self) -> int:
        """Refuse what is still queued and all that comes later; return all counts together."""


class AsyncMutexCounter:
    """The count behind a lock: whoever holds it adds and commits."""

    def __init__(self, state: State, _: int = 0) -> None:
        self._state = state
        self._closed = False
        self._lock = asyncio.Lock()

    async def increment(self, by: int, wanted: Wanted, key: int = 0) -> int:  # noqa: D102
        async with self._lock:
            if self._closed:
                raise CounterClosed("the counter is closed")
            count = await _add(self._state, by, wanted, key)
            await _commit(self._state, 1)
            return count

    async def close(self) -> int:  # noqa: D102
        async with self._lock:
            self._closed = True
            return self._state.count


class AsyncInputQCounter:
    """The count of one task, which takes what waits, up to `batch` calls, commits once, and tells the callers."""

    def __init__(self, state: State, batch: int = 0) -> None:
        self._state = state
        self._batch = batch
        self._closed = False
        self._requests: asyncio.Queue[tuple[int, int, Wanted, asyncio.Future[int]] | None] = asyncio.Queue()
        self._owner = asyncio.create_task(self._own(), name="inputQ owner")

    async def increment(self, by: int, wanted: Wanted, key: int = 0) -> int:  # noqa: D102
        if self._closed:
            raise CounterClosed("the counter is closed")
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._requests.put_nowait((by, key, wanted, reply))
        return await reply

    async def close(self) -> int:  # noqa: D102
        if not self._closed:
            self._closed = True  # before the last request: none can come behind it, on one loop
            self._requests.put_nowait(None)
        await asyncio.wait([self._owner])
        return self._state.count

    async def _own(self) -> None:
        # While something waits, get() does not suspend: each wake-up drains the queue.
        while request := await self._requests.get():
            added: list[tuple[asyncio.Future[int], int]] = []
            await self._add(request, added)
            taken = 1
            while taken < self._batch and not self._requests.empty():
                more = self._requests.get_nowait()
                if more is None:
                    self._requests.put_nowait(None)
                    break
                await self._add(more, added)
                taken += 1
            try:
                await _commit(self._state, len(added))
            except Exception as error:
                for reply, _ in added:
                    if not reply.done():
                        reply.set_exception(error)
            else:
                for reply, count in added:
                    if not reply.done():
                        reply.set_result(count)

    async def _add(
        self, request: tuple[int, int, Wanted, "asyncio.Future[int]"], added: list[tuple["asyncio.Future[int]", int]]
    ) -> None:
        by, key, wanted, reply = request
        try:
            added.append((reply, await _add(self._state, by, lambda: not reply.done() and wanted(), key)))
        except Exception as error:  # the caller's to handle: the owner lives on
            if not reply.done():
                reply.set_exception(error)


async def _add(state: State, by: int, wanted: Wanted, key: int) -> int:
    """Do `state.add`, which would hold up the loop where it waits."""
    count = state.next(by, wanted, key)
    if state.hold_s and by:
        began_ns = state.clock.now_ns()
        for some_s in state.clock.waits(state.hold_s):
            await asyncio.sleep(some_s)
        state.held(began_ns)
    if by:
        state.write(key, count)
    return count


async def _commit(state: State, calls: int) -> None:
    """Do `state.commit` on a thread; a caller that is gone meanwhile lets nobody in before it is done."""
    if state.store is None:
        return
    committed = asyncio.get_running_loop().run_in_executor(None, state.commit, calls)
    try:
        await asyncio.shield(committed)
    except asyncio.CancelledError:
        while not committed.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([committed])
        raise


PATTERNS: dict[str, Callable[[State, int], AsyncCounter]] = {"mutex": AsyncMutexCounter, "inputQ": AsyncInputQCounter}
