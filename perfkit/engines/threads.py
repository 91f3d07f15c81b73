"""Engine `threads`: grpcio's sync server, whose calls reach a worker thread when their request is there.

grpcio's own way gives a call to a thread first; that starts to read the request and sleeps until grpcio's thread for
events has it. Here the latter starts to read at once and hands over call and request together: each call changes
threads once instead of three times, and nobody occupies a worker by sending no request. Calls are answered by whoever
applies them, a worker (`mutex`) or the owner (`inputQ`), and nothing waits for a Future, so none is made.

That leans on these internals of grpcio (tests/test_engine_threads.py holds them to it): `grpc.server` takes any object
with `submit`, to which it gives event, state and behavior of a call by position; of what that returns, it only calls
`add_done_callback`, to lower the number behind `maximum_concurrent_rpcs`, which is not used here; what is submitted
handles its own exceptions; and stopping waits for calls by their state, not by a Future.
"""

import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc import _common, _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from perfkit.arms import Arm
from perfkit.counters import PATTERNS
from perfkit.engines import contract
from perfkit.engines.workers import SUBMITTED, Submitted, Workers
from perfkit.errors import GarbledRequest


class Call:
    """One call of `increment`, as a counter's Request."""

    __slots__ = ("_event", "_state", "by")

    def __init__(self, event: Any, state: Any) -> None:
        self._event = event
        self._state = state
        self.by = 0

    def wanted(self) -> bool:  # noqa: D102
        # The deadline is looked at beside the state, which lags behind it by the way through the event queue.
        return self._state.client is not _server._CANCELLED and self._event.call_details.deadline > time.time()

    def answer(self, count: int) -> None:  # noqa: D102
        _server._status(self._event, self._state, contract.written(count))

    def refuse(self, error: Exception) -> None:  # noqa: D102
        code, details = contract.status_of(error)
        with self._state.condition:
            _server._abort(
                self._state, self._event.call, _common.STATUS_CODE_TO_CYGRPC_STATUS_CODE[code], details.encode()
            )

    def read_then(self, serve: Callable[["Call", bytes], object]) -> None:
        """Have the request read by grpcio's thread for events, and `serve` called there."""
        state, token = self._state, _server._RECEIVE_MESSAGE_TOKEN

        def received(event: Any) -> Any:
            raw = event.batch_operations[0].message()
            if raw is None:  # the client has closed, or is gone, without one
                self.refuse(GarbledRequest())
            else:
                serve(self, raw)
            with state.condition:
                return _server._possibly_finish_call(state, token)

        self._event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_server._EMPTY_FLAGS),), received)
        state.due.add(token)


def _increment(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Stand for the method in grpcio's table; the executor knows it and serves the call its own way."""
    raise NotImplementedError


class _Executor(Workers):
    """grpcio's executor, which serves `increment` its own way."""

    def __init__(self, count: int, serve: Callable[[Call, bytes], None]) -> None:
        super().__init__(count)
        self._serve = serve

    def submit(self, function: Callable[..., object], *arguments: Any) -> Submitted:
        match arguments:
            case (_, event, state, behavior, *_) if behavior is _increment:
                Call(event, state).read_then(lambda call, raw: super(_Executor, self).submit(self._serve, call, raw))
                return SUBMITTED
            case _:
                return super().submit(function, *arguments)


class ThreadsEngine:
    """A server that runs from its construction until `stop`."""

    def __init__(self, arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, count: int) -> None:
        self._burn_us = arm.burn_us
        self._counter = PATTERNS[arm.pattern](count, arm.hold_us / 1e6)
        self._workers = _Executor(arm.workers, self._serve)
        self._server = grpc.server(self._workers, options=contract.OPTIONS)  # type: ignore[arg-type]
        contract.add_increment(self._server, _increment)
        self._health = contract.add_health_and_reflection(self._server)
        self.address = contract.listen(self._server, host, port, credentials)
        self._server.start()

    def stop(self, grace_s: float) -> int:  # noqa: D102
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._workers.shutdown()
        return self._counter.close()

    def _serve(self, call: Call, raw: bytes) -> None:
        try:
            call.by = contract.read(raw)
        except GarbledRequest as error:
            call.refuse(error)
            return
        if self._burn_us:
            contract.burn(self._burn_us)
        self._counter.handle(call)


start = ThreadsEngine
