"""One body of tests for every engine and pattern, over the wire."""

import threading
import time
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

METHOD = "/counter.incrementCounter/increment"

HOLD_S = 0.2

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


@pytest.fixture
def slow_engine(arm):
    """A server whose critical section takes its time, so that calls wait for one another; the test stops it."""
    return started(f"{arm}{'&' if '?' in arm else '?'}hold_us={HOLD_S * 1e6:.0f}")


@pytest.fixture
def slow(slow_engine):
    with grpc.insecure_channel(slow_engine.address) as channel:
        yield counter_pb2_grpc.incrementCounterStub(channel)
    slow_engine.stop(0)


def status_of(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, **options)
    return raised.value.code(), raised.value.details()


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


def test_a_call_past_its_deadline_is_dropped_unapplied(slow):
    first = slow.increment.future(counter_pb2.incrementBy(value=1))
    time.sleep(HOLD_S / 4)
    code, _ = status_of(slow.increment, counter_pb2.incrementBy(value=100), timeout=HOLD_S / 4)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert first.result().count == 1
    assert count(slow) == 1


def test_a_cancelled_call_is_dropped_unapplied(slow):
    first = slow.increment.future(counter_pb2.incrementBy(value=1))
    time.sleep(HOLD_S / 4)
    call = slow.increment.future(counter_pb2.incrementBy(value=100))
    time.sleep(HOLD_S / 4)  # nothing tells a client that its call has reached the server's queue
    call.cancel()
    assert first.result().count == 1
    assert count(slow) == 1


def test_stopping_answers_what_runs_and_refuses_what_comes(slow_engine):
    with grpc.insecure_channel(slow_engine.address) as channel, ThreadPoolExecutor(1) as pool:
        stub = counter_pb2_grpc.incrementCounterStub(channel)
        calls = [stub.increment.future(counter_pb2.incrementBy(value=1)) for _ in range(6)]  # more than workers
        time.sleep(HOLD_S / 2)
        stopping = pool.submit(slow_engine.stop, 10)
        late = []
        while not late or late[-1].code() == grpc.StatusCode.OK:  # it need not have begun with the very next call
            late.append(stub.increment.future(counter_pb2.incrementBy(value=1), timeout=10))
        assert late[-1].code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert {call.code() for call in calls} == {grpc.StatusCode.OK}
        answered = [call.result().count for call in [*calls, *late[:-1]]]
        assert sorted(answered) == list(range(1, len(answered) + 1))
        assert stopping.result(timeout=10) == len(answered)


def test_stopping_leaves_no_thread(arm):
    before = set(threading.enumerate())
    engine = started(arm)
    with grpc.insecure_channel(engine.address) as channel:
        assert count(counter_pb2_grpc.incrementCounterStub(channel)) == 0
        engine.stop(1)
    patience = time.monotonic() + 5
    while left := {one.name for one in set(threading.enumerate()) - before if "poll" not in one.name.lower()}:
        assert time.monotonic() < patience, left
        time.sleep(0.01)


def test_a_taken_port_is_refused_at_once(arm):
    engine = started("threads/mutex")
    port = int(engine.address.rpartition(":")[2])
    with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}.*--port"):
        started(arm, port=port)
    engine.stop(1)
