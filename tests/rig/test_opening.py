"""When a window opens that several generators have in common, and what is done where that was too soon."""

from dataclasses import replace

import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import LoadError
from perfkit.rig.generators.contract import Window, opening
from perfkit.rig.trial import here
from perfkit.rig.trial.here import StartupTimes, WindowMissed, again_where_missed, wait_for_all
from tests.support.clock import SimulatedClock
from tests.support.plans import plan_compare, solo

LOAD = Load(vus=100, warmup_s=0.5, duration_s=1)

TRIAL = solo(parse_arm("mutex", 10), LOAD)


def test_a_window_opens_as_late_as_so_many_servers_and_vus_need_and_sooner_where_that_is_known():
    clock = SimulatedClock(epoch_s=1000)
    assert opening(LOAD, 1, clock=clock) == 1_000_000 + 600 + 400 + 500
    assert opening(LOAD, 4, clock=clock) == 1_000_000 + 4 * 1000 + 500
    assert opening(LOAD, 4, waits_s=2.0, clock=clock) == 1_000_000 + 4 * 1000 + 2000 + 500
    assert opening(LOAD, 4, took_s=0.8, clock=clock) == 1_000_000 + 200 + 1000 + 500


def test_how_long_a_start_takes_is_learned_up_at_once_and_down_by_halves():
    times = StartupTimes()
    assert times.expected_s(TRIAL) is None
    for took_s, expected_s in ((2.0, 2.0), (1.0, 1.5), (4.0, 4.0), (1.0, 2.5)):
        times.learn(TRIAL, took_s)
        assert times.expected_s(TRIAL) == expected_s


def test_of_other_servers_it_is_as_of_as_many_others_with_their_own_waits_besides():
    times = StartupTimes()
    times.learn(TRIAL, 2.0)
    waiting = solo(parse_arm("mutex?sync_us=10000", 10), LOAD)
    assert times.expected_s(waiting) == pytest.approx(2.0 + 100 * 0.01)
    assert times.expected_s(replace(TRIAL, load=replace(LOAD, vus=101))) is None, "another number of VUs"
    (several,) = plan_compare(vus=100).block(0)
    assert times.expected_s(several) is None, "another number of servers"


class Generator:
    """It has an answer for each of its VUs, at one moment after another."""

    def __init__(self, clock, *moments):
        self.clock, self.moments, self.error = clock, moments, None

    def answered(self):
        return sum(moment <= self.clock.monotonic() for moment in self.moments)

    def check(self):
        if self.error:
            raise self.error


WINDOW = Window(1_002_000, 1_003_000)

LATEST = 2.0 - here.LEAST_WARMUP_S


@pytest.mark.parametrize(
    ("moments", "missing", "until_s"),
    [([0.1, 0.4], 0, 0.4), ([0.1, 5.0], 1, LATEST), ([5.0, 5.0], 2, LATEST), ([0.0, 0.0], 0, 0.0)],
)
def test_turns_begin_when_all_vus_are_answered_or_a_little_before_the_window(moments, missing, until_s):
    clock = SimulatedClock(epoch_s=1000)
    loads = [Generator(clock, moments[0]), Generator(clock, moments[1])]
    assert wait_for_all(2, WINDOW, loads, loads, clock) == missing
    assert clock.monotonic() == pytest.approx(until_s, abs=0.011)


def test_who_comes_after_the_window_has_opened_waits_for_nobody():
    clock = SimulatedClock(epoch_s=1005)
    assert wait_for_all(1, WINDOW, [], [Generator(clock, 9.0)], clock) == 1
    assert clock.monotonic() == 0


def test_a_generator_that_dies_meanwhile_is_named():
    clock = SimulatedClock(epoch_s=1000)
    load = Generator(clock, 5.0)
    clock.at(0.5, lambda: setattr(load, "error", LoadError("k6 was killed")))
    with pytest.raises(LoadError, match="k6 was killed"):
        wait_for_all(1, WINDOW, [load], [load], clock)


def test_a_window_that_was_missed_is_opened_again_twice_and_then_it_is_an_error():
    outcomes = [WindowMissed("1"), "measured"]
    calls = []

    def measure():
        calls.append(1)
        outcome = outcomes[min(len(calls), len(outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert again_where_missed(measure) == "measured"
    assert len(calls) == 2
    outcomes[:], calls[:] = [WindowMissed("always")], []
    with pytest.raises(WindowMissed, match="always"):
        again_where_missed(measure)
    assert len(calls) == here.STARTS


def test_any_other_error_is_not_tried_again():
    calls = []

    def measure():
        calls.append(1)
        raise LoadError("k6 was killed")

    with pytest.raises(LoadError, match="k6 was killed"):
        again_where_missed(measure)
    assert len(calls) == 1
