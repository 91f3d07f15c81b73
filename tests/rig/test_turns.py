import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from perfkit.design.paired import Pilot, piloted
from perfkit.errors import LoadError
from perfkit.record.rows import rows
from perfkit.rig import process
from perfkit.rig.process import Place
from perfkit.rig.trial import turns
from tests.conftest import command_of, plan_compare, undisturbed
from tests.rig.test_process import gone_within
from tests.rig.test_trial import own_flags

pytestmark = pytest.mark.load  # turns are of milliseconds: nothing else should run

COUNT = "import time\nwhile True: time.sleep(0.0005); print(flush=True)"
"""A process that says all the time that it runs."""


def counting():
    return process.child([sys.executable, "-c", COUNT], Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def states(pids):
    return ["".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) for pid in pids]


def alone(pids):
    return [turns.Team([[pid]]) for pid in pids]


def window(seconds):
    now = time.monotonic()
    return now, now + seconds


@pytest.fixture
def pair():
    with counting() as one, counting() as other:
        for each in (one, other):
            each.stdout.readline()
        yield one.pid, other.pid


def test_one_runs_at_a_time_and_both_have_as_much(pair):
    with turns.turns(alone(pair), 20, window(0.8), "seed", ()) as running:
        time.sleep(0.1)
        seen = []
        for _ in range(200):
            before, after = states(pair), states(pair)
            if before == after:  # else the turn ended between two readings
                seen.append(sum(state in "TZ" for state in after))
            time.sleep(0.003)
        report, own_s = running.end()
    assert seen.count(1) > 0.7 * len(seen), "mostly one is stopped"
    assert seen.count(0) <= 2, "both ran"
    assert sum(own_s) == pytest.approx(0.7, abs=0.15)
    assert own_s[0] == pytest.approx(own_s[1], abs=0.06)
    assert report.count > 20
    assert report.woken == 0
    assert 0 <= report.late_ms["p50"] <= report.late_ms["p95"] <= report.late_ms["max"]


def test_a_team_runs_and_stops_together():
    with ExitStack() as stack:
        pids = [stack.enter_context(counting()).pid for _ in range(4)]
        with turns.turns(
            [turns.Team([[pid] for pid in two]) for two in (pids[:2], pids[2:])], 20, window(5), "seed", ()
        ):
            time.sleep(0.2)
            seen = []
            for _ in range(100):
                stopped = [state in "TZ" for state in states(pids)]
                seen.append((stopped[0], stopped[2]) if stopped[0] == stopped[1] and stopped[2] == stopped[3] else None)
                time.sleep(0.003)
    assert {(True, False), (False, True)} <= set(seen)
    assert sum(one in ((True, False), (False, True)) for one in seen) > 0.7 * len(seen)


def test_at_the_end_all_go_on(pair):
    with turns.turns(alone(pair), 20, window(0.2), "seed", ()) as running:
        time.sleep(0.2)
        running.end()
        time.sleep(0.05)
        assert not any(state == "T" for state in states(pair))


