"""How long a coordinator waits for its hosts, and whom it names: on simulated time, with agents that answer as told."""

from types import SimpleNamespace

import pytest

from perfkit.errors import LoadError, ServerError
from perfkit.rig.cluster.hosts import EXCHANGES, Host, Hosts, Patience
from tests.support.clock import SimulatedClock

PATIENCE = Patience(answer_s=5.0, after_s=30.0)

NEVER = 1e9


class Future:
    """An answer that comes at a moment."""

    def __init__(self, clock, at_s, answer):
        self._clock, self._at_s, self._answer = clock, at_s, answer

    def done(self):
        return self._clock.monotonic() >= self._at_s

    def result(self, timeout):
        left_s = self._at_s - self._clock.monotonic()
        self._clock.sleep(max(0.0, min(left_s, timeout)))
        if left_s > timeout:
            raise TimeoutError
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Agent:
    """It answers each question after `takes_s`, by a clock of its own."""

    def __init__(self, clock, takes_s=0.1, answer=None, ahead_s=0.0):
        self.clock, self.takes_s, self.answer, self.ahead_s = clock, takes_s, answer, ahead_s

    def work(self):
        return Future(self.clock, self.clock.monotonic() + self.takes_s, self.answer)

    def now(self):
        return Future(self.clock, self.clock.monotonic() + self.takes_s, self.clock.time() + self.ahead_s)

    def gone(self):
        raise RuntimeError("worker closed")


@pytest.fixture
def clock():
    return SimulatedClock()


def cluster(clock, *agents):
    server, *others = [Host(f"h{number}", f"tcp://h{number}:1", agent) for number, agent in enumerate(agents)]
    return Hosts(SimpleNamespace(), server, others, PATIENCE, clock)


def test_answers_come_in_the_order_of_hosts_as_soon_as_the_last_is_there(clock):
    hosts = cluster(clock, Agent(clock, 2.0, "a"), Agent(clock, 0.5, "b"))
    assert hosts.ask_all("work") == ["a", "b"]
    assert clock.monotonic() == pytest.approx(2.0, abs=0.02)


def test_a_host_that_does_not_answer_in_time_is_named_with_what_it_was_to_do(clock):
    hosts = cluster(clock, Agent(clock), Agent(clock, NEVER))
    with pytest.raises(LoadError, match=r"host h1 does not answer \(work took more than 5\.0 s\)"):
        hosts.ask_all("work")
    assert clock.monotonic() == pytest.approx(5.0, abs=0.02)


def test_the_first_failure_is_raised_at_once_while_others_are_silent(clock):
    hosts = cluster(clock, Agent(clock, NEVER), Agent(clock, 1.0, ServerError("server x died")))
    with pytest.raises(ServerError, match="host h1: server x died"):
        hosts.ask_all("work")
    assert clock.monotonic() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("error", [OSError("closed"), RuntimeError("actor gone")])
def test_a_host_that_is_lost_in_mid_call_is_named(clock, error):
    hosts = cluster(clock, Agent(clock), Agent(clock, 0.2, error))
    with pytest.raises(LoadError, match="host h1 was lost"):
        hosts.ask_all("work")


def test_a_host_that_is_gone_before_it_is_asked_is_named(clock):
    with pytest.raises(LoadError, match=r"host h0 was lost \(worker closed\)"):
        cluster(clock, Agent(clock)).call(Host("h0", "", Agent(clock)), "gone")


def test_all_are_told_and_who_does_not_confirm_in_time_is_listed(clock):
    hosts = cluster(clock, Agent(clock, 1.0), Agent(clock, NEVER), Agent(clock, 2.0), Agent(clock, NEVER))
    assert hosts.tell_all("work") == ["h1", "h3"]
    assert clock.monotonic() <= PATIENCE.answer_s + 0.1, "one patience for all of them together"
    assert cluster(clock, Agent(clock), Agent(clock)).tell_all("gone") == ["h0", "h1"]


def test_a_clock_that_is_off_is_known_within_half_of_the_time_that_an_answer_took(clock):
    hosts = cluster(clock, Agent(clock, 0.001), Agent(clock, 0.002, ahead_s=3.0), Agent(clock, 0.004, ahead_s=-3.0))
    found = {host.name: offset for host, offset in hosts.clocks().items()}
    assert clock.monotonic() == pytest.approx(EXCHANGES * 0.007)
    for name, ahead_s, took_s in (("h0", 0.0, 0.001), ("h1", 3.0, 0.002), ("h2", -3.0, 0.004)):
        assert abs(found[name].offset_s - ahead_s) <= found[name].error_s + 1e-9
        assert found[name].error_s == pytest.approx(took_s / 2)
