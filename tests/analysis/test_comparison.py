import math
from dataclasses import replace

import numpy as np
import pytest

from perfkit.analysis import comparison, statistics
from perfkit.analysis.comparison import A_DEARER, B_DEARER, NO_RELEVANT, NOT_KNOWN, NOT_TRUSTED
from perfkit.record.load import load
from perfkit.record.validity import FLAGS
from perfkit.show import words
from tests.support.comparisons import NO_SOLO, PLAN, alone, answer, by_turns, joint, primary
from tests.support.plans import plan_compare


@pytest.mark.parametrize(
    ("options", "verdict", "text"),
    [
        ({"ratio": 1.10}, B_DEARER, "inputQ costs more CPU per call than mutex: +9.9 % (95 % interval +9.3 % to"),
        ({"ratio": 0.90}, A_DEARER, "inputQ costs less CPU per call than mutex: -10.1 %"),
        ({"ratio": 1.00}, NO_RELEVANT, "inputQ and mutex differ by less than 3 % in CPU per call"),
        ({"ratio": 1.015}, NO_RELEVANT, "and inputQ is the dearer"),
        ({"ratio": 1.00, "sd": 0.08}, NOT_KNOWN, "s more should tell"),
        ({"aa": 1.03}, NOT_TRUSTED, "The instrument is not trusted here: the same arm again costs +"),
        ({"handicap": 1.0}, NOT_TRUSTED, "10 µs burned in each call cost"),
        ({"handicap": 0.9}, NOT_TRUSTED, "wanted: detected"),
        ({"handicap": 1.05}, NOT_TRUSTED, "not less than was burned"),
        ({"blocks": 1}, NOT_TRUSTED, "of 1 joint trials, 1 count"),
    ],
)
def test_the_verdict_follows_from_the_interval_the_margin_and_the_controls(options, verdict, text):
    told = answer(**options)
    assert told.verdict == verdict
    assert text in words.sentence(told)
    assert told.is_reached == (verdict not in (NOT_KNOWN, NOT_TRUSTED))


def test_a_difference_beyond_the_margin_with_known_sign_is_told_by_how_much():
    told = answer(ratio=1.035, sd=0.01)  # its interval straddles the margin, and excludes 1
    assert told.verdict == B_DEARER
    assert "95 % interval +" in words.sentence(told)


@pytest.mark.full
def test_a_difference_as_large_as_the_detectable_one_is_found_four_times_out_of_five():
    # Without the check of steadiness, which widens 1 interval in 7 in vain.
    plan = plan_compare(method="joint", precision_pct=0)
    plan = replace(plan, stop=replace(plan.stop, checked=False))
    error = 0.005 * math.sqrt(2 / 20)
    true = 1 + statistics.detectable_pct(error, 19) / 100
    found = 0
    for seed in range(300):
        found += primary(plan, ratio=true, blocks=20, seed=seed).low > 1
    assert 0.73 <= found / 300 <= 0.87


@pytest.mark.slow
def test_no_difference_is_told_as_one_in_about_one_of_twenty_studies():
    differ = [primary(PLAN, ratio=1.0, blocks=8, seed=seed).differs for seed in range(400)]
    assert 0.025 <= sum(differ) / 400 <= 0.08


def test_what_solo_trials_say_of_every_metric():
    told = comparison.answer(PLAN, joint(), alone(ratio=1.25, sd=0.001)).solo
    assert list(told) == ["cpu_per_call", "throughput", "p50", "p95", "p99", "handicap"]
    for name in ("cpu_per_call", "p50", "p95", "p99"):
        assert told[name].ratio == pytest.approx(1.25, rel=0.01)
    assert told["throughput"].ratio == pytest.approx(0.8, rel=0.01)
    assert told["handicap"].ratio == pytest.approx(1.12, rel=0.01)


def test_solo_trials_with_a_limited_generator_keep_only_cpu_per_call_and_are_listed():
    told = comparison.answer(PLAN, joint(), alone(flags="generator limited"))
    assert list(told.solo) == ["cpu_per_call", "handicap"]
    assert any("36 of 48 trials (solo a: block 0, 1, 2" in caveat for caveat in words.caveats(told))
    assert any(caveat.startswith("No verdict on throughput or latency") for caveat in words.caveats(told))


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flagged_trial_is_listed(flag):
    told = comparison.answer(PLAN, joint(flags=flag.name), NO_SOLO)
    assert any(caveat.startswith(flag.sentence) and "12 of 12" in caveat for caveat in words.caveats(told))


def test_a_machine_that_changed_in_mid_run_is_told():
    changed = joint(drift=0.0)
    changed.loc[changed["block"] >= 6, "cpu_per_call_us"] *= 1.5
    assert any(
        "1.50 times as much in the second half" in one
        for one in words.caveats(comparison.answer(PLAN, changed, NO_SOLO))
    )
    assert not any("changed in mid-run" in one for one in words.caveats(answer(drift=0.0)))