def test_a_closed_pipe_kills_what_is_stopped_and_what_it_had_started():
    """As when whoever asked for turns is killed."""
    script = ["/bin/sh", "-c", "sleep 60 & echo $!; wait"]
    with (
        process.child(script, Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child,
        counting() as other,
    ):
        grandchild = int(child.stdout.readline())
        with turns.turns(alone([child.pid, other.pid]), 20, window(5), "seed", ()):
            time.sleep(0.1)
        child.wait(3)
        other.wait(3)
        assert gone_within([grandchild], 3)


def test_a_server_that_somebody_else_continues_is_noticed(pair):
    with turns.turns(alone(pair), 30, window(0.6), "seed", ()) as running:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for pid in pair:
                os.kill(pid, signal.SIGCONT)
            time.sleep(0.001)
        report, _ = running.end()
    assert report.woken > 0


def test_a_watchdog_that_is_gone_is_named(pair):
    with turns.turns(alone(pair), 20, window(5), "seed", ()) as running:
        os.kill(running.pid, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(LoadError, match="the watchdog of the turns ended"):
            running.check()


WAIT_S = 0.03

WAITING = f"""
import sys
from pathlib import Path
from perfkit.subject.work import OwnClock
clock = OwnClock(Path(sys.argv[1]))
print(flush=True)
while True:
    clock.sleep({WAIT_S})
    print(flush=True)
"""
"""A process that says how often it has waited by its own clock."""


def test_who_is_stopped_in_mid_wait_waits_as_long_in_its_own_time(tmp_path):
    """By any other clock the two would wait twice as often: while one is stopped, its wait would go on."""
    with ExitStack() as stack:
        teams = []
        for name in ("one", "other"):
            stopped, said = tmp_path / name, tmp_path / f"{name}.out"
            stopped.write_bytes(bytes(8))
            output = stack.enter_context(said.open("wb"))
            argv = [sys.executable, "-c", WAITING, str(stopped)]
            waiting = stack.enter_context(process.child(argv, Place(), stdout=output, stderr=subprocess.DEVNULL))
            until = time.monotonic() + 10
            while not said.stat().st_size and time.monotonic() < until:
                time.sleep(0.01)
            teams.append((turns.Team([[waiting.pid]], stopped), said))
        before = [said.stat().st_size for _, said in teams]
        with turns.turns([team for team, _ in teams], 20, window(60), "seed", ()) as running:
            time.sleep(3)
            waits = [said.stat().st_size - size for (_, said), size in zip(teams, before, strict=True)]
            _, own_s = running.end()
    for made, seconds in zip(waits, own_s, strict=True):
        assert made <= seconds / WAIT_S + 1
        assert made > 0.5 * seconds / WAIT_S, "a wait is longer by the time until it goes on, and no more"


PILOT = Pilot(cpu_per_call_us=3000)  # a handicap that no noise hides


def by_turns(**values):
    (one,) = plan_compare(**{"vus": 5, "duration_s": 1, "warmup_s": 0.4, **values}).block(0)
    return undisturbed(piloted(one, PILOT), also=("busy cores", "late turns"))


def test_a_trial_by_turns_counts_every_call_and_gives_each_server_its_own_time():
    result = by_turns()
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]
    assert 0.7 < sum(one.own_s for one in result.served) <= 1, "the rest is for stopping"
    assert own_flags(result) <= {"generator limited", "unsaturated", "late turns", "warm-up too short"}
    for row in rows(result, complete=True):
        assert row["throughput_rps"] == pytest.approx(row["acknowledged"] / row["own_s"])
        assert row["p50_ms"] is None


def test_by_turns_a_device_serves_no_more_commits_than_its_server_has_time_for():
    sync_us = 4000
    result = by_turns(a=f"mutex?sync_us={sync_us}", b=f"inputQ?sync_us={sync_us}", duration_s=3, vus=4)
    assert result.alike is None, "who is busy would pay for a layout alike, and who waits would not"
    for one in result.served:
        assert 1 <= one.calls.acknowledged <= one.own_s * 1e6 / sync_us + 1
        assert one.section.commit_us.p50 == pytest.approx(sync_us, rel=0.3)
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]


def test_a_killed_watchdog_ends_the_trial_and_leaves_nothing_running_or_stopped(descendants):
    import threading

    before = descendants(os.getpid())

    def strike():
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = [pid for pid in descendants(os.getpid()) if "programs/turns.py" in command_of(pid)]
            if found:
                time.sleep(0.3)
                os.kill(found[0], signal.SIGKILL)
                return
            time.sleep(0.02)

    striking = threading.Thread(target=strike)
    striking.start()
    with pytest.raises(LoadError, match="the watchdog of the turns ended"):
        by_turns(duration_s=3)
    striking.join()
    assert descendants(os.getpid()) <= before
