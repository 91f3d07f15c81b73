"""Servers that run already, here or elsewhere: loaded, not started; their CPU time is seen where they are."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import psutil

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.rig import family
from perfkit.rig.generators.contract import Window
from perfkit.rig.servers.asking import ask, ask_all, try_call, way_to
from perfkit.rig.servers.own import Final, RunningServer
from perfkit.service.called import Called


class AddressedServer(RunningServer):
    """A server that somebody else has started."""

    def __init__(self, arm: Arm, called: Called | None = None, keys: int = 1) -> None:
        self.name = arm.name
        self.way = way_to(arm.address)
        self.address = self.way.address
        self.pid = 0
        self.called = called
        self.has_usual_words = False
        self._began_at: int | None = None
        self._keys = keys
        self._began: dict[str, int] = {}
        host, _, port = self.address.rpartition(":")
        self._listener = _listener(host.strip("[]"), int(port))

    def members(self) -> tuple[int, ...]:
        """Return its processes; none where it is on another machine, or may not be seen."""
        return family.members(self._listener) if self._listener else ()

    def ready(self) -> None:
        """See that it answers, and whether its count can prove anything."""
        if self.called:
            self.try_call()
            return
        told, again = self._count(), self._count()
        # One that counts calls which only ask, or that others call too, proves nothing.
        self._began_at = told if told == again else None
        self._began = self._counts(told)

    def check(self) -> None:
        """Raise a ServerError if it is known to be gone."""
        if self._listener and not psutil.pid_exists(self._listener):
            raise ServerError(f"server {self.name} has ended")

    def stop(self, window: Window | None = None) -> Final:  # noqa: ARG002
        """Ask for the final count; it runs on."""
        if self.called:
            return Final(None)
        told = self._count()
        if told is None or self._began_at is None:
            return Final(None)
        return Final.since(self._began, self._counts(told))

    def try_call(self) -> None:
        """Call its method once; a ServerError where the reply is not good."""
        assert self.called is not None  # noqa: S101 - asked only where there is one
        try:
            try_call(self.way, self.called, self.name)
        except grpc.RpcError as error:
            raise self._silent(self.called.call.method, error) from error

    def _silent(self, method: str, error: grpc.RpcError) -> ServerError:
        return ServerError(
            f"server {self.name} did not answer {method} ({error.code().name}: {error.details()}); does it run there, "
            "and is it the counter of proto/counter.proto, or has it the method that call names?"
        )

    def _counts(self, first: int | None) -> dict[str, int]:
        return ask_all(self.way, self._keys, self.name, first)

    def _count(self) -> int | None:
        try:
            told = ask(self.way)
        except grpc.RpcError as error:
            raise self._silent("increment(value=0)", error) from error
        self.has_usual_words = told.is_usual and self._began_at == 0
        return told.count


@contextmanager
def server(arm: Arm, called: Called | None = None, keys: int = 1) -> Iterator[AddressedServer]:
    """Give a server that runs already; it is left as it is."""
    yield AddressedServer(arm, called, keys)


def _listener(host: str, port: int) -> int:
    """Return the process that listens on an address of this machine; 0: it is elsewhere, or may not be seen."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        own = {one.address for several in psutil.net_if_addrs().values() for one in several}
        if not found & own:
            return 0
        listening = psutil.net_connections(kind="tcp")
    except (OSError, psutil.Error):
        return 0
    there = [one for one in listening if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port]
    return min((one.pid for one in there if one.pid), default=0)
