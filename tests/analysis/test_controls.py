import pandas as pd
import pytest

from perfkit.analysis import comparison, controls
from perfkit.analysis.comparison import NOT_TRUSTED
from perfkit.show import words
from tests.analysis.test_comparison import NO_SOLO, PLAN, alone, answer, joint
from tests.conftest import plan_compare


def judged(paired, solo=NO_SOLO):
    return controls.judge(PLAN, controls.by_block(paired), controls.by_block(solo))


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
