"""Pooled runs, where the truth is known."""

import math

import numpy as np
import pytest

from perfkit.analysis import statistics, verdict
from perfkit.analysis.several import pooling
from perfkit.analysis.several.pooling import DEPENDS, Run, pool
from perfkit.studies.several.pool import simulated


def run(machine, ratio, half_pct=0.5, blocks=20, name="run"):
    """A run whose blocks' mean and interval are just these."""
    reach = math.log1p(half_pct / 100)
    spread = reach / statistics.quantile(blocks - 1) * math.sqrt(blocks)
    logs = math.log(ratio) + spread * np.array([-1.0, 1.0] * (blocks // 2)) * math.sqrt((blocks - 1) / blocks)
    return Run(name, machine, statistics.from_logs("cpu_per_call_us", "b", "a", [], logs.tolist()))


@pytest.mark.full
def test_the_prediction_holds_the_next_machine_nine_times_of_ten_or_more():
    held = means = 0
    studies = 200
    for seed in range(studies):
        random = np.random.default_rng(1000 + seed)
        found = simulated(machines=5, runs=2, ratio=1.03, between_machines=0.02, seed=seed).pooled
        low, high = found.prediction
        held += low <= 1.03 * math.exp(random.normal(0, 0.02)) <= high
        means += found.together.low <= 1.03 <= found.together.high
    assert held >= 0.9 * studies
    assert means >= 0.9 * studies


def test_machines_that_agree_are_one_answer():
    found = pool([run(f"m{number}", 1.05 + 0.001 * number) for number in range(4)], 3.0)
    assert found.verdict == verdict.DEARER
    assert found.differ_p > 0.05
    assert found.together.ratio == pytest.approx(1.0515, abs=1e-4)


def test_machines_that_contradict_each_other_leave_no_answer_for_all():
    found = pool([run("a", 1.05), run("b", 0.95), run("c", 1.06), run("d", 0.94)], 3.0)
    assert found.verdict == DEPENDS
    assert found.differ_p < 0.001


def test_two_machines_say_nothing_of_the_next_and_one_has_no_spread_of_machines():
    two = pool([run("a", 1.05), run("b", 1.06)], 3.0)
    assert two.prediction is None
    one = pool([run("a", 1.05, name="first"), run("a", 1.052, name="second")], 3.0)
    assert (one.spread_machines, one.differ_p, one.prediction) == (None, None, None)
    assert one.together.runs == 2
    alone = pool([run("a", 1.05)], 3.0)
    assert (alone.together.low, alone.together.high) == pytest.approx(run("a", 1.05).ratio.interval, rel=1e-9)


def test_the_spread_of_a_machines_runs_widens_what_it_knows():
    apart = pool([run("a", 1.02), run("a", 1.08), run("b", 1.05)], 3.0)
    alike = pool([run("a", 1.05), run("a", 1.0501), run("b", 1.05)], 3.0)
    assert apart.spread_runs == pytest.approx(math.log(1.08 / 1.02) / math.sqrt(2), rel=0.1)
    assert alike.spread_runs == 0
    width = [one.machines[0].high / one.machines[0].low for one in (apart, alike)]
    assert width[0] > 3 * width[1] - 2
    assert pooling.FEWEST_MACHINES == 3
