"""When a window's clocks are read, and what follows where that is late, or the clock was set: on simulated time."""

import os

import pytest

from perfkit.errors import LoadError
from perfkit.rig.generators.contract import Window
from perfkit.rig.trial import observing
from perfkit.rig.trial.observing import observe, sleep_until
from tests.support.clock import SimulatedClock


class Family:
    """This test's own process, whose CPU time can be read."""

    name = "server x"

    def __init__(self):
        self.pids, self.checks, self.error = (os.getpid(),), 0, None

    def members(self):
        return self.pids

    def check(self):
        self.checks += 1
        if self.error:
            raise self.error


@pytest.fixture
def clock():
    return SimulatedClock(epoch_s=1000)


WINDOW = Window(1_005_000, 1_007_000)


def seen(clock, family=None, **options):
    return observe([family or Family()], WINDOW, (), clock=clock, **options)


def test_the_clocks_are_read_at_both_ends_and_everybody_is_looked_after_meanwhile(clock):
    family = Family()
    observed = seen(clock, family)
    assert clock.time() == 1007
    assert (observed.window_s, observed.late_ms) == (2.0, (0.0, 0.0))
    assert family.checks == pytest.approx(7 / observing.CHECK_S, abs=2)


def test_how_late_each_end_was_read_is_told(clock):
    clock.late_s = 0.03
    observed = seen(clock)
    assert all(0 <= late_ms <= 30 + 1e-6 for late_ms in observed.late_ms)
    assert max(observed.late_ms) > 0


@pytest.mark.parametrize("by_s", [3600, 1.5 + 5])
def test_a_clock_that_is_set_far_forward_breaks_the_trial(clock, by_s):
    clock.at(1.0, lambda: clock.set(by_s))
    with pytest.raises(
        LoadError, match=r"missed an end of the window by \d+\.\d s \(it was stopped, the machine slept"
    ):
        seen(clock)


def test_a_machine_that_slept_over_the_windows_end_breaks_the_trial(clock):
    clock.at(6.0, lambda: setattr(clock, "late_s", 5.0))
    with pytest.raises(LoadError, match="missed an end of the window by"):
        seen(clock)


@pytest.mark.parametrize("by_s", [0.05, -0.05, 0.5])
def test_a_clock_that_is_set_a_little_inside_the_window_shows_in_its_length(clock, by_s):
    clock.at(6.0, lambda: clock.set(by_s))
    observed = seen(clock)
    assert observed.window_s == pytest.approx(2.0 - by_s)


def test_a_clock_that_is_set_a_little_at_the_windows_end_shows_in_how_late_it_was_read(clock):
    clock.late_s = 0.01
    clock.at(6.999, lambda: clock.set(0.2))
    assert seen(clock).late_ms[1] == pytest.approx(200, abs=30)


def test_who_ends_before_the_window_is_named(clock):
    family = Family()
    clock.at(3.0, lambda: setattr(family, "error", LoadError("server x died")))
    with pytest.raises(LoadError, match="server x died"):
        seen(clock, family)
    assert clock.monotonic() <= 3.0 + observing.CHECK_S


def test_who_starts_processes_inside_the_window_is_named(clock):
    family = Family()
    clock.at(6.0, lambda: setattr(family, "pids", (*family.pids, os.getppid())))
    with pytest.raises(LoadError, match="server x started or ended processes inside the window"):
        seen(clock, family)


def test_who_is_late_for_an_appointment_by_less_than_a_second_goes_on(clock):
    sleep_until(999_100, [], clock)
    with pytest.raises(LoadError, match=r"by 1\.1 s"):
        sleep_until(998_900, [], clock)
    assert clock.monotonic() == 0
