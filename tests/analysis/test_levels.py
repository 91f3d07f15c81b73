import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from perfkit.analysis import levels
from perfkit.analysis.verdict import CHEAPER, DEARER, NO_RELEVANT, NOT_KNOWN
from perfkit.show import levels as shown
from tests.support.plans import plan_sweep

A, B = "threads/mutex?workers=10", "threads/inputQ?workers=10"
PATTERN = {A: "mutex", B: "inputQ"}
VUS = (10, 100, 200, 300, 500)


def table(ratios, blocks=12, sd=0.015, seed=1):
    """A sweep whose true ratios are known, one a level; a block moves all of its trials alike."""
    random = np.random.default_rng(seed)
    rows = []
    for block in range(blocks):
        for vus, ratio in zip(VUS, ratios, strict=True):
            speed = math.exp(random.normal(0, 0.1))
            for arm, true in ((A, 1.0), (B, ratio)):
                cost = 100 * speed * true * math.exp(random.normal(0, sd / math.sqrt(2)))
                rows.append({"block": block, "vus": vus, "arm": arm, "pattern": PATTERN[arm], "cpu_per_call_us": cost,
                             "throughput_rps": 1e6 / cost, "role": "a" if arm == A else "b", "burn_us": 0})  # fmt: skip
    return pd.DataFrame(rows).assign(
        complete=True, valid=True, flags="", method="turns", rate=None, own_s=1.0, server_cpu_s=1.0, attempt=0,
        took_s=3.0, server_cpu_list="0", in_flight=1.0,
    )  # fmt: skip


def answer(ratios, **options):
    """What a sweep by turns says, its controls as they should be."""
    trials = table(ratios, **options)
    controls = [
        trials[(trials["arm"] == A) & (trials["block"] % 2 == odd)].assign(role=role, burn_us=burn)
        for odd, role, burn in ((0, "aa", 0), (1, "handicap", 7))
    ]
    random = np.random.default_rng(9)
    for one, factor in zip(controls, (1.0, 1.1), strict=True):
        one["cpu_per_call_us"] *= factor * np.exp(random.normal(0, 0.01, len(one)))
    return levels.answer(plan_sweep(vus=list(VUS)), pd.concat([trials, *controls]), trials.iloc[:0])


def judged(*arguments, **options):
    return levels.judge(table(*arguments, **options), "cpu_per_call_us", B, A)


def test_each_level_has_a_verdict_and_levels_that_differ_are_found():
    found = judged((1.08, 1.0, 1.0, 0.94, 0.94), blocks=20)
    assert found.verdicts == (DEARER, NO_RELEVANT, NO_RELEVANT, CHEAPER, CHEAPER)
    assert found.turns
    assert [one.levels for one in found.ratios] == [(vus,) for vus in VUS]
    assert found.together is None, "one number for all would mislead"
    told = answer((1.08, 1.0, 1.0, 0.94, 0.94), blocks=20)
    said = shown.sentence(told)
    assert said.startswith("Whether inputQ costs more or less CPU per call than mutex changes with the number of VUs: ")
    assert "dearer at 10 VUs (+" in said
    assert "cheaper at 300 and 500 VUs (-" in said
    assert "under k6, by turns, 20 blocks" in said
    assert said.endswith("Another load generator may reverse a difference of a few per cent (docs/generators.md).")
    first = next(line for line in shown.table_lines(told) if line.startswith("| 10 | inputQ | +"))
    assert "| dearer |" in first
    assert first.endswith("| serves less |")
    assert judged((1.0,) * 5, sd=0.2, seed=2).verdicts == (NOT_KNOWN,) * 5


@pytest.mark.parametrize(
    ("ratio", "sd", "said"),
    [
        (1.2, 0.015, "inputQ costs more CPU per call than mutex: +"),
        (0.8, 0.015, "inputQ costs less CPU per call than mutex: -"),
        (1.0, 0.01, "No relevant difference: inputQ and mutex differ in CPU per call by less than 3 %"),
        (1.02, 0.002, "by less than 3 %, and inputQ costs more CPU per call: +2"),
        (1.0, 0.3, "Not known yet whether inputQ and mutex differ in CPU per call by more than 3 %"),
    ],
)
def test_levels_that_agree_say_one_thing_together(ratio, sd, said):
    told = answer((ratio,) * 5, sd=sd)
    assert said in shown.sentence(told)
    where = (
        "on average over 10, 100, 200, 300 and 500 VUs, which were not shown to differ, under k6, by turns, 12 blocks"
    )
    assert where in shown.sentence(told)
    assert any("Levels differ by no more than chance" in line for line in shown.table_lines(told))


