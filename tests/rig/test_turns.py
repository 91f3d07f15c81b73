"""Servers that take turns: exactly, on simulated time; and a real watchdog that stops, continues and kills."""

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from itertools import pairwise

import pytest

from perfkit.design.paired import Pilot, piloted
from perfkit.errors import LoadError
from perfkit.record.rows import rows
from perfkit.rig import process
from perfkit.rig.process import Place
from perfkit.rig.programs import turns as watchdog
from perfkit.rig.trial import turns
from perfkit.subject.work import OwnClock
from tests.support.clock import FakeProcess, SimulatedSystem
from tests.support.plans import plan_compare
from tests.support.processes import descendants, find, send, state, wait_for, wait_for_end
from tests.support.trials import measure, own_flags

TURN_S = 0.02

FAR = (0.0, 1e9)
"""A window in which everything lies."""


def simulated(*processes, window=FAR, turn_s=TURN_S, teams=None, clocks=None):
    """Return turns of a team a process, or of these teams, and the system that they are taken on."""
    system = SimulatedSystem(*processes)
    teams = teams or [((one.pid,),) for one in processes]
    return watchdog.Turns(teams, clocks or {}, turn_s, window, random.Random(1), system), system


def turns_in(system, until_s):
    """Return who had turns, in their order, from when all were stopped until a moment."""
    began_s = next(since for since, on in system.running if not on)
    return [on for since, on in system.running if began_s < since < until_s and on]


def test_one_runs_at_a_time_each_for_its_turn_and_all_go_on_at_the_end():
    made, system = simulated(*(FakeProcess(pid) for pid in (1, 2, 3)))
    system.lines = [(1.0, "end\n")]
    assert made.take_until_told()
    taken = turns_in(system, 1.0)
    assert set(taken) == {frozenset({1}), frozenset({2}), frozenset({3})}, "two ran at once"
    assert all(one != other for one, other in pairwise(taken)), "one had two turns running"
    assert not any(one.is_stopped for one in system.processes.values())
    report = made.report()
    assert report["count"] == len(taken)
    assert sum(report["own_s"]) == pytest.approx(1.0, abs=50 * 3 * watchdog.POLL_S), "the rest is for stopping"
    assert max(report["own_s"]) - min(report["own_s"]) <= 2 * TURN_S
    assert report["woken"] == 0
    assert report["late_ms"] == pytest.approx({"p50": 0, "p95": 0, "max": 0}, abs=1e-6)


def test_in_each_round_everybody_has_one_turn_in_an_order_drawn_anew():
    made, system = simulated(*(FakeProcess(pid) for pid in (1, 2, 3)))
    system.lines = [(2.0, "end\n")]
    made.take_until_told()
    taken = turns_in(system, 2.0)
    rounds = [tuple(taken[at : at + 3]) for at in range(0, len(taken) - 2, 3)]
    assert all(len(set(one)) == 3 for one in rounds)
    assert len(set(rounds)) > 3


def test_own_time_is_of_the_window_alone():
    made, system = simulated(FakeProcess(1), FakeProcess(2), window=(0.5, 0.6))
    system.lines = [(2.0, "end\n")]
    made.take_until_told()
    assert 0.09 < sum(made.report()["own_s"]) <= 0.1
    assert 4 <= made.report()["count"] <= 6


def test_turns_that_end_late_are_longer_and_reported_so():
    made, system = simulated(FakeProcess(1), FakeProcess(2))
    system.late_s = 0.003
    system.lines = [(1.0, "end\n")]
    made.take_until_told()
    assert made.report()["late_ms"]["p50"] == pytest.approx(3, abs=1e-6)


def test_how_long_a_server_takes_to_stop_is_in_nobodys_own_time():
    made, system = simulated(FakeProcess(1, stops_after_s=0.005), FakeProcess(2, stops_after_s=0.005))
    system.lines = [(1.0, "end\n")]
    made.take_until_told()
    report = made.report()
    assert report["switch_ms"]["p50"] == pytest.approx(5, abs=0.3)
    assert sum(report["own_s"]) == pytest.approx(0.8, abs=0.03)
    assert report["woken"] == 0


