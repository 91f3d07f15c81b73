"""What is said of stages can be wrong: a delay put into one is found there and nowhere else, on simulated time."""

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
from perfkit.subject.work import OwnClock
from tests.support.clock import SimulatedClock
from tests.support.processes import wait_for

DELAY_S = 0.02

WATCHED = 8

PATTERNS = ENGINES["threads"].options


def watched(arm, clock):
    """Call a server in this process, one call after the other, so that some are watched; return their stages."""
    parsed = parse_arm(f"{arm}{'&' if '?' in arm else '?'}stages=True", 4)
    state = state_of(parsed, clock=OwnClock(clock=clock))
    engine = start(parsed, "127.0.0.1", 0, state=state)
    with grpc.insecure_channel(engine.address) as channel:
        stub = counter_pb2_grpc.incrementCounterStub(channel)
        for number in range(1, WATCHED * stages.EVERY + 1):
            stub.increment(counter_pb2.incrementBy(value=1), timeout=60)
            # The reply is sent before its stamp is taken: the next call must not move the clock in between.
            wait_for("the stamps", lambda done=number // stages.EVERY: len(state.answered) == done)
    engine.stop(1)
    return [one.stamps() for one in state.answered]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_delay_put_into_one_stage_is_found_there_and_nowhere_else(monkeypatch, pattern, stage):
    clock = SimulatedClock()

    def late(function):
        def later(*arguments):
            clock.sleep(DELAY_S)
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
    stamps = watched(arm, clock)
    assert len(stamps) == WATCHED
    found = staged(stamps, 0, 1 << 62).each  # the stamps are ns here
    assert {name: one.mean_us for name, one in found.items() if one.mean_us} == {stage: DELAY_S * 1e9}


def test_what_began_outside_the_window_is_not_counted_and_no_call_is_no_number():
    stamps = [(at, at + 1, at + 2, at + 4, at + 8, at + 16, at + 32) for at in (0, 100, 200, 300)]
    found = staged(stamps, 100, 300)
    assert found.calls == 2
    assert [one.mean_us for one in found.each.values()] == [1, 1, 2, 4, 8, 16]
    assert found.each["answering"].histogram == {"19.95": 2}
    assert found.each["worker"].p99_us is None
    assert staged(stamps, 1000, 2000).calls == 0