def test_the_interval_is_followed_over_time():
    steps = comparison.narrowing(PLAN, joint(blocks=5))
    assert [spent for spent, _ in steps] == [8.0, 12.0, 16.0, 20.0]
    assert [one.blocks for _, one in steps] == [2, 3, 4, 5]


def test_solo_trials_are_followed_over_the_time_of_both_their_arms():
    steps = comparison.narrowing(PLAN, alone(blocks=4))
    assert [spent for spent, _ in steps] == [12.0, 18.0, 24.0]
    wide = alone(blocks=4).pivot_table(index="block", columns="role", values="cpu_per_call_us")
    logs = np.log(wide["b"] / wide["a"])
    assert [math.log(one.ratio) for _, one in steps] == pytest.approx([logs[:count].mean() for count in (2, 3, 4)])
    assert comparison.narrowing(PLAN, NO_SOLO) == []


def test_arms_are_called_by_their_patterns_where_only_those_differ():
    assert comparison.names(PLAN) == ("mutex", "inputQ")
    assert comparison.names(plan_compare(b="mutex?workers=4"))[1] == "threads/mutex?workers=4"
    assert comparison.names(plan_compare(b="threads/mutex"))[1] == "the same again"
    assert comparison.names(plan_compare(b="exec:./s {port}"))[1] == "exec:./s {port}"
    builds = plan_compare(a="exec:env ROOT=/old ./s --port {port}", b="exec:env ROOT=/new ./s --port {port}")
    assert comparison.names(builds) == ("exec:ROOT=/old", "exec:ROOT=/new")
    more = plan_compare(a="exec:./s {port}", b="exec:./s --fast {port}")
    assert comparison.names(more) == ("exec without --fast", "exec with --fast"), "one has no word of its own"


def test_a_real_comparison_has_its_controls_and_whole_shares(compared):
    import perfkit

    told = perfkit.answer(compared)
    assert told.blocks >= 1
    assert {"aa", "handicap"} <= set(told.controls)
    assert told.controls["handicap"].burn_us > 0
    joined = load(compared, "turns")
    assert joined.groupby("block")["share"].sum().tolist() == pytest.approx([1.0] * joined["block"].nunique())


def test_two_methods_that_decide_opposite_signs_are_not_trusted_and_both_numbers_are_said():
    answer = comparison.answer(PLAN, joint(ratio=0.97, sd=0.002), alone(ratio=1.05, sd=0.005))
    assert answer.verdict == NOT_TRUSTED
    text = words.sentence(answer)
    assert "two methods contradict each other" in text
    assert "inputQ against mutex costs -3." in text
    assert "in solo trials of the same blocks +" in text
    agreed = comparison.answer(PLAN, joint(ratio=0.97, sd=0.002), alone(ratio=0.97, sd=0.005))
    assert agreed.contradicts is None
    undecided = comparison.answer(PLAN, joint(ratio=0.97, sd=0.002), alone(ratio=1.01, sd=0.05))
    assert undecided.contradicts is None


def test_by_turns_throughput_speaks_unless_k6_was_what_was_measured():
    plan = plan_compare()
    spoken = comparison.answer(plan, by_turns(ratio=1.25, sd=0.001), NO_SOLO)
    assert spoken.throughput.ratio == pytest.approx(0.8, rel=0.01)
    assert comparison.answer(plan, by_turns(flags="generator limited"), NO_SOLO).throughput is None
    assert comparison.answer(PLAN, joint(), NO_SOLO).throughput is None


def test_blocks_that_hang_together_are_not_trusted():
    table = by_turns(blocks=40, sd=0.001, ratio=1.0)
    wave = np.sin(np.arange(40) / 6) * 0.05
    rows = table["role"] == "b"
    table.loc[rows, "cpu_per_call_us"] *= np.exp(wave)
    answer = comparison.answer(plan_compare(), table, NO_SOLO)
    assert answer.verdict == NOT_TRUSTED
    assert "neighbouring blocks are alike (correlation 1." in words.sentence(
        answer
    ) or "correlation 0.9" in words.sentence(answer)


def test_a_spread_that_grew_widens_the_interval_and_is_said():
    table = by_turns(blocks=24, sd=0.003, ratio=1.0, seed=4)
    late = (table["role"] == "b") & (table["block"] >= 8)
    table.loc[late, "cpu_per_call_us"] *= np.exp(np.random.default_rng(5).normal(0, 0.02, late.sum()))
    answer = comparison.answer(plan_compare(), table, NO_SOLO)
    assert any("times as far apart as those; the interval is widened" in one for one in words.caveats(answer))
    assert answer.cpu_per_call.half_width_pct > 0.6
