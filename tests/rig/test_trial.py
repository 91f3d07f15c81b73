import os
import signal
import threading
import time
from pathlib import Path

import pytest

from perfkit.design import paired
from perfkit.design.arms import parse_arm
from perfkit.design.paired import Pilot, piloted
from perfkit.design.plan import Load
from perfkit.record.rows import rows
from perfkit.record.validity import flags
from perfkit.rig import trial
from perfkit.rig.host import usable_cpus
from tests.conftest import OF_THE_MINUTE, plan_compare, solo, undisturbed

pytestmark = pytest.mark.load

PILOT = Pilot(cpu_per_call_us=3000)  # a handicap that no noise hides

MUTEX = parse_arm("mutex", 10)


def closed(**load):
    return solo(MUTEX, Load(**{"vus": 5, "warmup_s": 0.4, "duration_s": 1, **load}), block=3)


def own_flags(result):
    """Those that are not of the machine's minute."""
    return set(flags(result)) - OF_THE_MINUTE


def measure(one, pin=True):
    return undisturbed(one, pin=pin)


@pytest.mark.parametrize("arm", ["mutex", "inputQ", "mutex?workers=1"])
def test_a_closed_trial_counts_every_call_once(arm):
    result = measure(solo(parse_arm(arm, 10), Load(5, 0.4, 1)))
    assert own_flags(result) <= {"generator limited"}
    assert (
        result.served[0].final_count
        == result.served[0].calls.acknowledged_total
        > result.served[0].calls.acknowledged
        > 20
    )
    (flat,) = rows(result, complete=True)
    assert flat["in_flight"] == pytest.approx(5, rel=0.25)
    assert 5 < flat["cpu_per_call_us"] < 5000
    assert flat["server_peak_rss_mb"] > 10
    assert 0.5 < result.served[0].usage.window_s < 1.5


def test_an_open_trial_offers_its_rate():
    result = measure(closed(rate=200, vus=60))
    assert result.served[0].calls.acknowledged == pytest.approx(200, rel=0.1)
    assert result.served[0].calls.dropped_total == 0


def test_an_offer_over_capacity_drops_iterations_and_says_so():
    result = measure(closed(rate=50_000, vus=5))
    assert result.served[0].calls.dropped_total > 1000
    assert "dropped iterations" in flags(result)


def test_connecting_in_every_iteration_is_a_load_of_its_own():
    result = measure(closed(connect_per_iteration=True))
    assert result.served[0].calls.late_connections == pytest.approx(result.served[0].calls.acknowledged, rel=0.05)
    assert own_flags(result) <= {"generator limited"}
    assert result.served[0].final_count == result.served[0].calls.acknowledged_total


def test_server_and_k6_are_kept_on_cores_of_their_own_where_there_are_two():
    placement = trial.place(pin=True)
    assert trial.place(pin=False) == trial.Placement()
    if len(usable_cpus()) < 2:
        assert placement == trial.Placement()
    else:
        assert len(placement.server) == 1
        assert placement.generator
        assert not set(placement.server) & set(placement.generator)
        result = measure(closed())
        assert [result.served[0].usage.cpus, result.generators[0].usage.cpus] == [placement.server, placement.generator]


def test_calls_over_the_time_limit_are_counted_and_in_no_latency(descendants, monkeypatch):
    monkeypatch.setattr(paired, "TIMEOUT_S", 0.3)

    def pause():
        time.sleep(1.0)
        (pid,) = [pid for pid in descendants(os.getpid()) if "serve" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(pid, signal.SIGCONT)

    pausing = threading.Thread(target=pause)
    pausing.start()
    result = measure(closed(duration_s=2))
    pausing.join()
    assert result.served[0].calls.failed_by_status.get("4", 0) >= 5
    assert result.served[0].calls.latency.max_ms < 400
    assert "failures" in flags(result)
    assert "lost update" not in flags(result)
    assert not rows(result, complete=True)[0]["valid"]


def test_nothing_is_left_running(descendants):
    before = descendants(os.getpid())
    measure(closed())
    assert descendants(os.getpid()) == before


def test_a_joint_trial_loads_all_servers_at_once_and_counts_each():
    (joint,) = plan_compare(method="joint", vus=5, duration_s=1, warmup_s=0.5).block(0)
    joint = piloted(joint, PILOT)
    result = measure(joint)
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]
    assert all(one.calls.acknowledged > 20 for one in result.served)
    assert own_flags(result) <= {"generator limited", "unequal shares", "unsaturated"}
    cost = {seat.role: one.cpu_per_call_us(joint.load) for seat, one in zip(joint.seats, result.served, strict=True)}
    assert cost["handicap"] > cost["a"]
    assert result.took_s > 1.5
