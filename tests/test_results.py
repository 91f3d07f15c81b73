import json
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.plan import Arm, Load, Trial
from perfkit.results import Row, TrialResult, columns, enough_samples, flags, row


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
    assert row(result(), complete=True).valid


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
        ({"dropped_total": 1}, "dropped iterations", True),
        ({"late_connections": 1}, "warm-up too short", True),
    ],
)
def test_what_makes_a_trial_say_less_is_flagged(result, changes, flag, valid):
    made = result(**changes)
    assert flag in flags(made)
    assert row(made, complete=True).valid is valid


def test_a_call_cut_off_or_timed_out_may_have_been_applied_or_not(result):
    for final_count in (2000, 2001, 2002):
        made = result(final_count=final_count, sent_total=2002, failed_by_status={"4": 1})
        assert "lost update" not in flags(made)
    assert "lost update" in flags(result(final_count=2003, sent_total=2002, failed_by_status={"4": 1}))


def test_connections_inside_the_window_are_as_planned_where_each_iteration_connects(result):
    trial = Trial(0, Arm("threads", "mutex", 10), Load(10, 1, 1, connect_per_iteration=True))
    assert flags(result(trial, late_connections=1000)) == ()


@given(st.integers(0, 10**6), st.integers(0, 10**3), st.integers(0, 10**3), st.integers(-5, 10**3))
def test_a_count_is_believed_between_acknowledged_and_sent_and_nowhere_else(acknowledged, failed, cut_off, above):
    from perfkit.results import Calls, Distribution, Usage

    nothing = Distribution(0, None, None, None, {})
    calls = Calls(1, {"14": failed}, acknowledged, 1, acknowledged + failed + cut_off, 0, 0, 0, 0, nothing, nothing)
    made = TrialResult(
        Trial(0, Arm("threads", "mutex", 10), Load(1, 1, 1)), 0, "", calls, acknowledged + above,
        Usage(1, 1, (), 1), Usage(0.1, 1, (), 1), 1,
    )  # fmt: skip
    assert ("lost update" not in flags(made)) == (0 <= above <= failed + cut_off)


def test_rates_are_counts_over_the_window(result):
    trial = Trial(0, Arm("threads", "mutex", 10), Load(10, warmup_s=1, duration_s=4))
    flat = row(result(trial, cpu_s=0.5), complete=True)
    assert flat.throughput_rps == 250
    assert flat.cpu_per_call_us == pytest.approx(0.5 / 250 * 1e6)
    assert flat.in_flight == pytest.approx(250 * 1.2e-3)


def test_every_column_is_defined_in_words(result):
    assert list(columns()) == [field.name for field in fields(Row)] == list(asdict(row(result(), complete=True)))
    for name, definition in columns().items():
        assert len(definition) > 5, name
        for unit, word in (("_ms", "ms"), ("_mb", "MB"), ("_us", "µs"), ("_bytes", "bytes")):
            if name.endswith(unit):
                assert word in definition, name