def test_controls_speak_for_all_levels_and_one_that_fails_takes_the_answer():
    told = answer((1.1,) * 5)
    assert {role: control.ok for role, control in told.controls.items()} == {"aa": True, "handicap": True}
    assert {control.result.blocks for control in told.controls.values()} == {6}
    assert [line.split(":")[0] for line in shown.control_lines(told)] == [
        "- Over all levels, the A/A control passed", "- Over all levels, the handicap control passed"
    ]  # fmt: skip
    broken = {**told.controls, "aa": replace(told.controls["aa"], ok=False)}
    assert shown.sentence(replace(told, controls=broken)).startswith("The instrument is not trusted here: the same arm")


def test_others_are_compared_with_the_arm_that_was_named_first():
    trials = table((1.2,) * 5)
    swapped = trials.assign(role=trials["role"].map({"a": "b", "b": "a"}))
    told = levels.answer(plan_sweep(vus=list(VUS)), swapped, trials.iloc[:0])
    assert (told.baseline, list(told.over)) == (B, [A])
    assert shown.sentence(told).startswith("mutex costs less CPU per call than inputQ: -1")


def test_throughput_gives_no_verdict_where_servers_waited_for_their_load():
    trials = table((0.97,) * 5, sd=0.002).assign(server_cpu_s=0.9)
    told = levels.answer(plan_sweep(vus=list(VUS)), trials, trials.iloc[:0])
    assert shown.sentence(told, levels.THROUGHPUT).startswith("No verdict on throughput of inputQ: the servers waited")
    assert not shown.sentence(told).startswith("No verdict")
    assert any(line.endswith("| the servers waited |") for line in shown.table_lines(told))


@pytest.mark.slow
def test_over_all_levels_a_false_alarm_is_as_rare_as_promised():
    """300 sweeps of equal arms: at most 1 in 20, within two standard errors, calls any level dearer or cheaper."""
    found = [judged((1.0,) * 5, seed=seed) for seed in range(300)]
    assert sum(bool({DEARER, CHEAPER} & set(one.verdicts)) for one in found) <= 22
    assert sum(one.turns for one in found) <= 22


@pytest.mark.full
def test_equivalence_is_hardly_ever_claimed_at_the_margin():
    wrong = [NO_RELEVANT in judged((1.03,) * 5, seed=seed).verdicts for seed in range(300)]
    assert sum(wrong) <= 22


@pytest.mark.full
def test_levels_that_differ_by_4_pct_are_found_4_times_out_of_5():
    found = [judged((1.02, 1.02, 1.0, 0.98, 0.98), seed=seed).turns for seed in range(200)]
    assert sum(found) >= 160


@pytest.mark.parametrize("shape", [(1, 3), (5, 1)])
def test_one_block_or_one_level_does_not_tell_whether_levels_differ(shape):
    assert levels.differ_p(pd.DataFrame(np.ones(shape))) is None


def test_values_without_noise_are_told_apart():
    assert levels.differ_p(pd.DataFrame([[0.0, 0.1]] * 4)) == 0.0
    assert levels.differ_p(pd.DataFrame([[0.1, 0.1]] * 4)) == 1.0


def broken(flag, method="turns"):
    """A sweep of which block 3 at 100 VUs is void."""
    trials = table((1.1,) * 5).assign(method=method)
    trials.loc[(trials["block"] == 3) & (trials["vus"] == 100), ["valid", "flags"]] = [False, flag]
    return trials


def test_a_block_in_which_the_machine_stood_still_is_out_and_not_its_level():
    found = levels.judge(broken("paused; stolen time"), "cpu_per_call_us", B, A)
    assert {one.levels[0]: one.blocks for one in found.ratios} == {**dict.fromkeys(VUS, 12), 100: 11}


@pytest.mark.parametrize("trials", [broken("lost update"), broken("failures; paused"), broken("paused", "solo")])
def test_what_a_server_did_takes_the_whole_level(trials):
    assert [one.levels[0] for one in levels.judge(trials, "cpu_per_call_us", B, A).ratios] == [10, 200, 300, 500]


def test_a_level_without_a_number_is_said():
    told = levels.answer(plan_sweep(vus=list(VUS)), broken("lost update"), table((1.0,) * 5).iloc[:0])
    assert shown.sentence(told).endswith(" At 100 VUs it has no number: trials there don't count.")
    assert "| 100 | inputQ | no verdict |  | no verdict |  |" in "\n".join(shown.table_lines(told))


def test_a_level_of_one_block_that_stood_still_has_no_number():
    trials = table((1.1,) * 5, blocks=1).assign(valid=False, flags="paused")
    told = levels.answer(plan_sweep(vus=list(VUS)), trials, trials.iloc[:0])
    assert "No verdict on CPU per call" in shown.sentence(told)
