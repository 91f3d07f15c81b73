import math
from dataclasses import replace

import numpy as np
from scipy import stats

from perfkit.analysis import stopping
from perfkit.analysis.stopping import FIRST_STAGE
from tests.conftest import plan_compare, plan_sweep

PLAN = plan_compare()


def test_the_interval_holds_its_level_under_the_stop_rule():
    """Whole comparisons on a known truth: the rule looks at the data to decide when to stop."""
    plan = plan_compare(budget_s=1e9, precision_pct=1.0)
    hits, lengths, studies = 0, [], 2000
    random = np.random.default_rng(1)
    for _ in range(studies):
        logs = random.normal(math.log(1.02), 0.015, 400)
        needed = stopping.needed(plan, logs.tolist())
        ended = logs[: max(FIRST_STAGE, int(needed))].tolist()
        found = stopping.primary(plan, ended)
        hits += found.low <= 1.02 <= found.high
        lengths.append(len(ended))
        assert math.log(found.high / found.low) / 2 <= math.log1p(0.01) * 1.0001 or len(ended) == 400
    assert 0.937 <= hits / studies <= 0.963  # 95 % within 2.7 standard errors
    assert len(set(lengths)) > 5, "the rule never had to decide"


def test_stopping_when_a_plain_interval_looks_narrow_would_not_hold_its_level():
    """Why the rule has two stages: the obvious one stops at spreads that are small by chance."""
    hits, studies = 0, 2000
    random = np.random.default_rng(2)
    for _ in range(studies):
        logs = random.normal(0, 0.015, 60)
        for count in range(3, 61):
            reach = stats.t.ppf(0.975, count - 1) * logs[:count].std(ddof=1) / math.sqrt(count)
            if reach <= 0.01:
                break
        hits += abs(logs[:count].mean()) <= reach
    assert hits / studies < 0.937


def results(result, count, *, sd=0.005, seed=0, took_s=4.0, plan=PLAN):
    random = np.random.default_rng(seed)
    made = []
    for block in range(count):
        (trial,) = plan.block(block)
        costs = tuple(0.25 * math.exp(random.normal(0, sd)) for _ in trial.seats)
        made.append(result(trial, cpu_s=costs, took_s=took_s))
    return made


def test_a_comparison_goes_on_until_it_is_as_narrow_as_wanted(result):
    steady = [stopping.is_over(PLAN, results(result, count)) for count in range(1, 12)]
    assert steady == [False] * 7 + [True] * 4  # the first stage is enough
    noisy = [stopping.is_over(PLAN, results(result, count, sd=0.012)) for count in range(1, 30)]
    first = noisy.index(True) + 1
    assert first > FIRST_STAGE
    assert noisy[first - 1 :] == [True] * (29 - first + 1)


def test_the_budget_ends_a_comparison_but_never_before_six_blocks(result):
    plan = plan_compare(precision_pct=0.0, budget_s=40.0)
    assert [stopping.is_over(plan, results(result, count)) for count in (5, 6, 9, 10)] == [
        False, False, False, True
    ]  # fmt: skip
    tight = plan_compare(precision_pct=0.0, budget_s=1.0)
    assert [stopping.is_over(tight, results(result, count)) for count in (5, 6)] == [False, True]


def test_trials_that_do_not_count_do_not_decide(result):
    lost = [replace(one, served=(replace(one.served[0], final_count=1), *one.served[1:]))
            for one in results(result, 8)]  # fmt: skip
    assert not stopping.is_over(PLAN, lost)


def test_a_sweep_ends_after_its_blocks(result):
    plan = plan_sweep(vus="5", repeats=3)
    done = [result(trial) for block in range(3) for trial in plan.block(block)]
    assert [stopping.is_over(plan, done[: 2 * blocks]) for blocks in range(4)] == [False, False, False, True]
