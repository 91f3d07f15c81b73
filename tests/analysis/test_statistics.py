import math

import numpy as np
import pytest

from perfkit.analysis import contrast, statistics
from tests.support.sweeps import A, B, table


def simulated(ratio=1.05, blocks=6, noise=0.01, seed=0, level=10):
    """The ratio that such a table gives at one level, without making the table: for simulations."""
    logs = math.log(ratio) + np.random.default_rng(seed).normal(0, noise * math.sqrt(2), blocks)
    return statistics.from_logs("cpu_per_call_us", B, A, [level], logs)


def test_a_table_gives_the_ratio_of_its_logarithms():
    made = table(levels=(10,))
    wide = made.pivot_table(index="block", columns="arm", values="throughput_rps")
    expected = statistics.from_logs("throughput_rps", B, A, [10], np.log(wide[B] / wide[A]).tolist())
    assert contrast.contrast(made, "throughput_rps", B, A, [10]) == expected


def test_the_interval_of_a_mean_is_the_t_interval():
    found = statistics.mean([1.0, 2.0, 3.0, 4.0])
    assert found.estimate == 2.5
    # R: t.test(1:4)$conf.int
    assert (found.low, found.high) == (pytest.approx(0.4457397), pytest.approx(4.5542603))


def test_one_block_gives_no_interval():
    assert statistics.mean([3.0]) == statistics.Interval(3.0, None, None, 1)
    one = contrast.contrast(table(blocks=1), "throughput_rps", B, A, [10])
    assert (one.low, one.p_value, one.differs) == (None, None, False)


def test_a_geometric_mean_lies_in_the_middle_of_its_logs():
    assert statistics.mean([1.0, 100.0], logarithmic=True).estimate == pytest.approx(10)


def test_a_ratio_is_taken_within_blocks_so_that_drift_cancels():
    found = contrast.contrast(table(ratio=1.05, noise=0.001, drift=0.5), "throughput_rps", B, A, [10])
    assert found.low < 1.05 < found.high
    assert found.high - found.low < 0.01
    assert found.differs


def test_the_intervals_of_ratios_hold_what_they_promise():
    hits = 0
    for seed in range(400):
        found = simulated(seed=seed)
        hits += found.low <= 1.05 <= found.high
    assert 0.92 <= hits / 400 <= 0.98  # 95 % within three standard errors


def test_no_difference_is_called_one_at_the_stated_rate():
    alarms = sum(simulated(ratio=1.0, seed=seed).differs for seed in range(400))
    assert 0.02 <= alarms / 400 <= 0.085


def test_the_detectable_difference_is_found_four_times_out_of_five():
    typical = simulated(ratio=1.0, blocks=10, seed=1)
    spread = 0.01 * math.sqrt(2)
    from scipy import stats

    reach = (stats.t.ppf(0.975, 9) + stats.t.ppf(0.8, 9)) * spread / math.sqrt(10)
    found = sum(simulated(ratio=math.exp(reach), blocks=10, seed=seed).differs for seed in range(300))
    assert 0.72 <= found / 300 <= 0.88
    assert typical.detectable_pct == pytest.approx(math.expm1(reach) * 100, rel=0.6)


def test_levels_are_corrected_for_their_number():
    several = table(ratio=1.0, levels=(10, 20, 30, 40, 50), seed=5)
    corrected = {one.levels[0]: one.p_value for one in contrast.contrasts(several, "throughput_rps", B, A)}
    plain = {vus: contrast.contrast(several, "throughput_rps", B, A, [vus]).p_value for vus in corrected}
    order = sorted(plain, key=plain.get)
    assert corrected[order[0]] == pytest.approx(min(1, plain[order[0]] * 5))
    assert all(corrected[vus] >= plain[vus] for vus in order)
    assert [corrected[vus] for vus in order] == sorted(corrected.values())


def test_a_false_alarm_at_any_of_five_levels_stays_at_five_per_cent():
    alarms = sum(
        any(
            one.differs
            for one in statistics.holm([simulated(1.0, seed=5 * seed + level, level=level) for level in range(5)])
        )
        for seed in range(300)
    )
    assert alarms / 300 <= 0.09


def test_where_k6_was_the_limit_throughput_has_no_verdict_and_cpu_per_call_has():
    some = table()
    some.loc[(some["vus"] == 100) & (some["block"] == 2) & (some["arm"] == A), "flags"] = "generator limited"
    assert contrast.usable_levels(some, "throughput_rps") == (10,)
    assert contrast.usable_levels(some, "p99_ms") == (10,)
    assert contrast.usable_levels(some, "cpu_per_call_us") == (10, 100)


def test_an_invalid_trial_takes_its_level_out_of_every_verdict():
    some = table()
    some.loc[3, "valid"] = False
    assert contrast.usable_levels(some, "cpu_per_call_us") == (10,)


def test_an_unfinished_block_is_in_no_ratio():
    some = table(blocks=3)
    some.loc[some["block"] == 2, ["complete", "valid"]] = False
    assert contrast.usable_levels(some, "throughput_rps") == (10, 100)
    assert contrast.contrast(some, "throughput_rps", B, A, [10, 100]).blocks == 2


def test_mutex_is_what_others_are_compared_with():
    assert contrast.baseline(table()) == A
    assert contrast.baseline(table().replace(A, "threads/inputQ?workers=4")) == B


def test_the_quotient_of_two_arms_holds_what_its_interval_promises():
    """Each compared with the same baseline in runs of their own; the true quotient is 1.05 / 1.2."""
    hits = 0
    for seed in range(400):
        one, other = (simulated(ratio, seed=seed + shift) for ratio, shift in ((1.05, 0), (1.2, 10_000)))
        low, high = statistics.quotient(one, other).interval
        hits += low <= 1.05 / 1.2 <= high
    assert 0.93 <= hits / 400 <= 0.99
