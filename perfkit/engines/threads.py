"""Engine `threads`: grpcio's sync server, with an executor that is nothing but threads and one queue.

The executor is where it differs from the textbook (`ThreadPoolExecutor`): grpcio never looks at the Future it gets
for a call, so none is made. That leans on these internals of grpcio (tests/test_engines_threads.py holds them to it):
`grpc.server` takes any object with `submit`; of what `submit` returns, it calls `add_done_callback` only; the
callback only lowers the number behind `maximum_concurrent_rpcs`, which is not used here; what it submits handles
its own exceptions; and stopping waits for running calls by their state, not by a Future.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Literal

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from perfkit._proto import counter_pb2
from perfkit.counters import Counter
from perfkit.errors import CallDropped, CounterClosed, CounterError, CountOverflow, NegativeValue, ServerError

SERVICE = counter_pb2.DESCRIPTOR.services_by_name["incrementCounter"].full_name

STATUS_OF: dict[type[CounterError], grpc.StatusCode] = {
    NegativeValue: grpc.StatusCode.INVALID_ARGUMENT,
    CountOverflow: grpc.StatusCode.OUT_OF_RANGE,
    CallDropped: grpc.StatusCode.CANCELLED,
    CounterClosed: grpc.StatusCode.UNAVAILABLE,
}

OPTIONS = [
    ("grpc.so_reuseport", 0),  # grpcio's default would let two servers share a port without a word
    ("grpc.max_receive_message_length", 64 * 1024),  # a request has 11 bytes at most
    ("grpc.max_concurrent_streams", 1000),  # of one connection; more wait at the client
]

_log = logging.getLogger(__name__)


class _Submitted:
    """Stands for every submitted call: what grpcio wants to do at its end may as well be done at once."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)


class BareExecutor:
    """Threads and one queue."""

    def __init__(self, workers: int) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[object, ...]] | None] = SimpleQueue()
        self._submitted = _Submitted()
        self._threads = [threading.Thread(target=self._work, name=f"worker {i}", daemon=True) for i in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., object], *arguments: object) -> _Submitted:
        """Run `function(*arguments)` on the next free thread."""
        self._calls.put((function, arguments))
        return self._submitted

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


def _parsed(raw: bytes) -> counter_pb2.incrementBy | Literal[False]:
    """Read a request; False stands for one that is none.

    Not None and no exception, for which grpcio answers INTERNAL itself and then keeps the call, 20 kB of it, as long as
    the connection lives (tests/faults.py sends 100,000).
    """
    try:
        return counter_pb2.incrementBy.FromString(raw)
    except DecodeError:
        return False


class _Servicer:
    """gRPC on one side, a Counter on the other; which pattern it is stays unknown here."""

    def __init__(self, counter: Counter, burn_us: int) -> None:
        self._increment = counter.increment
        self._burn_ns = burn_us * 1000

    def increment(
        self, request: counter_pb2.incrementBy | Literal[False], context: grpc.ServicerContext
    ) -> counter_pb2.status:
        if request is False:
            context.abort(grpc.StatusCode.INTERNAL, "the request is no counter.incrementBy message")
        if self._burn_ns:
            _burn(self._burn_ns)
        try:
            # The deadline is asked for beside is_active(), which lags behind it by the way through the event queue.
            count = self._increment(request.value, lambda: context.time_remaining() > 0 and context.is_active())
        except CounterError as error:
            context.abort(STATUS_OF[type(error)], str(error))
        return counter_pb2.status(message=f"Incremented value is {count}", count=count)


def _burn(duration_ns: int) -> None:
    """Use CPU time, by this thread's own clock: waiting would cost nothing, and the wall clock counts others' turns."""
    until = time.thread_time_ns() + duration_ns
    while time.thread_time_ns() < until:
        pass


class ThreadsEngine:
    """A server that runs from its construction until `stop`."""

    def __init__(
        self,
        counter: Counter,
        host: str,
        port: int,
        workers: int,
        burn_us: int = 0,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self._executor = BareExecutor(workers)
        self._server = grpc.server(self._executor, options=OPTIONS)  # type: ignore[arg-type]
        self._health = _add_services(self._server, _Servicer(counter, burn_us))
        try:
            where = f"{host}:{port}"
            given = (
                self._server.add_secure_port(where, credentials)
                if credentials
                else self._server.add_insecure_port(where)
            )
            self.address = f"{host}:{given}"
        except RuntimeError as error:
            self._executor.shutdown()
            raise ServerError(
                f"can't listen on {host}:{port}: the port is taken or the host is not this machine's; "
                "name another with --port or --host, or take --port 0 for a free one"
            ) from error
        self._server.start()

    def stop(self, grace_s: float) -> None:  # noqa: D102
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._executor.shutdown()


def _add_services(server: grpc.Server, servicer: _Servicer) -> health.HealthServicer:
    """Add the counter, standard health and reflection to a server."""
    handlers = {
        "increment": grpc.unary_unary_rpc_method_handler(
            servicer.increment, request_deserializer=_parsed, response_serializer=counter_pb2.status.SerializeToString
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)  # found faster, as the generated code has it
    health_servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    for service in ("", SERVICE):
        health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return health_servicer
