"""The wire contract, the same for every engine: bytes in and out, statuses, limits, health and reflection."""

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from perfkit._proto import counter_pb2
from perfkit.errors import (
    CallDropped,
    CounterClosed,
    CountOverflow,
    GarbledRequest,
    NegativeValue,
    OversizeRequest,
    ServerError,
    StoreFailed,
    StrangeKey,
)

SERVICE = counter_pb2.DESCRIPTOR.services_by_name["incrementCounter"].full_name

MESSAGE_MAX_BYTES = 64 * 1024
"""A request has 11 bytes at most."""

KEYS_MAX = 1_000_000
"""A key is under this, so that nobody fills the memory."""

CALLS_MAX = 1000
"""at once of one connection; more wait at the client"""

OPTIONS = [
    ("grpc.so_reuseport", 0),  # grpcio's default would let two servers share a port without a word
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_concurrent_streams", CALLS_MAX),
]

STATUS_OF: dict[type[Exception], grpc.StatusCode] = {
    NegativeValue: grpc.StatusCode.INVALID_ARGUMENT,
    StrangeKey: grpc.StatusCode.INVALID_ARGUMENT,
    CountOverflow: grpc.StatusCode.OUT_OF_RANGE,
    CallDropped: grpc.StatusCode.CANCELLED,
    CounterClosed: grpc.StatusCode.UNAVAILABLE,
    StoreFailed: grpc.StatusCode.INTERNAL,
    GarbledRequest: grpc.StatusCode.INTERNAL,
    OversizeRequest: grpc.StatusCode.RESOURCE_EXHAUSTED,  # where the transport has not refused it before
}
"""What a call ends with that was not applied; anything else is UNKNOWN."""


def read(raw: bytes) -> "counter_pb2.incrementBy":
    """Return a request; a GarbledRequest where the bytes are no counter.incrementBy, a StrangeKey where it has no key.

    Engines get the bytes, not the message: grpcio answers bytes that it can't deserialise itself and then keeps the
    call, 20 kB of it, as long as the connection lives (tests/faults/wire.py sends 20,000).
    """
    if len(raw) > MESSAGE_MAX_BYTES:
        raise OversizeRequest(f"the request has {len(raw)} bytes; {MESSAGE_MAX_BYTES} are allowed")
    try:
        asked = counter_pb2.incrementBy.FromString(raw)
    except DecodeError as error:
        raise GarbledRequest from error
    if not 0 <= asked.key < KEYS_MAX:
        raise StrangeKey(f"key {asked.key} is none; keys go from 0 to {KEYS_MAX - 1:,}")
    return asked


def written(count: int, key: int) -> bytes:
    """Return the reply to a call that left this count."""
    return counter_pb2.status(message=f"Incremented value is {count}", count=count, key=key).SerializeToString()


def status_of(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return code and details of the status that tells a caller of an error."""
    return STATUS_OF.get(type(error), grpc.StatusCode.UNKNOWN), str(error)


def add_increment(server: Any, handler: "grpc.RpcMethodHandler[bytes, bytes]") -> None:
    """Add the counter's method to a server of grpcio's kind; its handler takes and gives bytes."""
    handlers = {"increment": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)  # found faster, as generated code has it


def add_health_and_reflection(server: Any) -> health.HealthServicer:
    """Add both standard services to a sync server of grpcio's kind."""
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    add_reflection(server)
    return servicer


def add_reflection(server: Any) -> None:
    """Add reflection to a server of grpcio's kind, sync or async."""
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)


def listen(server: Any, host: str, port: int, credentials: grpc.ServerCredentials | None) -> str:
    """Take the port for a server of grpcio's kind and return the address; a ServerError where it can't be had."""
    where = f"{host}:{port}"
    try:
        bound = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    except RuntimeError as error:
        raise cannot_listen(host, port) from error
    return f"{host}:{bound}"


def cannot_listen(host: str, port: int) -> ServerError:
    """Return the error for a port that can't be had."""
    return ServerError(
        f"can't listen on {host}:{port}: the port is taken or the host is not this machine's; "
        "name another with --port or --host, or take --port 0 for a free one"
    )
