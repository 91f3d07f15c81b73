"""Pattern `inputQ`: one thread owns the count; all others leave their requests in its queue."""

import threading
from queue import Empty, SimpleQueue

from perfkit.errors import CounterClosed
from perfkit.subject.counters import Request, take
from perfkit.subject.state import State


class InputQCounter:
    """The count of an owner, who takes what waits, up to `batch` requests, commits once, and answers them.

    It answers by itself: a caller's thread that slept until it was told would have to be woken for each call, which
    costs more than all else that the owner does (docs/hop.md).
    """

    def __init__(self, state: State, batch: int = 0) -> None:
        self._state = state
        self._batch = batch
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
        return self._state.count

    def _own(self) -> None:
        while request := self._requests.get():
            together = [request]
            while len(together) < self._batch and not self._requests.empty():
                more = self._requests.get_nowait()  # nobody else takes
                if more is None:
                    self._requests.put(None)
                    break
                together.append(more)
            take(self._state, together)
        self._closed = True  # before the queue is emptied: a request is seen here, or its caller sees the flag
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            if request:
                request.refuse(CounterClosed("the counter is closed"))
