"""Pattern `leader`: group commit as databases have it. The first in the queue commits for all, who sleep meanwhile.

Each caller's thread is taken until its own call is committed: a group is never larger than the server's threads.
"""

import threading

from perfkit.errors import CounterClosed
from perfkit.subject.counters import Request, take
from perfkit.subject.state import State


class Waiting:
    """A caller in the queue, woken when its call is committed, or when it is its turn to lead."""

    def __init__(self, request: Request) -> None:
        self.by, self.wanted, self.key = request.by, request.wanted, request.key
        self.outcome: int | Exception | None = None
        self.sleeps = threading.Lock()
        self.sleeps.acquire()

    def answer(self, count: int) -> None:  # noqa: D102
        self.outcome = count

    def refuse(self, error: Exception) -> None:  # noqa: D102
        self.outcome = error


class LeaderCounter:
    """The count of whoever is the first in the queue, who commits for up to `batch` callers."""

    def __init__(self, state: State, batch: int = 0) -> None:
        self._state = state
        self._batch = max(1, batch)
        self._closed = False
        self._queue: list[Waiting] = []
        self._queue_lock, self._state_lock = threading.Lock(), threading.Lock()

    def handle(self, request: Request) -> None:  # noqa: D102
        own = Waiting(request)
        with self._queue_lock:
            self._queue.append(own)
            is_first = len(self._queue) == 1
        if not is_first:
            own.sleeps.acquire()
        if own.outcome is None:
            self._lead()
        if isinstance(own.outcome, Exception):
            request.refuse(own.outcome)
        elif own.outcome is not None:
            request.answer(own.outcome)

    def close(self) -> int:  # noqa: D102
        with self._state_lock:
            self._closed = True
            return self._state.count

    def _lead(self) -> None:
        with self._queue_lock:
            group = self._queue[: self._batch]
        with self._state_lock:
            if self._closed:
                for one in group:
                    one.refuse(CounterClosed("the counter is closed"))
            else:
                take(self._state, group)
        with self._queue_lock:
            del self._queue[: len(group)]
            following = self._queue[:1]
        for other in (*group[1:], *following):
            other.sleeps.release()
