import pandas as pd
import pytest

from perfkit.analysis import comparison, controls
from perfkit.analysis.comparison import NOT_TRUSTED
from perfkit.show import words
from tests.support.comparisons import NO_SOLO, PLAN, alone, answer, joint
from tests.support.plans import plan_compare


def judged(paired, solo=NO_SOLO):
    return controls.judge(PLAN, paired, solo)


@pytest.mark.slow
def test_good_controls_hardly_ever_fail_and_a_biased_instrument_nearly_always_does():
    good = [judged(joint(blocks=10, seed=seed))["aa"].ok for seed in range(300)]
    biased = [judged(joint(blocks=10, seed=seed, aa=1.02))["aa"].ok for seed in range(300)]
    assert sum(good) >= 299
    assert sum(biased) <= 6


@pytest.mark.parametrize(("effect", "ok"), [(1.12, True), (1.14, True), (1.10, True), (1.30, False), (1.01, False)])
def test_the_handicap_is_judged_against_solo_trials_of_it_too(effect, ok):
    told = comparison.answer(PLAN, joint(handicap=1.12), alone(handicap=effect, sd=0.005))
    assert told.controls["handicap"].ok == ok
    assert "in solo trials it cost +" in words.control_sentence(told.controls["handicap"])
    assert (told.verdict == NOT_TRUSTED) != ok


@pytest.mark.full
def test_solo_trials_too_noisy_to_contradict_the_handicap_do_not_fail_it():
    fails = [not judged(joint(seed=seed), alone(sd=0.06, seed=1000 + seed))["handicap"].ok for seed in range(200)]
    assert sum(fails) <= 10  # at most the 1 in 20 of its interval


def test_solo_trials_at_an_offered_rate_have_another_cost_and_do_not_judge_the_handicap():
    plan = plan_compare(method="joint", solo=True, rate=100)
    assert comparison.answer(plan, joint(), alone(handicap=1.5, sd=0.005)).controls["handicap"].ok


def test_a_foreign_a_has_its_handicap_compared_with_the_yardstick():
    table = alone(handicap=1.12, sd=0.001)
    yardstick = table[table["role"] == "a"].assign(role="yardstick")
    table.loc[table["role"] == "a", "cpu_per_call_us"] *= 7
    told = comparison.answer(PLAN, joint(), pd.concat([table, yardstick]))
    assert told.solo["handicap"].ratio == pytest.approx(1.12, rel=0.01)


def test_what_the_aa_control_can_miss_is_said():
    assert "A bias of up to 1." in words.control_sentence(answer().controls["aa"])


def test_a_handicap_that_costs_far_more_than_was_burned_fails():
    """10 µs burned and 47 µs more: something else is measured."""
    control = judged(joint(handicap=1.47))["handicap"]
    assert not control.ok
    assert "not more than 3 times that and 3 µs" in words.control_sentence(control)
    assert judged(joint(handicap=1.18))["handicap"].ok


def test_handicaps_of_two_sizes_are_judged_each_by_what_it_burned():
    table = joint(blocks=12, handicap=1.12)
    small = (table["role"] == "handicap") & (table["block"] % 2 == 1)
    table.loc[small, "cpu_per_call_us"] *= 1.035 / 1.12
    table.loc[small, "burn_us"] = 2
    table.loc[small, "role"] = "small handicap"
    checks = judged(table)
    assert [(name, one.burn_us) for name, one in checks.items()] == [
        ("aa", None),
        ("handicap", 10),
        ("small handicap", 2),
    ]
    assert all(one.ok for one in checks.values())
    assert checks["small handicap"].result.ratio == pytest.approx(1.035, rel=0.01)
    assert checks["small handicap"].result.blocks == 6
