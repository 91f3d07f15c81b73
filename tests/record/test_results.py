import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.design.arms import Arm
from perfkit.design.factors import FACTORS
from perfkit.design.plan import Load
from perfkit.record.calls import Calls, Distribution, enough_samples
from perfkit.record.merging import merged_calls
from perfkit.record.results import Clock, Generating, Served, TrialResult, Usage
from perfkit.record.rows import columns, rows
from perfkit.record.validity import flags
from tests.support.plans import plan_compare, solo

MUTEX = Arm("threads", "mutex", 10)
(JOINT,) = plan_compare(method="joint").block(0)


def row(made):
    (one,) = rows(made, complete=True)
    return one


def test_a_result_survives_json(result):
    made = result(failed_by_status={"4": 2})
    assert TrialResult.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    ("percentile", "least"), [(50, 14), (95, 133), (99, 662), (99.9, 6620), (99.99, 66200), (100, 0)]
)
def test_a_percentile_needs_its_tail(percentile, least):
    assert enough_samples(percentile, least)
    assert least == 0 or not enough_samples(percentile, least - 1)


def test_a_good_trial_has_no_flags(result):
    assert flags(result()) == ()
    assert row(result())["valid"]


@pytest.mark.parametrize(
    ("changes", "flag", "valid"),
    [
        ({"final_count": 1999}, "lost update", False),
        ({"final_count": 2001}, "lost update", False),
        ({"failed_by_status": {"14": 3}, "sent_total": 2003}, "failures", False),
        ({"failed_by_status": {"connect": 1}}, "failures", False),
        ({"acknowledged": 0}, "failures", False),
        ({"sent_total": 2001}, "cut off", False),
        ({"k6_cpu_s": 0.91}, "generator limited", True),
        ({"window_s": 1.06}, "paused", False),
        ({"window_s": 0.94}, "paused", False),
        ({"dropped_total": 1}, "dropped iterations", True),
        ({"late_connections": 1}, "warm-up too short", True),
    ],
)
def test_what_makes_a_trial_say_less_is_flagged(result, changes, flag, valid):
    made = result(**changes)
    assert flag in flags(made)
    assert row(made)["valid"] is valid


def test_a_call_cut_off_or_timed_out_may_have_been_applied_or_not(result):
    for final_count in (2000, 2001, 2002):
        made = result(final_count=final_count, sent_total=2002, failed_by_status={"4": 1})
        assert "lost update" not in flags(made)
    assert "lost update" in flags(result(final_count=2003, sent_total=2002, failed_by_status={"4": 1}))


def test_connections_inside_the_window_are_as_planned_where_each_iteration_connects(result):
    trial = solo(MUTEX, Load(10, 1, 1, connect_per_iteration=True))
    assert flags(result(trial, late_connections=1000)) == ()


@given(st.integers(0, 10**6), st.integers(0, 10**3), st.integers(0, 10**3), st.integers(-5, 10**3))
def test_a_count_is_believed_between_acknowledged_and_sent_and_nowhere_else(acknowledged, failed, cut_off, above):
    nothing = Distribution(0, None, None, None, {})
    calls = Calls(1, {"14": failed}, acknowledged, 1, acknowledged + failed + cut_off, 0, 0, 0, 0, nothing, nothing)
    served = Served(calls, acknowledged + above, Usage(1, 1, (), 1))
    made = TrialResult(solo(MUTEX, Load(1, 1, 1)), 0, "", 2.0, (served,), (Generating(Usage(0.1, 1, (), 1), 1),))
    assert ("lost update" not in flags(made)) == (0 <= above <= failed + cut_off)


def test_rates_are_counts_over_the_window(result):
    trial = solo(MUTEX, Load(10, warmup_s=1, duration_s=4))
    flat = row(result(trial, cpu_s=0.5))
    assert flat["throughput_rps"] == 250
    assert flat["cpu_per_call_us"] == pytest.approx(0.5 / 250 * 1e6)
    assert flat["in_flight"] == pytest.approx(250 * 1.2e-3)


def test_every_column_is_defined_in_words_and_every_factor_is_a_column(result):
    assert list(columns()) == list(row(result()))
    for name, factor in FACTORS.items():
        assert columns()[name] == factor.definition
    for name, definition in columns().items():
        assert len(definition) > 5, name
        for unit, word in (("_ms", "ms"), ("_mb", "MB"), ("_us", "µs"), ("_bytes", "bytes")):
            if name.endswith(unit):
                assert word in definition, name


