"""What engine threads takes for granted of grpcio."""

import inspect
import re
import socket
import time

import grpc
import pytest
from grpc import _server as grpcio

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.engines import threads
from perfkit.engines.workers import Submitted, Workers

from .test_engines import count, started, status_of


def test_the_workers_run_everything_submitted_before_shutdown():
    workers, done = Workers(3), []
    for number in range(100):
        workers.submit(done.append, number)
    workers.shutdown()
    assert sorted(done) == list(range(100))


def test_the_workers_survive_a_call_that_raises(caplog):
    workers, done = Workers(1), []
    workers.submit(lambda: 1 / 0)
    workers.submit(done.append, 1)
    workers.shutdown()
    assert done == [1]
    assert "unexpected exception" in caplog.text


class Watching(Workers):
    """Workers that note what grpcio hands them, and what it does with what it gets."""

    def __init__(self, count):
        self.used, self.given = [], []
        super().__init__(count)

    def submit(self, function, *arguments):
        self.given.append(arguments)
        super().submit(function, *arguments)
        used = self.used

        class Noting(Submitted):
            def add_done_callback(self, callback):
                used.append("add_done_callback")
                super().add_done_callback(callback)

            def __getattr__(self, name):
                used.append(name)
                raise AttributeError(name)

        return Noting()


def test_grpcio_gives_event_state_and_behavior_by_position_and_uses_of_a_submitted_call_only_add_done_callback():
    workers = Watching(2)
    server = grpc.server(workers)
    servicer = counter_pb2_grpc.incrementCounterServicer()
    counter_pb2_grpc.add_incrementCounterServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(5):
            status_of(counter_pb2_grpc.incrementCounterStub(channel).increment, counter_pb2.incrementBy())
    server.stop(1).wait()
    workers.shutdown()
    assert workers.used == ["add_done_callback"] * 5
    for _, event, state, behavior, *_ in workers.given:
        assert event.call_details.deadline > time.time()
        assert isinstance(state, grpcio._RPCState)
        assert behavior == servicer.increment


def test_grpcio_asks_of_its_executor_only_submit():
    source = inspect.getsource(grpcio)
    assert set(re.findall(r"thread_pool\.(\w+)", source)) == {"submit"}
    assert source.count("_on_call_completed(state)") == 1, "the done callback has got a second use"


def test_what_is_used_of_grpcios_internals_is_there_with_these_parameters():
    used = set(re.findall(r"_server\.(_\w+)", inspect.getsource(threads)))
    wanted = {
        "_status": ["rpc_event", "state", "serialized_response"],
        "_abort": ["state", "call", "code", "details"],
        "_possibly_finish_call": ["state", "token"],
    }
    assert used == {*wanted, "_CANCELLED", "_RECEIVE_MESSAGE_TOKEN", "_EMPTY_FLAGS"}
    for name, parameters in wanted.items():
        assert list(inspect.signature(getattr(grpcio, name)).parameters) == parameters
    assert grpcio._EMPTY_FLAGS == 0


@pytest.mark.parametrize("clients", [8])
def test_clients_that_send_no_request_keep_no_worker(clients):
    """With grpcio's own way, as many of them as there are workers stop the server."""
    engine = started("threads/mutex?workers=2")
    host, _, port = engine.address.rpartition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(clients)]
    for one in idle:
        one.sendall(HEADERS_ONLY)
    time.sleep(0.3)
    with grpc.insecure_channel(engine.address) as channel:
        assert count(counter_pb2_grpc.incrementCounterStub(channel)) == 0
    for one in idle:
        one.close()
    assert engine.stop(1) == 0


def _frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


HEADERS_ONLY = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + _frame(4, 0, 0, b"")
    + _frame(
        1, 4, 1,
        _literal(b":method", b"POST") + _literal(b":scheme", b"http") + _literal(b":authority", b"localhost")
        + _literal(b":path", b"/counter.incrementCounter/increment")
        + _literal(b"content-type", b"application/grpc") + _literal(b"te", b"trailers"),
    )
)  # fmt: skip
"""What opens a call, RFC 9113: preface, settings, and headers that neither end the stream nor have a body behind."""
