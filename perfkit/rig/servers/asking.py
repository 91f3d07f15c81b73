"""How a client gets to a server that is not perfkit's own, and asks for its count, its health, or one reply."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import read_options
from perfkit.design.plan import Cell, Seat
from perfkit.errors import PlanError, ServerError
from perfkit.rig.generators import h2load
from perfkit.service.call import FROM_ENVIRONMENT, read_metadata
from perfkit.service.called import Called

CALL_S = 5.0
"""How long one call that asks for the count may take."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a client gets to a server."""

    address: str
    ca: str = ""
    """the authority of the server's certificate, PEM; empty: plaintext"""
    cert: str = ""
    """the client's own certificate, and its key; empty: none"""
    key: str = ""
    metadata: str = ""
    """a file of JSON, or env:NAME of a variable that holds JSON: name → value; empty: none"""

    def secrets(self) -> dict[str, str]:
        """Return the metadata of each call; a PlanError where there is none to read."""
        return read_metadata(self.metadata)

    def settings(self) -> dict[str, str]:
        """Return what counter.js must be told of it, in its environment: a command line is for all to see."""
        files = {"TLS_CA": self.ca, "TLS_CERT": self.cert, "TLS_KEY": self.key}
        secrets = self.secrets()
        told = {**files, "METADATA": json.dumps(secrets) if secrets else ""}
        return {name: value for name, value in told.items() if value}

    def channel(self) -> grpc.Channel:
        """Return a channel to it; a PlanError where a file of TLS can't be read."""
        options = [("grpc.enable_http_proxy", 0)]
        if not self.ca:
            return grpc.insecure_channel(self.address, options=options)
        try:
            ca, cert, key = (Path(name).read_bytes() if name else None for name in (self.ca, self.cert, self.key))
        except OSError as error:
            raise PlanError(f"{error.filename} can't be read ({error.strerror}); name the PEM files of TLS") from error
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(ca, key, cert), options=options)


def way_to(address: str) -> Way:
    """Return the way to HOST:PORT?ca=…&cert=…&key=…&metadata=…, as an arm has it; files by their absolute paths."""
    where, _, query = address.partition("?")
    options = read_options(query)
    files = {
        name: value if value.startswith(FROM_ENVIRONMENT) else str(Path(value).expanduser().resolve())
        for name, value in options.items()
    }
    return Way(where, **files)


def refuse_unreadable(cells: Iterable[Cell]) -> None:
    """Raise a PlanError where the files or variables of a server that runs already can't be read."""
    for cell in cells:
        settings(cell.seats)
        for seat in cell.seats:
            if seat.arm.runs_already:
                way_to(seat.arm.address).channel().close()


def settings(seats: Iterable[Seat]) -> dict[str, str]:
    """Return what counter.js must be told to get to the servers of a trial; a PlanError where that can't be read."""
    return {
        name: value
        for seat in seats
        if seat.arm.runs_already
        for name, value in way_to(seat.arm.address).settings().items()
    }


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered when it was asked for its count."""

    words: str

    @property
    def count(self) -> int | None:
        """The count; None where it is not told."""
        # The words are the contract; where they are others, a number alone must be the count.
        numbers = re.findall(r"Incremented value is (-?\d+)", self.words) or re.findall(r"-?\d+", self.words)
        return int(numbers[0]) if len(numbers) == 1 else None

    @property
    def is_usual(self) -> bool:
        """Whether it was told in the wire contract's words."""
        return self.words == h2load.REPLY.format(self.count)


def ask(way: Way) -> Told:
    """Ask a server for its count; grpc.RpcError where it does not answer."""
    (reply,) = _replies(way, 1)
    return Told(reply.message)


def ask_all(way: Way, keys: int, server: str, first: int | None) -> dict[str, int]:
    """Ask a server for its count of each key, unless key 0, whose count is known, is the only one.

    A ServerError where it knows no keys, grpc.RpcError where it is silent.
    """
    if keys == 1:
        return {} if first is None else {"0": first}
    counts: dict[str, int] = {}
    for key, reply in enumerate(_replies(way, keys)):
        count = Told(reply.message).count
        if reply.key != key or count is None:
            raise ServerError(
                f"server {server} answered a call for key {key} with key {reply.key} and {reply.message!r}: one that "
                "knows no keys has one count for all; leave out keys, or serve proto/counter.proto with its keys"
            )
        counts[str(key)] = count
    return counts


def _replies(way: Way, keys: int) -> Iterator["counter_pb2.status"]:
    with way.channel() as channel:
        call = counter_pb2_grpc.incrementCounterStub(channel).increment  # type: ignore[no-untyped-call]
        for key in range(keys):
            asked = counter_pb2.incrementBy(value=0, key=key)
            yield call(asked, timeout=CALL_S, metadata=tuple(way.secrets().items()))


HEALTH = "/grpc.health.v1.Health/Check"

HEARD_S = 1.0
"""How long one attempt to reach a server may take."""

NOT_YET = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Statuses of a server that may only not be there yet."""


def is_serving(way: Way) -> bool | None:
    """Return what a server's health service says; None where it has none. grpc.RpcError where it does not answer."""
    with way.channel() as channel:
        check = channel.unary_unary(
            HEALTH, health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
        )
        try:
            told = check(health_pb2.HealthCheckRequest(), timeout=HEARD_S)
        except grpc.RpcError as error:
            if error.code() in NOT_YET:
                raise
            return None  # it has none, or knows no health of the whole
    return bool(told.status == health_pb2.HealthCheckResponse.SERVING)


def try_call(way: Way, called: Called, server: str) -> None:
    """Call a method once; a ServerError where the reply is not good, grpc.RpcError where there is none yet."""
    with way.channel() as channel:
        unary: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{called.call.method}")
        metadata = tuple({**way.secrets(), **called.metadata}.items())
        try:
            reply = unary(called.encoded(), timeout=CALL_S, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() in NOT_YET:
                raise
            raise ServerError(
                f"server {server} answered {called.call.method} with {error.code().name} ({error.details()}); the "
                f"request was {called.requests[0][:120]}"
            ) from error
    if missing := called.missing(reply):
        raise ServerError(
            f"server {server} answered {called.call.method} without what expect names: {missing}; the request was "
            f"{called.requests[0][:120]}"
        )