def test_whom_somebody_else_continues_before_its_turn_is_noticed():
    made, system = simulated(FakeProcess(1), FakeProcess(2))
    for moment in (0.1, 0.2):
        system.at(moment, lambda: [system.send(pid, signal.SIGCONT) for pid in (1, 2)])
    system.lines = [(0.5, "end\n")]
    made.take_until_told()
    assert made.report()["woken"] == 2


def test_who_does_not_stop_in_time_is_noticed():
    made, system = simulated(FakeProcess(1), FakeProcess(2, stops_after_s=2 * watchdog.STOP_S))
    system.lines = [(2.0, "end\n")]
    made.take_until_told()
    assert made.report()["woken"] > 0


def test_the_groups_of_a_team_run_and_stop_together():
    system_processes = [FakeProcess(pid) for pid in (1, 2, 3, 4)]
    made, system = simulated(*system_processes, teams=[((1,), (2,)), ((3,), (4,))])
    system.lines = [(1.0, "end\n")]
    made.take_until_told()
    assert {frozenset({1, 2}), frozenset({3, 4})} == {on for on in turns_in(system, 1.0) if len(on) == 2}
    assert max(map(len, turns_in(system, 1.0))) == 2


def test_when_the_pipe_closes_all_are_killed_stopped_or_not():
    made, system = simulated(FakeProcess(1), FakeProcess(2))
    system.lines = [(0.1, "")]
    assert not made.take_until_told()
    assert sorted(system.killed) == [1, 2]


@pytest.mark.parametrize(("line", "killed"), [("end\n", []), ("", [2])])
def test_when_a_server_is_gone_nobody_takes_turns_until_the_other_side_says_what_to_do(line, killed):
    made, system = simulated(FakeProcess(1), FakeProcess(2))
    system.at(0.1, lambda: setattr(system.processes[1], "is_gone", True))
    system.lines = [(5.0, line)]
    assert made.take_until_told() == bool(line)
    assert system.monotonic() == 5.0
    assert system.killed == killed
    assert system.processes[2].is_gone or not system.processes[2].is_stopped


WAIT_S = 0.03


def test_who_is_stopped_in_mid_wait_waits_as_long_in_its_own_time(tmp_path):
    """By any other clock the two would wait twice as often: while one is stopped, its wait would go on."""
    waits = {1: 0, 2: 0}
    processes, files = [FakeProcess(1), FakeProcess(2)], {}
    for one in processes:
        files[one.pid] = tmp_path / str(one.pid)
        files[one.pid].write_bytes(bytes(8))
    with ExitStack() as stack:
        clocks = {}
        for one in processes:
            clocks[((one.pid,),)] = fd = os.open(files[one.pid], os.O_WRONLY)
            stack.callback(os.close, fd)
        made, system = simulated(*processes, clocks=clocks)

        def body(pid):
            clock = OwnClock(files[pid], system)
            while True:
                yield from clock.waits(WAIT_S)
                waits[pid] += 1

        for one in processes:
            one.body = body(one.pid)
        system.lines = [(6.0, "end\n")]
        made.take_until_told()
    for made_waits, own_s in zip(waits.values(), made.report()["own_s"], strict=True):
        assert made_waits <= own_s / WAIT_S + 1
        assert made_waits > 0.5 * own_s / WAIT_S, "a wait is longer by the time until it goes on, and no more"


def test_own_time_stands_still_while_stopped_and_is_read_anew_where_that_changes_meanwhile(tmp_path):
    stopped, system = tmp_path / "stopped", SimulatedSystem()
    stopped.write_bytes(bytes(8))
    clock = OwnClock(stopped, system)
    system.sleep(2.0)
    assert clock.now_ns() == 2_000_000_000
    stopped.write_bytes((500_000_000).to_bytes(8, sys.byteorder))
    assert clock.now_ns() == 1_500_000_000

    reads = iter([3_000_000_000, 4_000_000_000])

    def told_while_it_reads():
        stopped.write_bytes((1_000_000_000).to_bytes(8, sys.byteorder))
        return next(reads)

    system.monotonic_ns = told_while_it_reads
    assert clock.now_ns() == 3_000_000_000, "4 s that have passed, without 1 s; not 3 s without half of one"


