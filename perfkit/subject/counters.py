"""The subject of the experiment: one shared count, guarded by a lock (`mutex`) or by a single owner (`inputQ`)."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from perfkit.errors import CallDropped, CounterClosed, CountOverflow, NegativeValue

COUNT_MAX = 2**63 - 1

Wanted = Callable[[], bool]
"""Whether somebody still waits for the answer; asked at the last moment before a call is applied."""

_log = logging.getLogger(__name__)


class Request(Protocol):
    """One call as a counter sees it: what to add, and where the answer goes, exactly once."""

    by: int

    def wanted(self) -> bool:
        """Whether somebody still waits for the answer."""

    def answer(self, count: int) -> None:
        """Take the count as this call left it."""

    def refuse(self, error: Exception) -> None:
        """Take why nothing changed."""


class Counter(Protocol):
    """A 64-bit count that any number of threads may increment."""

    def handle(self, request: Request) -> None:
        """Add `request.by` ≥ 0 and answer, or refuse with a CounterError; before this returns, or later."""

    def close(self) -> int:
        """Refuse what is still queued and all that comes later; return the final count."""


def applied(count: int, by: int, wanted: Wanted) -> int:
    """Return `count` + `by`; a CounterError says why that must not be."""
    if not wanted():
        raise CallDropped("the caller was gone before the call was applied")
    if by < 0:
        raise NegativeValue
    if by > COUNT_MAX - count:
        raise CountOverflow(f"adding {by} to {count} would leave 64 bits")
    return count + by


class MutexCounter:
    """The count behind a lock: whoever holds it reads and writes."""

    def __init__(self, count: int = 0, hold_s: float = 0.0) -> None:
        self._count = count
        self._hold_s = hold_s
        self._closed = False
        self._lock = threading.Lock()

    def handle(self, request: Request) -> None:  # noqa: D102
        try:
            with self._lock:
                if self._closed:
                    raise CounterClosed("the counter is closed")
                count = applied(self._count, request.by, request.wanted)
                if self._hold_s:
                    time.sleep(self._hold_s)
                self._count = count
        except Exception as error:  # the caller's to handle
            request.refuse(error)
        else:
            request.answer(count)

    def close(self) -> int:  # noqa: D102
        with self._lock:
            self._closed = True
            return self._count


class InputQCounter:
    """The count owned by one thread: all others leave their requests in its queue, and it answers them.

    It answers by itself: a caller's thread that slept until it was told would have to be woken for each call, which
    costs more than all else that the owner does (docs/hop.md).
    """

    def __init__(self, count: int = 0, hold_s: float = 0.0) -> None:
        self._count = count
        self._hold_s = hold_s
        self._closed = False
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._owner = threading.Thread(target=self._own, name="inputQ owner", daemon=True)
        self._owner.start()

    def handle(self, request: Request) -> None:  # noqa: D102
        self._requests.put(request)
        if self._closed:  # the owner may have left before it could see this request: nobody else would answer it
            self._refuse_queued()

    def close(self) -> int:  # noqa: D102
        self._requests.put(None)
        self._owner.join()
        return self._count

    def _own(self) -> None:
        while request := self._requests.get():
            try:
                self._apply(request)
            except Exception:  # the owner lives on, whatever one caller is like
                _log.exception("a call could not be answered")
        self._closed = True  # before the queue is emptied: a request is seen here, or its caller sees the flag
        self._refuse_queued()

    def _apply(self, request: Request) -> None:
        try:
            count = applied(self._count, request.by, request.wanted)
        except Exception as error:  # the caller's to handle
            request.refuse(error)
            return
        if self._hold_s:
            time.sleep(self._hold_s)
        self._count = count
        request.answer(count)

    def _refuse_queued(self) -> None:
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            if request:
                request.refuse(CounterClosed("the counter is closed"))


PATTERNS: dict[str, Callable[[int, float], Counter]] = {"mutex": MutexCounter, "inputQ": InputQCounter}


class Asked:
    """A request whose caller sleeps until it is answered."""

    def __init__(self, by: int, wanted: Wanted) -> None:
        self.by = by
        self.wanted = wanted
        self._outcome: SimpleQueue[int | Exception] = SimpleQueue()
        self.answer: Callable[[int], None] = self._outcome.put
        self.refuse: Callable[[Exception], None] = self._outcome.put

    def wait(self) -> int:
        """Return the count as this call left it, or raise why nothing changed."""
        outcome = self._outcome.get()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def increment(counter: Counter, by: int, wanted: Wanted = lambda: True) -> int:
    """Ask a counter and wait for the answer."""
    request = Asked(by, wanted)
    counter.handle(request)
    return request.wait()
