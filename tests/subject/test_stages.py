"""What is said of stages can be wrong: a delay put into one is found there and nowhere else, and queues obey Little."""

import threading
import time
from functools import partial

import grpc
import pytest

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.engines import ENGINES, STAGES
from perfkit.record.calls import staged
from perfkit.subject import stages
from perfkit.subject.engines import contract
from perfkit.subject.patterns import PATTERNS as ALL
from perfkit.subject.patterns import input_q
from perfkit.subject.serve import start, state_of

DELAY_S = 0.02

PATTERNS = ENGINES["threads"].options


@pytest.fixture
def watched(monkeypatch):
    """Call a server in this process, one call after the other or from several threads; give the stages of all calls."""
    monkeypatch.setattr(stages, "EVERY", 1)

    def run(arm, *, calls=8, callers=1, meanwhile=lambda _: None):
        parsed = parse_arm(f"{arm}{'&' if '?' in arm else '?'}stages=True", 4)
        state = state_of(parsed)
        engine = start(parsed, "127.0.0.1", 0, state=state)

        def call():
            with grpc.insecure_channel(engine.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = counter_pb2_grpc.incrementCounterStub(channel)
                for _ in range(calls):
                    stub.increment(counter_pb2.incrementBy(value=1), timeout=20)

        threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
        for thread in threads:
            thread.start()
        seen = meanwhile(engine)
        for thread in threads:
            thread.join(60)
        engine.stop(1)
        return [one.stamps() for one in state.answered], seen

    return run


def in_ms(stamps):
    return {name: one.mean_us / 1e6 for name, one in staged(stamps, 0, 1 << 62).each.items()}  # the stamps are ns here


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_delay_put_into_one_stage_is_found_there_and_nowhere_else(watched, monkeypatch, pattern, stage):
    def late(function):
        def later(*arguments):
            time.sleep(DELAY_S)
            return function(*arguments)

        return later

    arm = pattern
    if stage == "worker":
        monkeypatch.setattr(stages.WatchingWorkers, "_start", late(stages.WatchingWorkers._start))
    elif stage == "reading":
        monkeypatch.setattr(contract, "read", late(contract.read))
    elif stage == "waiting" and pattern == "inputQ":
        monkeypatch.setattr(input_q, "take", late(input_q.take))
    elif stage == "waiting":
        counter = ALL[pattern]
        monkeypatch.setattr(counter, "handle", late(counter.handle))
    elif stage == "holding":
        arm = f"{pattern}?hold_us={DELAY_S * 1e6:.0f}"
    elif stage == "committing":
        arm = f"{pattern}?sync_us={DELAY_S * 1e6:.0f}"
    else:
        monkeypatch.setattr(contract, "written", late(contract.written))
    stamps, _ = watched(arm)
    assert len(stamps) == 8
    taken_ms = in_ms(stamps)
    assert taken_ms.pop(stage) == pytest.approx(DELAY_S * 1e3, rel=0.5)
    assert max(taken_ms.values()) < DELAY_S * 1e3 / 4, taken_ms


def depth(queue, of, for_s, every_s=0.001):
    """Look now and then how long a queue is, of a server under load; return the mean, from when to when."""
    time.sleep(0.5)
    began, seen = time.perf_counter_ns(), []
    while time.perf_counter_ns() < began + for_s * 1e9:
        seen.append(queue(of).qsize())
        time.sleep(every_s)
    return sum(seen) / len(seen), began, time.perf_counter_ns()


@pytest.mark.load
@pytest.mark.parametrize(
    ("arm", "stage", "queue"),
    [
        ("mutex?workers=2&hold_us=2000", "worker", lambda engine: engine._workers._calls),
        ("inputQ?hold_us=2000", "waiting", lambda engine: engine._counter._requests),
        ("inputQ?sync_us=2000", "waiting", lambda engine: engine._counter._requests),
    ],
)
def test_a_queue_is_as_long_as_its_arrivals_times_their_mean_wait(watched, arm, stage, queue):
    stamps, (length, began, ended) = watched(arm, calls=60, callers=20, meanwhile=partial(depth, queue, for_s=1.6))
    number = list(STAGES).index(stage)
    inside = [one for one in stamps if began <= one[number] < ended]
    rate = len(inside) / (ended - began)
    wait = sum(one[number + 1] - one[number] for one in inside) / len(inside)
    assert length > 10
    assert length == pytest.approx(rate * wait, rel=0.05)


def test_what_began_outside_the_window_is_not_counted_and_no_call_is_no_number():
    stamps = [(at, at + 1, at + 2, at + 4, at + 8, at + 16, at + 32) for at in (0, 100, 200, 300)]
    found = staged(stamps, 100, 300)
    assert found.calls == 2
    assert [one.mean_us for one in found.each.values()] == [1, 1, 2, 4, 8, 16]
    assert found.each["answering"].histogram == {"19.95": 2}
    assert found.each["worker"].p99_us is None
    assert staged(stamps, 1000, 2000).calls == 0
