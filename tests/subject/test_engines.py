"""One body of tests for every engine and pattern, over the wire."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.engines import ENGINES, GROUPING, LOOPS
from perfkit.errors import ServerError
from perfkit.subject.engines.contract import MESSAGE_MAX_BYTES, SERVICE
from perfkit.subject.serve import start, state_of
from perfkit.subject.state import COUNT_MAX
from perfkit.subject.work import OwnClock
from tests.support.processes import wait_for
from tests.support.servers import status_of

METHOD = "/counter.incrementCounter/increment"

VARIANTS = {
    "threads/inputQ": ["?batch=4"],
    "asyncio/mutex": [f"?loop={LOOPS[-1]}"],
    "asyncio/inputQ": [f"?loop={LOOPS[-1]}", "?batch=4"],
    "native/inputQ": ["?batch=4"],
}
"""arm → what else is tested of it, beside its default"""

ARMS = [
    f"{engine}/{pattern}{variant}"
    for engine, facts in ENGINES.items()
    for pattern in facts.options
    for variant in ["", *VARIANTS.get(f"{engine}/{pattern}", [])]
    if engine != "native" or pattern not in GROUPING  # what is left of these on native is tested of both apart
]


def started(arm, count=0, port=0):
    parsed = parse_arm(arm, workers=4)
    return start(parsed, "127.0.0.1", port, state=state_of(parsed, count=count))


@pytest.fixture(params=ARMS)
def arm(request):
    return request.param


@pytest.fixture(scope="module", params=ARMS)
def channel(request):
    """To a server that no test leaves changed."""
    engine = started(request.param)
    with grpc.insecure_channel(engine.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel
    assert engine.stop(1) == 0


@pytest.fixture
def stub(channel):
    return counter_pb2_grpc.incrementCounterStub(channel)


class Gate(OwnClock):
    """Time that does not pass in a critical section until the gate is opened."""

    def __init__(self):
        super().__init__()
        self.entered, self.opened = threading.Event(), threading.Event()

    def waits(self, duration_s):  # noqa: ARG002
        self.entered.set()
        while not self.opened.is_set():
            yield 0.001


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def held_engine(arm, gate):
    """A server whose critical section lets nobody out before the gate is opened; the test stops it."""
    parsed = parse_arm(f"{arm}{'&' if '?' in arm else '?'}hold_us=1", workers=4)
    return start(parsed, "127.0.0.1", 0, state=state_of(parsed, clock=gate))


@pytest.fixture
def held(held_engine, gate):
    """A channel to it."""
    with grpc.insecure_channel(held_engine.address) as channel:
        yield channel
    gate.opened.set()
    held_engine.stop(0)


def let_all_arrive(channel):
    """Return when the server knows of all that was sent to it before: what follows on a connection is read later."""
    for _ in range(3):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())


def count(stub):
    return stub.increment(counter_pb2.incrementBy(value=0)).count


def test_a_client_of_the_original_service_works_unchanged(channel):
    """Bytes as its stubs write and read them: field 1 of either message, nothing else."""
    reply = channel.unary_unary(METHOD)(b"\x08\x00")
    text = b"Incremented value is 0"
    assert reply.startswith(b"\x0a" + bytes([len(text)]) + text)


def test_the_reply_has_the_count_in_words_and_as_a_number(arm):
    engine = started(arm, count=40)
    with grpc.insecure_channel(engine.address) as channel:
        stub = counter_pb2_grpc.incrementCounterStub(channel)
        reply = stub.increment(counter_pb2.incrementBy(value=2))
        assert (reply.message, reply.count) == ("Incremented value is 42", 42)
        assert count(stub) == 42
    assert engine.stop(1) == 42


def test_a_negative_value_is_an_invalid_argument(stub):
    told = status_of(stub.increment, counter_pb2.incrementBy(value=-1))
    assert told == (grpc.StatusCode.INVALID_ARGUMENT, "Value cannot be negative")
    assert count(stub) == 0


def test_a_value_over_32_bits_is_refused_as_the_negative_it_becomes(channel, stub):
    code, _ = status_of(channel.unary_unary(METHOD), b"\x08\x80\x80\x80\x80\x08")  # 2**31 as a varint
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert count(stub) == 0


def test_garbage_is_an_internal_error_and_the_server_lives_on(channel, stub, caplog):
    code, details = status_of(channel.unary_unary(METHOD), b"\xff\xff\xff garbage")
    assert (code, details) == (grpc.StatusCode.INTERNAL, "the request is no counter.incrementBy message")
    assert count(stub) == 0
    assert caplog.text == "", "anybody could fill the log"


def test_a_message_over_the_limit_is_refused(channel, stub):
    for size in (MESSAGE_MAX_BYTES + 1, 5_000_000):
        code, _ = status_of(channel.unary_unary(METHOD), bytes(size))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert count(stub) == 0


def test_an_unknown_method_is_unimplemented(channel):
    code, _ = status_of(channel.unary_unary("/counter.incrementCounter/decrement"), b"")
    assert code == grpc.StatusCode.UNIMPLEMENTED


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


def test_an_overflow_is_out_of_range(arm):
    engine = started(arm, count=COUNT_MAX)
    with grpc.insecure_channel(engine.address) as channel:
        stub = counter_pb2_grpc.incrementCounterStub(channel)
        code, details = status_of(stub.increment, counter_pb2.incrementBy(value=1))
        assert (code, "64 bits" in details) == (grpc.StatusCode.OUT_OF_RANGE, True)
        assert count(stub) == COUNT_MAX
    engine.stop(1)


@pytest.mark.load
@pytest.mark.parametrize("hold_us", [0, 1000])
def test_no_update_is_lost_and_replies_are_distinct_and_gap_free(arm, hold_us):
    callers, calls = 8, 25 if hold_us else 150
    engine = started(f"{arm}{'&' if '?' in arm else '?'}hold_us={hold_us}")

    def work(_):
        with grpc.insecure_channel(engine.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = counter_pb2_grpc.incrementCounterStub(channel)
            return [stub.increment(counter_pb2.incrementBy(value=1)).count for _ in range(calls)]

    with ThreadPoolExecutor(callers) as pool:
        replies = list(pool.map(work, range(callers)))
    assert sorted(chain(*replies)) == list(range(1, callers * calls + 1))
    assert all(own == sorted(own) for own in replies)
    assert engine.stop(1) == callers * calls


def test_a_call_past_its_deadline_is_dropped_unapplied(held, gate):
    stub = counter_pb2_grpc.incrementCounterStub(held)
    first = stub.increment.future(counter_pb2.incrementBy(value=1))
    assert gate.entered.wait(60)
    code, _ = status_of(stub.increment, counter_pb2.incrementBy(value=100), timeout=0.1)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    let_all_arrive(held)
    gate.opened.set()
    assert first.result().count == 1
    assert count(stub) == 1


def test_a_cancelled_call_is_dropped_unapplied(held, gate):
    stub = counter_pb2_grpc.incrementCounterStub(held)
    first = stub.increment.future(counter_pb2.incrementBy(value=1))
    assert gate.entered.wait(60)
    call = stub.increment.future(counter_pb2.incrementBy(value=100))
    let_all_arrive(held)
    call.cancel()
    let_all_arrive(held)
    gate.opened.set()
    assert first.result().count == 1
    assert count(stub) == 1


def test_stopping_answers_what_runs_and_refuses_what_comes(arm, held_engine, gate):
    with grpc.insecure_channel(held_engine.address) as held, ThreadPoolExecutor(1) as pool:
        stub = counter_pb2_grpc.incrementCounterStub(held)
        calls = [stub.increment.future(counter_pb2.incrementBy(value=1)) for _ in range(3)]  # with workers to spare
        assert gate.entered.wait(60)
        let_all_arrive(held)
        stopping = pool.submit(held_engine.stop, 60)
        if arm == "native/inputQ?batch=4":  # its transport can't refuse calls and finish others: it answers all first
            gate.opened.set()

        def is_refused():
            try:
                let_all_arrive(held)
            except grpc.RpcError:
                return True
            return False

        wait_for("that the server takes no more calls", is_refused)
        code, _ = status_of(stub.increment, counter_pb2.incrementBy(value=1), timeout=60)
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        gate.opened.set()
        codes = {call.code() for call in calls}
        answered = sorted(call.result().count for call in calls if call.code() == grpc.StatusCode.OK)
        assert stopping.result(timeout=60) == 3, "each was applied"
        if arm.startswith("native/"):  # its transport may close a connection with a reply not yet on the wire
            assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
            assert set(answered) <= {1, 2, 3}
        else:
            assert answered == [1, 2, 3]


def test_stopping_leaves_no_thread(arm):
    before = set(threading.enumerate())
    engine = started(arm)
    with grpc.insecure_channel(engine.address) as channel:
        assert count(counter_pb2_grpc.incrementCounterStub(channel)) == 0
        engine.stop(1)

    def left():
        return {one.name for one in set(threading.enumerate()) - before if "poll" not in one.name.lower()}

    wait_for("the end of its threads", lambda: not left())


def test_a_taken_port_is_refused_at_once(arm):
    engine = started("threads/mutex")
    port = int(engine.address.rpartition(":")[2])
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}.*--port"):
        started(arm, port=port)
    engine.stop(1)
