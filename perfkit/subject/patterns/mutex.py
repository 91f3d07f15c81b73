"""Pattern `mutex`: whoever holds the lock adds and commits."""

import threading

from perfkit.errors import CounterClosed
from perfkit.subject.counters import Request
from perfkit.subject.state import State


class MutexCounter:
    """The count behind a lock, with a commit for each call."""

    def __init__(self, state: State, _: int = 0) -> None:
        self._state = state
        self._closed = False
        self._lock = threading.Lock()

    def handle(self, request: Request) -> None:  # noqa: D102
        try:
            with self._lock:
                if self._closed:
                    raise CounterClosed("the counter is closed")
                count = self._state.add(request.by, request.wanted, request.key)
                self._state.commit(1)
        except Exception as error:  # the caller's to handle
            request.refuse(error)
        else:
            request.answer(count)

    def close(self) -> int:  # noqa: D102
        with self._lock:
            self._closed = True
            return self._state.count
