"""What engine threads takes for granted of grpcio."""

import inspect
import re

import grpc
from grpc import _server as grpcio

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.subject.engines import threads
from perfkit.subject.engines.workers import Submitted, Workers
from tests.support.servers import status_of


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
    """Workers that note what grpcio does with what it gets."""

    def __init__(self, count):
        self.used = []
        super().__init__(count)

    def submit(self, function, *arguments):
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


def test_grpcio_uses_of_a_submitted_call_only_add_done_callback():
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


def test_grpcio_asks_of_its_executor_only_submit():
    source = inspect.getsource(grpcio)
    assert set(re.findall(r"thread_pool\.(\w+)", source)) == {"submit"}
    assert source.count("_on_call_completed(state)") == 1, "the done callback has got a second use"


def test_what_is_used_of_grpcios_internals_is_there_with_these_parameters():
    used = set(re.findall(r"_server\.(_\w+)", inspect.getsource(threads)))
    wanted = {
        "_status": ["rpc_event", "state", "serialized_response"],
        "_abort": ["state", "call", "code", "details"],
    }
    assert used == {*wanted, "_CANCELLED"}
    for name, parameters in wanted.items():
        assert list(inspect.signature(getattr(grpcio, name)).parameters) == parameters
    assert list(inspect.signature(grpcio._Context.__init__).parameters)[1:3] == ["rpc_event", "state"]
    assert "experimental_non_blocking" in inspect.getsource(grpcio._stream_response_in_pool)
