"""Threads and one queue: an executor for servers that never look at the Future of a call, so that none is made."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_log = logging.getLogger(__name__)


class Submitted:
    """Stands for every submitted call: what grpcio wants to do at its end may as well be done at once."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:  # noqa: D102
        callback(self)


SUBMITTED = Submitted()


class Workers:
    """So many threads, which take calls from one queue."""

    def __init__(self, count: int) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[object, ...]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"worker {i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., object], *arguments: Any) -> Submitted:
        """Run `function(*arguments)` on the next free thread."""
        self._calls.put((function, arguments))
        return SUBMITTED

    def shutdown(self) -> None:
        """End the threads once everything submitted before has run."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while call := self._calls.get():
            function, arguments = call
            try:
                function(*arguments)
            except BaseException:  # a worker lost is capacity lost, silently
                _log.exception("a call ended in an unexpected exception")
