"""Pattern `combining`: whoever finds nobody at work takes what all have left, commits once, and answers for them.

Flat combining (Hendler, Incze, Shavit and Tzafrir 2010): the queue of `inputQ` without an owner of its own.
"""

import threading
from queue import SimpleQueue

from perfkit.errors import CounterClosed
from perfkit.subject.counters import Request, take
from perfkit.subject.state import State


class CombiningCounter:
    """The count of whoever is free; all others leave their requests and go."""

    def __init__(self, state: State, batch: int = 0) -> None:
        self._state = state
        self._batch = max(1, batch)
        self._closed = False
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._combining = threading.Lock()

    def handle(self, request: Request) -> None:  # noqa: D102
        self._requests.put(request)
        self._combine_what_waits()

    def close(self) -> int:  # noqa: D102
        with self._combining:
            self._closed = True
            count = self._state.count
        self._combine_what_waits()
        return count

    def _combine_what_waits(self) -> None:
        # Looked at again after each release: what came just before it was left to whoever was at work.
        while not self._requests.empty() and self._combining.acquire(blocking=False):
            try:
                self._combine()
            finally:
                self._combining.release()

    def _combine(self) -> None:
        together: list[Request] = []
        while len(together) < self._batch and not self._requests.empty():
            together.append(self._requests.get_nowait())  # nobody else takes
        if not self._closed:
            take(self._state, together)
            return
        for request in together:
            request.refuse(CounterClosed("the counter is closed"))
