"""Servers that are a command of the user's own: any program, in any language, that speaks the wire contract."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import grpc
import psutil

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.rig import process
from perfkit.rig.generators import h2load
from perfkit.rig.process import Place, RunningServer

CALL_S = 5.0
"""How long one call that asks for the count may take."""


class ForeignServer(RunningServer):
    """A user's command: it is ready when it answers, and says its count when asked (value = 0)."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        super().__init__(name, process, log, f"127.0.0.1:{port}")

    def ready(self) -> None:
        """Wait until the server answers."""
        patience = time.monotonic() + process.START_S
        while True:
            self.check()
            try:
                self._count()
                return
            except grpc.RpcError as error:
                if time.monotonic() > patience:
                    raise ServerError(
                        f"server {self.name} did not answer increment(value=0) on {self.address} "
                        f"within {process.START_S:g} s ({error.code().name}); it should listen on {{port}} in plaintext"
                    ) from error
            time.sleep(0.02)

    def stop(self) -> int:
        """Ask for the final count, then end the server by SIGTERM; how it exits is its own matter."""
        self.check()
        if others := psutil.Process(self.pid).children(recursive=True):
            raise ServerError(
                f"server {self.name} runs as {len(others) + 1} processes, of which only the first one's CPU time is "
                "read; make it one, as in `exec ./server` at the end of a shell script"
            )
        try:
            final_count = self._count()
        except grpc.RpcError as error:
            raise ServerError(f"server {self.name} did not say its count at the end: {error}") from error
        os.kill(self.pid, signal.SIGTERM)
        self._wait()
        return final_count

    def _count(self) -> int:
        with grpc.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            call = counter_pb2_grpc.incrementCounterStub(channel).increment  # type: ignore[no-untyped-call]
            reply = call(counter_pb2.incrementBy(value=0), timeout=CALL_S)
        number = re.search(
            r"-?\d+", reply.message
        )  # the words are the contract; the number next to them is perfkit's own
        if number is None:
            raise ServerError(f"server {self.name} answered {reply.message!r}; wanted 'Incremented value is N'")
        self.has_usual_words = reply.message == h2load.REPLY.format(int(number[0]))
        return int(number[0])


@contextmanager
def server(arm: Arm, place: Place) -> Iterator[ForeignServer]:
    """Run the command of a foreign arm; it is killed at the end if it was not stopped."""
    port = process.free_port()
    argv = [word.replace("{port}", str(port)) for word in shlex.split(arm.command)]
    with (
        tempfile.TemporaryFile() as log,
        process.child(argv, place, stdout=log, stderr=log) as started,
    ):
        yield ForeignServer(arm.name, port, started, log)
