"""Engine `asyncio`: grpc.aio on one event loop, uvloop's where the arm says so, in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from perfkit.design.arms import Arm
from perfkit.subject.counters_async import PATTERNS
from perfkit.subject.engines import contract
from perfkit.subject.shards import guarded_async
from perfkit.subject.state import State
from perfkit.subject.work import burn

T = TypeVar("T")


class AsyncioEngine:
    """A server that runs from its construction until `stop`."""

    def __init__(
        self, arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: State
    ) -> None:
        self._burn_us = arm.burn_us
        self._loop: asyncio.AbstractEventLoop = import_module(arm.loop).new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop", daemon=True)
        self._thread.start()
        self.address = self._run(self._start(arm, host, port, credentials, state))

    def stop(self, grace_s: float) -> int:  # noqa: D102
        count = self._run(self._stop(grace_s))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return count

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(
        self, arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None, state: State
    ) -> str:
        self._counter = guarded_async(arm, state, PATTERNS[arm.pattern])
        self._server = grpc.aio.server(options=contract.OPTIONS)
        contract.add_increment(self._server, grpc.unary_unary_rpc_method_handler(self._increment))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        await self._health.set(contract.SERVICE, health_pb2.HealthCheckResponse.SERVING)
        contract.add_reflection(self._server)
        address = contract.listen(self._server, host, port, credentials)
        await self._server.start()
        return address

    async def _stop(self, grace_s: float) -> int:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
        count = await self._counter.close()
        await self._loop.shutdown_default_executor()  # of threads that wait for commits
        return count

    async def _increment(self, raw: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        try:
            asked = contract.read(raw)
            if self._burn_us:
                burn(self._burn_us)
            count = await self._counter.increment(asked.value, lambda: _has_time(context), asked.key)
            return contract.written(count, asked.key)
        except Exception as error:
            await context.abort(*contract.status_of(error))


def _has_time(context: "grpc.aio.ServicerContext[bytes, bytes]") -> bool:
    """Look at the deadline; a caller's cancelling arrives as cancelling the task that waits for the answer."""
    left = context.time_remaining()
    return left is None or left > 0


start = AsyncioEngine
