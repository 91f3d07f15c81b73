import math

import numpy as np
import pandas as pd
import pytest

from perfkit.analysis import levels
from perfkit.analysis.verdict import CHEAPER, DEARER, NO_RELEVANT, NOT_KNOWN
from perfkit.show import levels as shown

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
                             "throughput_rps": 1e6 / cost, "complete": True, "valid": True, "flags": ""})  # fmt: skip
    return pd.DataFrame(rows)


def judged(*arguments, **options):
    return levels.judge(table(*arguments, **options), "cpu_per_call_us", B, A)


def test_each_level_has_a_verdict_and_levels_that_differ_are_found():
    found = judged((1.08, 1.0, 1.0, 0.94, 0.94), blocks=20)
    assert found.verdicts == (DEARER, NO_RELEVANT, NO_RELEVANT, CHEAPER, CHEAPER)
    assert found.turns
    assert [one.levels for one in found.ratios] == [(vus,) for vus in VUS]
    told = table((1.08, 1.0, 1.0, 0.94, 0.94), blocks=20)
    assert "inputQ: CPU per call turns with the number of VUs, from -" in shown.turning(told, shown.judged(told))
    first = next(line for line in shown.table_lines(told, shown.judged(told)) if line.startswith("| 10 | inputQ | +"))
    assert "| dearer |" in first
    assert first.endswith("| serves less |")
    alike = table((1.0,) * 5)
    assert shown.turning(alike, shown.judged(alike)) == ""
    assert any("Levels differ by no more than chance" in line for line in shown.table_lines(alike, shown.judged(alike)))
    assert judged((1.0,) * 5, sd=0.2, seed=2).verdicts == (NOT_KNOWN,) * 5


def test_over_all_levels_a_false_alarm_is_as_rare_as_promised():
    """300 sweeps of equal arms: at most 1 in 20, within two standard errors, calls any level dearer or cheaper."""
    found = [judged((1.0,) * 5, seed=seed) for seed in range(300)]
    assert sum(bool({DEARER, CHEAPER} & set(one.verdicts)) for one in found) <= 22
    assert sum(one.turns for one in found) <= 22


def test_equivalence_is_hardly_ever_claimed_at_the_margin():
    wrong = [NO_RELEVANT in judged((1.03,) * 5, seed=seed).verdicts for seed in range(300)]
    assert sum(wrong) <= 22


def test_levels_that_differ_by_4_pct_are_found_4_times_out_of_5():
    found = [judged((1.02, 1.02, 1.0, 0.98, 0.98), seed=seed).turns for seed in range(200)]
    assert sum(found) >= 160


@pytest.mark.parametrize("shape", [(1, 3), (5, 1)])
def test_one_block_or_one_level_does_not_tell_whether_levels_differ(shape):
    assert levels.differ_p(pd.DataFrame(np.ones(shape))) is None


def test_values_without_noise_are_told_apart():
    assert levels.differ_p(pd.DataFrame([[0.0, 0.1]] * 4)) == 0.0
    assert levels.differ_p(pd.DataFrame([[0.1, 0.1]] * 4)) == 1.0
