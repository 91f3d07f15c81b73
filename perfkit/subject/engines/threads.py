"""Engine `threads`: grpcio's sync server, with an executor that is nothing but threads and one queue.

It differs from the textbook's in two things. Nothing waits for the Future of a call, so none is made (`Workers`). And a
call is answered by whoever applies it, a worker (`mutex`) or the owner (`inputQ`), instead of by returning the answer:
a worker that slept until the owner had told it would have to be woken for each call (docs/hop.md).

That leans on these internals of grpcio (tests/test_engine_threads.py holds them to it): `grpc.server` takes any object
with `submit`; of what `submit` returns, it calls `add_done_callback` only, to lower the number behind
`maximum_concurrent_rpcs`, which is not used here; what it submits handles its own exceptions; stopping waits for calls
by their state, not by a Future; a handler of a streamed response that is marked `experimental_non_blocking` may be
done before its call is; and one response with its status, as `_status` sends them, is on the wire what a unary call
is answered with.
"""

import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc import _common, _server

from perfkit.design.arms import Arm
from perfkit.errors import CounterError
from perfkit.subject.counters import Request
from perfkit.subject.engines import contract
from perfkit.subject.engines.workers import Workers, WorkersEngine
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.shards import guarded
from perfkit.subject.stages import Started, WatchedState, WatchingWorkers
from perfkit.subject.state import State
from perfkit.subject.work import burn


class Call:
    """One call of `increment`, as a counter's Request."""

    __slots__ = ("_event", "_state", "by", "key")

    def __init__(self, by: int, key: int, context: Any) -> None:
        self.by = by
        self.key = key
        self._event = context._rpc_event
        self._state = context._state

    def wanted(self) -> bool:  # noqa: D102
        # The deadline is looked at beside the state, which lags behind it by the way through the event queue.
        return self._state.client is not _server._CANCELLED and self._event.call_details.deadline > time.time()

    def answer(self, count: int) -> None:  # noqa: D102
        _server._status(self._event, self._state, contract.written(count, self.key))

    def refuse(self, error: Exception) -> None:  # noqa: D102
        code, details = contract.status_of(error)
        with self._state.condition:
            _server._abort(
                self._state, self._event.call, _common.STATUS_CODE_TO_CYGRPC_STATUS_CODE[code], details.encode()
            )


class ThreadsEngine(WorkersEngine):
    """grpcio's sync server."""

    def __init__(
        self, arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: State
    ) -> None:
        self._burn_us = arm.burn_us
        workers = self._workers_of(arm)
        server = grpc.server(workers, options=contract.OPTIONS)  # type: ignore[arg-type]
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(self._increment)
        counter = guarded(arm, state, PATTERNS[arm.pattern])
        super().__init__(server, workers, counter, handler, (host, port), credentials)

    def _workers_of(self, arm: Arm) -> Workers:
        return Workers(arm.workers)

    def _increment(self, raw: bytes, context: grpc.ServicerContext, _: Callable[[bytes], None]) -> None:
        self._counter.handle(self._read(raw, context))

    def _read(self, raw: bytes, context: grpc.ServicerContext) -> Call:
        try:
            asked = contract.read(raw)
        except CounterError as error:
            context.abort(*contract.status_of(error))
        if self._burn_us:
            burn(self._burn_us)
        return Call(asked.value, asked.key, context)

    _increment.experimental_non_blocking = True  # type: ignore[attr-defined]


class WatchingEngine(ThreadsEngine):
    """The same, which watches some calls through their stages."""

    def __init__(
        self, arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: WatchedState
    ) -> None:
        self._started, self._state = Started(), state
        super().__init__(arm, host, port, credentials, state)

    def _workers_of(self, arm: Arm) -> Workers:
        return WatchingWorkers(arm.workers, self._started, self._state.clock)

    def _increment(self, raw: bytes, context: grpc.ServicerContext, _: Callable[[bytes], None]) -> None:
        call: Request = self._read(raw, context)
        if watched := self._started.call:
            call = self._state.watched(call, watched)
        self._counter.handle(call)

    _increment.experimental_non_blocking = True  # type: ignore[attr-defined]


def start(arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: State) -> ThreadsEngine:
    """Start the server that serves `arm`."""
    if isinstance(state, WatchedState):
        return WatchingEngine(arm, host, port, credentials, state)
    return ThreadsEngine(arm, host, port, credentials, state)
