import inspect
import re
import threading
import time

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc import _server as grpcio_server
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.counters import COUNT_MAX, PATTERNS
from perfkit.engines.threads import SERVICE, BareExecutor, ThreadsEngine
from perfkit.errors import ServerError

METHOD = "/counter.incrementCounter/increment"


@pytest.fixture(params=sorted(PATTERNS))
def counter(request):
    return PATTERNS[request.param]()


@pytest.fixture
def engine(counter):
    engine = ThreadsEngine(counter, "127.0.0.1", 0, workers=4)
    yield engine
    engine.stop(1)
    counter.close()


@pytest.fixture
def channel(engine):
    with grpc.insecure_channel(engine.address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return counter_pb2_grpc.incrementCounterStub(channel)


@pytest.fixture
def held(counter):
    """The counter kept busy by one call until `held.set()`, so that others have to wait for it."""
    holding, release = threading.Event(), threading.Event()

    def hold():
        holding.set()
        return release.wait(10)

    blocker = threading.Thread(target=counter.increment, args=(1, hold))
    blocker.start()
    assert holding.wait(10)
    yield release
    release.set()
    blocker.join(10)


def status_of(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, **options)
    return raised.value.code(), raised.value.details()


def test_a_client_of_the_original_service_works_unchanged(channel):
    """Bytes as its stubs write and read them: field 1 of either message, nothing else."""
    call = channel.unary_unary(METHOD)
    reply = call(b"\x08\x05")
    text = b"Incremented value is 5"
    assert reply.startswith(b"\x0a" + bytes([len(text)]) + text)


def test_the_reply_has_the_count_in_words_and_as_a_number(stub):
    reply = stub.increment(counter_pb2.incrementBy(value=2))
    assert (reply.message, reply.count) == ("Incremented value is 2", 2)
    assert stub.increment(counter_pb2.incrementBy()).count == 2


def test_a_negative_value_is_an_invalid_argument(stub):
    told = status_of(stub.increment, counter_pb2.incrementBy(value=-1))
    assert told == (grpc.StatusCode.INVALID_ARGUMENT, "Value cannot be negative")
    assert stub.increment(counter_pb2.incrementBy()).count == 0


def test_an_overflow_is_out_of_range(counter, stub):
    counter.increment(COUNT_MAX)
    code, details = status_of(stub.increment, counter_pb2.incrementBy(value=1))
    assert code == grpc.StatusCode.OUT_OF_RANGE
    assert "64 bits" in details
    assert stub.increment(counter_pb2.incrementBy()).count == COUNT_MAX


def test_a_value_over_32_bits_is_refused_as_the_negative_it_becomes(channel, stub):
    call = channel.unary_unary(METHOD)
    code, _ = status_of(call, b"\x08\x80\x80\x80\x80\x08")  # 2**31 as a varint
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert stub.increment(counter_pb2.incrementBy()).count == 0


def test_garbage_bytes_are_an_internal_error_and_the_server_lives_on(channel, stub):
    code, _ = status_of(channel.unary_unary(METHOD), b"\xff\xff\xff garbage")
    assert code == grpc.StatusCode.INTERNAL
    assert stub.increment(counter_pb2.incrementBy(value=1)).count == 1


def test_an_unknown_method_is_unimplemented(channel):
    code, _ = status_of(channel.unary_unary("/counter.incrementCounter/decrement"), b"")
    assert code == grpc.StatusCode.UNIMPLEMENTED


def test_a_call_past_its_deadline_is_dropped_unapplied(held, stub):
    code, _ = status_of(stub.increment, counter_pb2.incrementBy(value=100), timeout=0.2)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    held.set()
    assert stub.increment(counter_pb2.incrementBy()).count == 1


def test_a_cancelled_call_is_dropped_unapplied(held, stub):
    call = stub.increment.future(counter_pb2.incrementBy(value=100))
    time.sleep(0.2)  # nothing tells a client that its call has reached the server's queue
    call.cancel()
    time.sleep(0.2)  # nor that its cancellation has
    held.set()
    assert stub.increment(counter_pb2.incrementBy()).count == 1


def test_stopping_lets_running_calls_end(held, engine, stub):
    calls = [stub.increment.future(counter_pb2.incrementBy(value=1)) for _ in range(12)]  # more than workers
    time.sleep(0.3)
    stopping = threading.Thread(target=engine.stop, args=(10,))
    stopping.start()
    time.sleep(0.2)
    held.set()
    assert sorted(call.result(timeout=10).count for call in calls) == list(range(2, 14))
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_taken_port_is_refused_at_once(counter, engine):
    port = int(engine.address.rpartition(":")[2])
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}.*--port"):
        ThreadsEngine(counter, "127.0.0.1", port, workers=1)


def test_health_is_served_for_the_server_and_the_service(channel):
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ("", SERVICE):
        assert check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services_and_gives_their_descriptor(channel):
    info = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listed, described = info(iter(requests))
    assert {"counter.incrementCounter", "grpc.health.v1.Health"} <= {
        service.name for service in listed.list_services_response.service
    }
    (raw,) = described.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(raw).service[0].method[0].name == "increment"


def test_the_executor_runs_everything_submitted_before_shutdown():
    executor, done = BareExecutor(3), []
    for number in range(100):
        executor.submit(done.append, number)
    executor.shutdown()
    assert sorted(done) == list(range(100))


def test_the_executor_survives_a_call_that_raises(caplog):
    executor, done = BareExecutor(1), []
    executor.submit(lambda: 1 / 0)
    executor.submit(done.append, 1)
    executor.shutdown()
    assert done == [1]
    assert "unexpected exception" in caplog.text


class Watching(BareExecutor):
    """A BareExecutor that notes what grpcio does with what it gets."""

    def __init__(self, workers):
        self.used = []
        super().__init__(workers)

    def submit(self, function, *arguments):
        submitted = super().submit(function, *arguments)
        used = self.used

        class Noting:
            def __getattr__(self, name):
                used.append(name)
                return getattr(submitted, name)

        return Noting()


def test_grpcio_uses_of_a_submitted_call_only_add_done_callback():
    executor = Watching(2)
    server = grpc.server(executor)
    counter_pb2_grpc.add_incrementCounterServicer_to_server(counter_pb2_grpc.incrementCounterServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(5):
            status_of(counter_pb2_grpc.incrementCounterStub(channel).increment, counter_pb2.incrementBy())
    server.stop(1).wait()
    executor.shutdown()
    assert executor.used == ["add_done_callback"] * 5


def test_grpcio_asks_of_its_executor_only_submit():
    source = inspect.getsource(grpcio_server)
    assert set(re.findall(r"thread_pool\.(\w+)", source)) == {"submit"}
    assert source.count("_on_call_completed(state)") == 1, "the done callback has got a second use"
