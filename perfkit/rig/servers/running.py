"""Servers that run already, here or elsewhere: loaded, not started; their CPU time is seen where they are."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import psutil

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.rig import family
from perfkit.rig.servers.asking import ask, way_to
from perfkit.rig.servers.own import Final, RunningServer


class AddressedServer(RunningServer):
    """A server that somebody else has started."""

    def __init__(self, arm: Arm) -> None:
        self.name = arm.name
        self.way = way_to(arm.address)
        self.address = self.way.address
        self.pid = 0
        self.has_usual_words = False
        self._began_at: int | None = None
        host, _, port = self.address.rpartition(":")
        self._listener = _listener(host.strip("[]"), int(port))

    def members(self) -> tuple[int, ...]:
        """Return its processes; none where it is on another machine, or may not be seen."""
        return family.members(self._listener) if self._listener else ()

    def ready(self) -> None:
        """See that it answers, and whether its count can prove anything."""
        told, again = self._count(), self._count()
        # One that counts calls which only ask, or that others call too, proves nothing.
        self._began_at = told if told == again else None

    def check(self) -> None:
        """Raise a ServerError if it is known to be gone."""
        if self._listener and not psutil.pid_exists(self._listener):
            raise ServerError(f"server {self.name} has ended")

    def stop(self) -> Final:
        """Ask for the final count; it runs on."""
        told = self._count()
        return Final(told - self._began_at if told is not None and self._began_at is not None else None)

    def _count(self) -> int | None:
        try:
            told = ask(self.way)
        except grpc.RpcError as error:
            raise ServerError(
                f"server {self.name} did not answer increment(value=0) ({error.code().name}: {error.details()}); does "
                "it run there, and is it the counter of proto/counter.proto?"
            ) from error
        self.has_usual_words = told.is_usual and self._began_at == 0
        return told.count


@contextmanager
def server(arm: Arm) -> Iterator[AddressedServer]:
    """Give a server that runs already; it is left as it is."""
    yield AddressedServer(arm)


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
