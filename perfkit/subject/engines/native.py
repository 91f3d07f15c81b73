"""Engine `native`: pygrpc-native, which does HTTP/2 and gRPC in Rust, outside Python's lock.

`mutex` and `inputQ` use its servicer API, that of grpcio, so a handler returns its answer and waits for the owner's.
With `batch`, `inputQ` uses the layer beneath: the transport's own queue is the queue, one owner takes up to so many
calls from it at once, and no other thread of Python sees a call.

What the transport can't do: TLS (refused), refusing a message over the limit before it is in memory, and saying that a
caller is gone before it is answered: where a batch is committed before that, such a call is applied.
"""

import tempfile
import threading
import time
from pathlib import Path

import grpc
import pygrpc_native

from perfkit.design.arms import Arm
from perfkit.design.engines import ENGINES
from perfkit.errors import CounterClosed, ServerError
from perfkit.subject.counters import increment, take
from perfkit.subject.engines import Engine, contract
from perfkit.subject.engines.workers import Workers, WorkersEngine
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.shards import guarded
from perfkit.subject.state import State
from perfkit.subject.work import burn

METHOD = f"/{contract.SERVICE}/increment"

IO_THREADS = 1
"""of the transport; more only cost on the one core that servers get"""

EVERYTHING = 1 << 30

POLL_S = 0.005
"""How often a draining server looks whether all answers have left."""


def start(arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: State) -> Engine:
    """Start the server that serves `arm`."""
    if credentials:
        raise ServerError("engine native has no TLS; leave out --tls-cert, or take engine threads or asyncio")
    takes_calls_itself = arm.batch and arm.pattern in ENGINES[arm.engine].lone_owner
    return (BatchEngine if takes_calls_itself else ServicerEngine)(arm, host, port, state)


class ServicerEngine(WorkersEngine):
    """A server with handlers on worker threads, as grpcio's sync one has them."""

    def __init__(self, arm: Arm, host: str, port: int, state: State) -> None:
        self._burn_us = arm.burn_us
        workers = Workers(arm.workers)
        server = pygrpc_native.Server(
            workers,  # type: ignore[arg-type]
            options=contract.OPTIONS,
            io_threads=IO_THREADS,
        )
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._increment)
        counter = guarded(arm, state, PATTERNS[arm.pattern])
        super().__init__(server, workers, counter, handler, (host, port), None)

    def _increment(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            asked = contract.read(raw)
            if self._burn_us:
                burn(self._burn_us)
            count = increment(
                self._counter, asked.value, lambda: context.time_remaining() > 0 and context.is_active(), asked.key
            )
        except Exception as error:
            context.abort(*contract.status_of(error))
        return contract.written(count, asked.key)


class BatchEngine:
    """A server whose only handler is the owner: it drains the transport's queue, batch by batch."""

    def __init__(self, arm: Arm, host: str, port: int, state: State) -> None:
        self._arm = arm
        self._state = state
        self._draining = False
        try:
            self._front = pygrpc_native.NativeGrpcFront(
                f"{host}:{port}", [(METHOD, False)], io_threads=IO_THREADS, metrics=True,
                max_concurrent_streams=contract.CALLS_MAX,
            )  # fmt: skip
        except OSError as error:
            raise contract.cannot_listen(host, port) from error
        self._serve_the_rest()
        self.address = f"{host}:{self._front.bound_port}"
        self._owner = threading.Thread(target=self._own, name="inputQ owner", daemon=True)
        self._front.start()
        self._owner.start()

    def _serve_the_rest(self) -> None:
        """Health and reflection come from a server of grpcio's, to which the transport hands all other methods."""
        self._folder = tempfile.TemporaryDirectory(prefix="perfkit-")
        socket = Path(self._folder.name, "rest.sock")
        self._rest_workers = Workers(2)
        self._rest = grpc.server(self._rest_workers)  # type: ignore[arg-type]
        self._health = contract.add_health_and_reflection(self._rest)
        self._rest.add_insecure_port(f"unix:{socket}")
        self._rest.start()
        self._front.set_fallback(str(socket))

    def stop(self, grace_s: float) -> int:  # noqa: D102
        until = time.monotonic() + grace_s
        self._health.enter_graceful_shutdown()
        self._draining = True
        while not self._all_answered() and time.monotonic() < until:
            time.sleep(POLL_S)
        self._rest.stop(0).wait()
        self._rest_workers.shutdown()
        self._front.close()
        self._owner.join()
        self._folder.cleanup()
        return self._state.count

    def _own(self) -> None:
        refusing = False
        while (events := self._front.recv_batch(self._arm.batch)) is not None:
            draining = self._draining
            if draining and not refusing:  # what waits by now is still answered, what comes later is refused
                events += self._front.recv_batch(EVERYTHING, 0) or []
            calls = [call for _, call_id, _, raw, _ in events if (call := self._read(call_id, raw, refusing=refusing))]
            if self._state.store:
                take(self._state, calls)
            else:
                for call in calls:
                    self._apply(call)
            refusing = draining

    def _read(self, call_id: int, raw: bytes | None, *, refusing: bool) -> "BatchCall | None":
        try:
            if refusing:
                raise CounterClosed("the server is shutting down")
            asked = contract.read(raw or b"")
        except Exception as error:  # the owner lives on, whatever one caller is like
            BatchCall(0, 0, call_id, self._front).refuse(error)
            return None
        if self._arm.burn_us:
            burn(self._arm.burn_us)
        return BatchCall(asked.value, asked.key, call_id, self._front)

    def _apply(self, call: "BatchCall") -> None:
        """Answer before it is applied: a caller that is gone gets no answer, and then nothing must be applied."""
        before = self._state.counts.get(call.key, 0)
        try:
            count = self._state.add(call.by, call.wanted, call.key)
        except Exception as error:
            call.refuse(error)
        else:
            if not call.answer(count):
                self._state.counts[call.key] = before

    def _all_answered(self) -> bool:
        metrics = (self._front.metrics() or {})["methods"][METHOD]
        return bool(metrics["started"] == sum(status["count"] for status in metrics["status"].values()))


class BatchCall:
    """One call off the transport, as a counter's Request."""

    __slots__ = ("_front", "_id", "by", "key")

    def __init__(self, by: int, key: int, call_id: int, front: pygrpc_native.NativeGrpcFront) -> None:
        self.by = by
        self.key = key
        self._id = call_id
        self._front = front

    def wanted(self) -> bool:
        """The transport does not say who is gone before it is asked to answer."""
        return True

    def answer(self, count: int) -> bool:
        """Answer; return whether somebody still waited for it."""
        return bool(self._front.respond(self._id, contract.written(count, self.key)))

    def refuse(self, error: Exception) -> None:  # noqa: D102
        code, details = contract.status_of(error)
        self._front.fail(self._id, code.value[0], details)
