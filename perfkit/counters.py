"""The subject of the experiment: one shared count, guarded by a lock (`mutex`) or by a single owner (`inputQ`)."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from perfkit.errors import CallDropped, CounterClosed, CountOverflow, NegativeValue

COUNT_MAX = 2**63 - 1

Wanted = Callable[[], bool]
"""Whether somebody still waits for the answer; asked at the last moment before a call is applied."""


class Counter(Protocol):
    """A 64-bit count that any number of threads may increment."""

    def increment(self, by: int, wanted: Wanted = lambda: True) -> int:
        """Add `by` ≥ 0 and return the count as this call left it; a CounterError means that nothing changed."""

    def close(self) -> int:
        """Refuse what is still queued and all that comes later; return the final count."""


def _applied(count: int, by: int, wanted: Wanted) -> int:
    if not wanted():
        raise CallDropped("the caller was gone before the call was applied")
    if by < 0:
        raise NegativeValue
    if by > COUNT_MAX - count:
        raise CountOverflow(f"adding {by} to {count} would leave 64 bits")
    return count + by


class MutexCounter:
    """The count behind a lock: whoever holds it reads and writes."""

    def __init__(self, count: int = 0) -> None:
        self._count = count
        self._closed = False
        self._lock = threading.Lock()

    def increment(self, by: int, wanted: Wanted = lambda: True) -> int:  # noqa: D102
        with self._lock:
            if self._closed:
                raise CounterClosed("the counter is closed")
            self._count = _applied(self._count, by, wanted)
            return self._count  # read inside the lock: outside it, it could be another caller's

    def close(self) -> int:  # noqa: D102
        with self._lock:
            self._closed = True
            return self._count


class InputQCounter:
    """The count owned by one thread: all others ask it through a queue and wait at a reply slot of their own."""

    def __init__(self, count: int = 0) -> None:
        self._count = count
        self._closed = False
        self._requests: SimpleQueue[tuple[int, Wanted, SimpleQueue[int | Exception]] | None] = SimpleQueue()
        self._owner = threading.Thread(target=self._own, name="inputQ owner", daemon=True)
        self._owner.start()

    def increment(self, by: int, wanted: Wanted = lambda: True) -> int:  # noqa: D102
        reply: SimpleQueue[int | Exception] = SimpleQueue()
        self._requests.put((by, wanted, reply))
        if self._closed:  # the owner may have left before it could see this request: nobody else would answer it
            self._refuse_queued()
        answer = reply.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> int:  # noqa: D102
        self._requests.put(None)
        self._owner.join()
        return self._count

    def _own(self) -> None:
        while request := self._requests.get():
            by, wanted, reply = request
            try:
                self._count = _applied(self._count, by, wanted)
            except Exception as error:  # the caller's to handle: the owner lives on
                reply.put(error)
            else:
                reply.put(self._count)
        self._closed = True  # before the queue is emptied: a request is seen here, or its caller sees the flag
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            if request:
                request[2].put(CounterClosed("the counter is closed"))


PATTERNS: dict[str, Callable[[], Counter]] = {"mutex": MutexCounter, "inputQ": InputQCounter}
