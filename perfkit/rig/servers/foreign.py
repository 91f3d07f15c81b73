"""Servers that are a command of the user's own: any program, in any language, that serves gRPC."""

import fcntl
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

import grpc

from perfkit.clock import Clock
from perfkit.design.arms import Arm
from perfkit.errors import PlanError, ServerError
from perfkit.rig import family, process
from perfkit.rig.generators.contract import Window
from perfkit.rig.ports import LOOPBACK, free_port
from perfkit.rig.process import START_S, Place
from perfkit.rig.servers.asking import NOT_YET, Way, ask, ask_all, is_serving, try_call
from perfkit.rig.servers.own import Final, RunningServer
from perfkit.service.called import Called

T = TypeVar("T")

IPV6_LOOPBACK = "[::1]"

MOST_LOG_BYTES, KEPT_LOG_BYTES = 4_000_000, 4_000
"""How much of a command's output is kept on disk, and of what is thrown away how much."""

GOOD_S = 2.0
"""How long a server that answers may take until a reply is good."""

ENDS_S = 3.0
"""How long a command may take to end after SIGTERM; then it is killed: how it ends is its own matter."""


class ForeignServer(RunningServer):
    """A user's command.

    One that counts is ready when it answers, and says its count when asked (value = 0). One with a method of its own is
    ready when its health service says so, or else with the first good reply, and proves nothing by a count.
    """

    def __init__(
        self,
        arm: Arm,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        where: tuple[str, int],
        start_s: float,
        called: Called | None,
        keys: int = 1,
        clock: Clock = time,
    ) -> None:
        host, self._port = where
        super().__init__(arm.name, process, log, f"{host}:{self._port}", start_s)
        self.called = called
        self._clock = clock
        self._asked = called.call.method if called else "increment(value=0)"
        self._addresses = [self.address, *([f"{IPV6_LOOPBACK}:{self._port}"] if host == LOOPBACK else [])]
        self._thrown_away = b""
        self._began_at = 0
        """its count before the load"""
        self._keys = keys
        self._began: dict[str, int] = {}
        """key → its count before the load"""

    def members(self) -> tuple[int, ...]:
        """Return its processes."""
        return family.members(self.pid)

    def check(self) -> None:
        """Raise a ServerError if the server is gone; keep its output bounded."""
        super().check()
        self._bound_log()

    def ready(self) -> None:
        """Wait until the server answers."""
        if self.called is None:
            self._began_at = self._until_answered(self._count)
            if (again := self._count()) != self._began_at:
                raise ServerError(
                    f"server {self.name} counts calls that only ask: increment(value=0) answered {self._began_at}, "
                    f"then {again}; it must add `value`"
                )
            self._began = self._counts(again)
        else:
            self._until_answered(self._is_good)
        if family.listens(self.members(), self._port) is False:
            raise ServerError(
                f"server {self.name} is not who listens on port {self._port}: another process does (a container's "
                "daemon, say), whose CPU time perfkit can't read; start the server itself"
            )

    def reached(self) -> None:
        """Wait until the server answers anything."""
        self._until_answered(lambda: is_serving(Way(self.address)) in (True, False, None))

    def _until_answered(self, question: Callable[[], T | None]) -> T:
        """Ask, at one address after the other, until there is an answer."""
        patience, bad_since_s = self._clock.monotonic() + self._start_s, None
        while True:
            for address in self._addresses:
                self.check()
                self.address = address
                now_s = self._clock.monotonic()
                try:
                    if (answer := question()) is not None:
                        return answer
                    said = "its health service says that it is not serving"
                except grpc.RpcError as error:
                    said = error.code().name
                    if error.code() not in NOT_YET:
                        bad_since_s = bad_since_s or now_s
                        if now_s > bad_since_s + GOOD_S:
                            raise ServerError(
                                f"server {self.name} is there, and answers {self._asked} with {said}; it must be "
                                "the counter of proto/counter.proto, or name a method of its own with call="
                            ) from error
                except ServerError:
                    bad_since_s = bad_since_s or now_s
                    if now_s > bad_since_s + GOOD_S:
                        raise
                if now_s > patience:
                    raise ServerError(
                        f"server {self.name} did not answer {self._asked} on {self._addresses[0]} within "
                        f"{self._start_s:g} s ({said}); it should listen on {{port}} in plaintext, and one that starts "
                        "slowly needs a longer start_s"
                    )
            self._clock.sleep(0.02)

    def _is_good(self) -> bool | None:
        assert self.called is not None  # noqa: S101 - asked only where there is one
        way = Way(self.address)
        serving = is_serving(way)
        if serving is None:
            try_call(way, self.called, self.name)
        return None if serving is False else True

    def stop(self, window: Window | None = None) -> Final:  # noqa: ARG002
        """Ask for the final count, then end the server by SIGTERM; how it exits is its own matter."""
        self.check()
        final = Final(None)
        if self.called is None:
            try:
                final = Final.since(self._began, self._counts(self._count()))
            except grpc.RpcError as error:
                raise ServerError(f"server {self.name} did not say its count at the end: {error}") from error
        os.kill(self.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_S)
        return final

    def _counts(self, first: int) -> dict[str, int]:
        return ask_all(Way(self.address), self._keys, self.name, first)

    def _count(self) -> int:
        told = ask(Way(self.address))
        if told.count is None:
            raise ServerError(f"server {self.name} answered {told.words!r}; wanted 'Incremented value is N'")
        self.has_usual_words = told.is_usual and self._began_at == 0
        return told.count

    def _bound_log(self) -> None:
        size = os.fstat(self._log.fileno()).st_size
        if size > MOST_LOG_BYTES:
            self._thrown_away = os.pread(self._log.fileno(), KEPT_LOG_BYTES, size - KEPT_LOG_BYTES)
            os.ftruncate(self._log.fileno(), 0)  # it is appended to, so it goes on at the beginning

    def _text(self) -> bytes:
        return self._thrown_away + super()._text()


