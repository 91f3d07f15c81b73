"""Servers that are a command of the user's own: any program, in any language, that speaks the wire contract."""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import grpc

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.rig import family, process
from perfkit.rig.ports import LOOPBACK, free_port
from perfkit.rig.process import START_S, Place
from perfkit.rig.servers.asking import Way, ask
from perfkit.rig.servers.own import Final, RunningServer


class ForeignServer(RunningServer):
    """A user's command: it is ready when it answers, and says its count when asked (value = 0)."""

    def __init__(
        self, name: str, host: str, port: int, process: subprocess.Popen[bytes], log: IO[bytes], start_s: float
    ) -> None:
        super().__init__(name, process, log, f"{host}:{port}", start_s)
        self._port = port
        self._began_at = 0
        """its count before the load"""

    def members(self) -> tuple[int, ...]:
        """Return its processes."""
        return family.members(self.pid)

    def ready(self) -> None:
        """Wait until the server answers."""
        patience = time.monotonic() + self._start_s
        while True:
            self.check()
            try:
                self._began_at = self._count()
                break
            except grpc.RpcError as error:
                if time.monotonic() > patience:
                    raise ServerError(
                        f"server {self.name} did not answer increment(value=0) on {self.address} within "
                        f"{self._start_s:g} s ({error.code().name}); it should listen on {{port}} in plaintext, and "
                        "one that starts slowly needs a longer start_s"
                    ) from error
            time.sleep(0.02)
        if (again := self._count()) != self._began_at:
            raise ServerError(
                f"server {self.name} counts calls that only ask: increment(value=0) answered {self._began_at}, then "
                f"{again}; it must add `value`"
            )
        if family.listens(self.members(), self._port) is False:
            raise ServerError(
                f"server {self.name} is not who listens on port {self._port}: another process does (a container's "
                "daemon, say), whose CPU time perfkit can't read; start the server itself"
            )

    def stop(self) -> Final:
        """Ask for the final count, then end the server by SIGTERM; how it exits is its own matter."""
        self.check()
        try:
            final_count = self._count()
        except grpc.RpcError as error:
            raise ServerError(f"server {self.name} did not say its count at the end: {error}") from error
        os.kill(self.pid, signal.SIGTERM)
        self._wait()
        return Final(final_count - self._began_at)

    def _count(self) -> int:
        told = ask(Way(self.address))
        if told.count is None:
            raise ServerError(f"server {self.name} answered {told.words!r}; wanted 'Incremented value is N'")
        self.has_usual_words = told.is_usual and self._began_at == 0
        return told.count


@contextmanager
def server(arm: Arm, place: Place, start_s: float = START_S, address: str = LOOPBACK) -> Iterator[ForeignServer]:
    """Run the command of a foreign arm, to listen on an address; it is killed at the end if it was not stopped."""
    port = free_port(address)
    words = shlex.split(arm.command)
    argv = [word.replace("{port}", str(port)).replace("{host}", address) for word in words]
    with (
        tempfile.TemporaryFile() as log,
        process.child(argv, place, guarded=True, stdout=log, stderr=log) as started,
    ):
        yield ForeignServer(arm.name, address, port, started, log, start_s)
