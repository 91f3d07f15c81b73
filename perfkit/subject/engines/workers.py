"""Servers whose calls are handled by threads: the threads, and what such a server of grpcio's kind is made of."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import grpc

from perfkit.subject.counters import Counter
from perfkit.subject.engines import contract

_log = logging.getLogger(__name__)


class Submitted:
    """Stands for every submitted call: what grpcio wants to do at its end may as well be done at once."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:  # noqa: D102
        callback(self)


SUBMITTED = Submitted()


class Workers:
    """So many threads, which take calls from one queue: an executor that makes no Future, for nobody looks at one."""

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


class WorkersEngine:
    """A server of grpcio's kind with a counter and workers, which runs from its construction until `stop`."""

    def __init__(
        self,
        server: grpc.Server,
        workers: Workers,
        counter: Counter,
        handler: "grpc.RpcMethodHandler[bytes, bytes]",
        address: tuple[str, int],
        credentials: grpc.ServerCredentials | None,
    ) -> None:
        self._server = server
        self._workers = workers
        self._counter = counter
        contract.add_increment(server, handler)
        self._health = contract.add_health_and_reflection(server)
        self.address = contract.listen(server, *address, credentials)
        server.start()

    def stop(self, grace_s: float) -> int:  # noqa: D102
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._workers.shutdown()
        return self._counter.close()
