import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.paired import Pilot, piloted
from perfkit.design.plan import Load
from perfkit.record.rows import rows
from perfkit.record.validity import flags
from perfkit.rig import trial
from perfkit.rig.host import usable_cpus
from tests.support.plans import plan_compare, solo
from tests.support.processes import descendants
from tests.support.trials import measure, own_flags

pytestmark = pytest.mark.load

MUTEX = parse_arm("mutex", 10)


def closed(**load):
    return solo(MUTEX, Load(**{"vus": 5, "warmup_s": 0.4, "duration_s": 1, **load}), block=3)


@pytest.mark.parametrize("arm", ["mutex", "inputQ", pytest.param("mutex?workers=1", marks=pytest.mark.full)])
def test_a_closed_trial_counts_every_call_once(arm):
    result = measure(solo(parse_arm(arm, 10), Load(5, 0.4, 1)))
    assert own_flags(result) == set()
    (served,) = result.served
    assert served.final_count == served.calls.acknowledged_total >= served.calls.acknowledged > 0
    (flat,) = rows(result, complete=True)
    longest_s = flat["latency_max_ms"] / 1e3
    assert 0 < flat["in_flight"] <= 5 * (1 + longest_s / result.trial.load.duration_s), "calls that began in the window"
    assert flat["cpu_per_call_us"] > 0
    assert flat["server_peak_rss_mb"] > 10
    assert served.usage.window_s > 0


@pytest.mark.full
def test_an_open_trial_offers_its_rate_or_says_what_it_dropped():
    result = measure(closed(rate=50, vus=60))
    (served,) = result.served
    offered = served.calls.sent_total + served.calls.dropped_total
    assert 0 < offered <= 50 * 1.4 + 3, "ticks of a rate, in warm-up and window"


@pytest.mark.full
def test_an_offer_over_capacity_drops_iterations_and_says_so():
    result = measure(closed(rate=50_000, vus=5))
    assert result.served[0].calls.dropped_total > 0
    assert "dropped iterations" in flags(result)


@pytest.mark.full
def test_connecting_in_every_iteration_is_a_load_of_its_own():
    result = measure(closed(connect_per_iteration=True))
    (served,) = result.served
    assert served.calls.late_connections > 0
    assert abs(served.calls.late_connections - served.calls.acknowledged) <= 5, "a connection a call, but at the edges"
    assert own_flags(result) == set()
    assert served.final_count == served.calls.acknowledged_total


def test_server_and_k6_are_kept_on_cores_of_their_own_where_there_are_two_and_nothing_is_left_running():
    before, placement = descendants(), trial.place(pin=True)
    assert trial.place(pin=False) == trial.Placement()
    result = measure(closed())
    assert descendants() <= before
    if len(usable_cpus()) < 2:
        assert placement == trial.Placement()
    else:
        assert len(placement.server) == 1
        assert placement.generator
        assert not set(placement.server) & set(placement.generator)
        assert [result.served[0].usage.cpus, result.generators[0].usage.cpus] == [placement.server, placement.generator]


@pytest.mark.full
def test_a_joint_trial_loads_all_servers_at_once_and_counts_each():
    (joint,) = plan_compare(method="joint", vus=5, duration_s=1, warmup_s=0.5).block(0)
    result = measure(piloted(joint, Pilot(cpu_per_call_us=3000)))
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]
    assert all(one.calls.acknowledged > 0 for one in result.served)
    assert own_flags(result) == set()
    assert sorted(seat.role for seat in result.trial.seats) == ["a", "aa", "b", "handicap"]