def test_a_joint_trial_has_a_row_a_server_and_shares_that_add_up(result):
    made = rows(result(JOINT, cpu_s=(0.2, 0.2, 0.2, 0.4)), complete=True)
    assert [one["role"] for one in made] == [seat.role for seat in JOINT.seats]
    assert [one["share"] for one in made] == [0.2, 0.2, 0.2, 0.4]
    assert "unequal shares" in made[0]["flags"]


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"cpu_s": (0.25, 0.25, 0.25, 0.28)}, "unequal shares"),
        ({"cpu_s": 0.2}, "unsaturated"),
        ({"cpu_s": 0.25, "k6_cpu_s": 0.95}, "generator limited"),
    ],
)
def test_a_joint_trial_that_says_less_is_flagged_and_still_counts(result, changes, flag):
    made = result(JOINT, **changes)
    assert flags(made) == (flag,)
    assert all(one["valid"] for one in rows(made, complete=True))
    assert flags(result(JOINT, cpu_s=0.25)) == ()


def test_a_process_that_used_no_cpu_is_not_the_one_that_serves(result):
    made = result(JOINT, cpu_s=(0.25, 0.25, 0.0, 0.25))
    assert "not the server" in flags(made)
    assert not any(one["valid"] for one in rows(made, complete=True))


def test_one_server_that_loses_an_update_takes_the_whole_joint_trial(result):
    made = result(JOINT, cpu_s=0.25)
    lost = replace(made, served=(replace(made.served[0], final_count=1), *made.served[1:]))
    assert flags(lost) == ("lost update",)
    assert not any(one["valid"] for one in rows(lost, complete=True))


def test_only_a_solo_trial_has_latency(result):
    """In a joint trial it would be the neighbours' turns."""
    names = [name for name in columns() if name.startswith(("p50", "latency_", "iteration_", "in_flight"))]
    assert all(row(result())[name] is not None for name in names if "p99" not in name)
    assert all(one[name] is None for one in rows(result(JOINT, cpu_s=0.25), complete=True) for name in names)


def test_a_server_that_had_no_turn_in_the_window_can_be_read_and_does_not_count(result):
    (trial,) = plan_compare(turn_ms=250).block(0)
    made = result(trial, cpu_s=0.25, acknowledged=0)
    idle = replace(made, served=tuple(replace(one, own_s=0.0) for one in made.served))
    assert [one["throughput_rps"] for one in rows(idle, complete=True)] == [0.0] * 4
    assert not any(one["valid"] for one in rows(idle, complete=True))


def of_hosts(result, error_ms=0.5, p50_ms=(1.0, 1.1)):
    """A solo trial whose generators had hosts of their own."""
    made = result()
    (generator,) = made.generators
    several = tuple(
        replace(generator, host=f"g{number}", clock=Clock(3000.0, error_ms), late_start_ms=number / 2, p50_ms=(seen,))
        for number, seen in enumerate(p50_ms)
    )
    return replace(made, generators=several, server_clock=Clock(-1.0, 0.2))


def test_a_trial_on_several_hosts_is_stored_with_a_record_of_each_and_told_in_columns(result):
    made = of_hosts(result)
    assert TrialResult.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    told = row(made)
    assert told["generator_hosts"] == "g0; g1"
    assert told["generator_cores"] == pytest.approx(2 * row(result())["generator_cores"])
    assert (told["clock_error_ms"], told["start_spread_ms"]) == (0.5, 0.5)
    assert flags(made) == flags(result())


def test_a_trial_of_before_there_were_several_generators_is_read(result):
    data = result().to_dict()
    (generator,) = data.pop("generators")
    old = {**data, "generator": generator["usage"], "generator_cores_available": 1}
    assert TrialResult.from_dict(json.loads(json.dumps(old))) == result()


def test_clocks_that_are_apart_void_a_trial_and_hosts_that_differ_are_told(result):
    apart = of_hosts(result, error_ms=11)  # of a window of one second
    assert "clocks apart" in flags(apart)
    assert not row(apart)["valid"]
    differing = of_hosts(result, p50_ms=(1.0, 1.3))
    assert "hosts differ" in flags(differing)
    assert row(differing)["valid"]


def test_what_is_not_known_of_a_server_is_missing(result):
    made = result()
    (served,) = made.served
    told = row(replace(made, served=(replace(served, final_count=None, usage=None),)))
    assert "count not proven" in told["flags"]
    assert told["valid"]
    for name in ("final_count", "server_cpu_s", "cpu_per_call_us", "server_peak_rss_mb"):
        assert told[name] is None


def test_what_several_generators_counted_of_a_server_adds_up(result):
    calls = result().served[0].calls
    broken = replace(calls, failed_by_status={"14": 2}, data_sent_bytes=None, acknowledged=7)
    both = merged_calls([calls, broken], ["50"])
    assert (both.acknowledged, both.failed_by_status, both.data_sent_bytes) == (1007, {"14": 2}, 60_000)
    assert both.latency.count == 2 * calls.latency.count
    low, high = both.latency.brackets_ms["50"]
    assert low <= both.latency.at("50") <= high