def test_a_wait_of_one_who_is_never_stopped_is_one_sleep():
    system = SimulatedSystem()
    OwnClock(clock=system).sleep(0.25)
    assert system.monotonic() == 0.25


COUNT = "import time\nwhile True: time.sleep(0.0005); print(flush=True)"
"""A process that says all the time that it runs."""


def counting():
    return process.child([sys.executable, "-c", COUNT], Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


@pytest.fixture
def pair():
    with counting() as one, counting() as other:
        for each in (one, other):
            each.stdout.readline()
        yield one.pid, other.pid


def alone(pids):
    return [turns.Team([[pid]]) for pid in pids]


LONG = (0.0, 1e9)


@pytest.mark.load
def test_real_processes_are_stopped_each_while_another_runs_and_go_on_at_the_end(pair):
    with turns.turns(alone(pair), 20, LONG, "seed", ()) as running:
        seen = set()

        def both_were_stopped():
            seen.update(pid for pid in pair if state(pid) in "Tt")
            return seen == set(pair)

        wait_for("a stop of each", both_were_stopped)
        report, own_s = running.end()
    assert report.count >= 1
    assert sum(own_s) > 0
    wait_for("that all go on", lambda: not any(state(pid) in "Tt" for pid in pair))


@pytest.mark.load
def test_a_closed_pipe_kills_what_is_stopped_and_what_it_had_started():
    """As when whoever asked for turns is killed."""
    script = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]
    with (
        process.child(script, Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child,
        counting() as other,
    ):
        grandchild = int(child.stdout.readline())
        pids = [child.pid, other.pid]
        with turns.turns(alone(pids), 20, LONG, "seed", ()):
            wait_for("a stop", lambda: any(state(pid) in "Tt" for pid in pids))
        wait_for_end([*pids, grandchild])


@pytest.mark.load
def test_a_watchdog_that_is_gone_is_named(pair):
    with turns.turns(alone(pair), 20, LONG, "seed", ()) as running:
        os.kill(running.pid, signal.SIGKILL)
        wait_for_end([running.pid])
        with pytest.raises(LoadError, match="the watchdog of the turns ended"):
            running.check()


PILOT = Pilot(cpu_per_call_us=3000)


def by_turns(**values):
    (one,) = plan_compare(**{"vus": 5, "duration_s": 1, "warmup_s": 0.4, **values}).block(0)
    return measure(piloted(one, PILOT))


@pytest.mark.load
def test_a_trial_by_turns_counts_every_call_and_gives_each_server_its_own_time():
    result = by_turns()
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]
    assert 0 < sum(one.own_s for one in result.served) <= result.trial.load.duration_s
    assert own_flags(result) == set()
    for row in rows(result, complete=True):
        assert row["throughput_rps"] == pytest.approx(row["acknowledged"] / row["own_s"])
        assert row["p50_ms"] is None


@pytest.mark.full
@pytest.mark.load
def test_by_turns_a_device_serves_no_more_commits_than_its_server_has_time_for():
    sync_us = 4000
    result = by_turns(a=f"mutex?sync_us={sync_us}", b=f"inputQ?sync_us={sync_us}", duration_s=3, vus=4)
    assert result.alike is None, "who is busy would pay for a layout alike, and who waits would not"
    for one in result.served:
        assert one.calls.acknowledged <= one.own_s * 1e6 / sync_us + 1 + result.trial.load.vus
        assert one.section.commit_us.p50 >= sync_us
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]


@pytest.mark.load
def test_a_killed_watchdog_ends_the_trial_and_leaves_nothing_running_or_stopped():
    before = descendants()

    def strike():
        wait_for("turns", lambda: find("programs/turns.py"))
        send("programs/turns.py", signal.SIGKILL)

    striking = threading.Thread(target=strike)
    striking.start()
    with pytest.raises(LoadError, match="the watchdog of the turns ended"):
        by_turns(duration_s=30)
    striking.join()
    wait_for_end(descendants() - before)