def variables(arm: Arm) -> dict[str, str] | None:
    """Return the environment of a command that has a file of it, NAME=value a line; None: this process's."""
    if not arm.env:
        return None
    try:
        lines = Path(arm.env).expanduser().read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(
            f"arm {arm.name!r}: env={arm.env} can't be read ({error}); name a file of NAME=value"
        ) from error
    told = process.environment()
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                raise PlanError(f"arm {arm.name!r}: {arm.env}, line {number} is no NAME=value")
            told[name.strip().removeprefix("export ")] = value
    return told


def folder(arm: Arm) -> Path | None:
    """Return where a command runs; None: where perfkit does. A PlanError where that is no folder."""
    if not arm.folder:
        return None
    home = Path(arm.folder).expanduser()
    if not home.is_dir():
        raise PlanError(f"arm {arm.name!r}: folder={arm.folder} is no folder; name one that is there")
    return home


def refuse_unreadable(arm: Arm) -> None:
    """Raise a PlanError where a command's folder or its environment is not there."""
    folder(arm)
    variables(arm)


@contextmanager
def server(
    arm: Arm,
    place: Place,
    start_s: float = START_S,
    address: str = LOOPBACK,
    called: Called | None = None,
    keys: int = 1,
) -> Iterator[ForeignServer]:
    """Run the command of a foreign arm, to listen on an address; what was not stopped is killed at the end."""
    port = free_port(address)
    argv = [word.replace("{port}", str(port)).replace("{host}", address) for word in shlex.split(arm.command)]
    with tempfile.TemporaryFile() as log:
        # So that it can be cut short while the command writes.
        fcntl.fcntl(log.fileno(), fcntl.F_SETFL, fcntl.fcntl(log.fileno(), fcntl.F_GETFL) | os.O_APPEND)
        with process.child(
            argv, place, guarded=True, stdout=log, stderr=log, variables=variables(arm), folder=folder(arm)
        ) as started:
            yield ForeignServer(arm, started, log, (address, port), start_s, called, keys)
