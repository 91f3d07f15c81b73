import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.record.calls import Calls, Distribution, enough_samples
from perfkit.record.merging import GRID, merged, merged_calls

TOLD = ("50", "90", "95", "99", "99.9")


def seen(samples, percentiles=TOLD):
    """What a generator tells of its samples."""
    if not len(samples):
        return Distribution(0, None, None, None, {})
    values = np.percentile(samples, [float(one) for one in percentiles])  # linear, as k6 has it
    return Distribution(
        len(samples), float(np.mean(samples)), float(min(samples)), float(max(samples)),
        dict(zip(percentiles, map(float, values), strict=True)),
    )  # fmt: skip


latencies = st.lists(st.floats(0.01, 10_000).map(lambda value: round(value, 3)), max_size=80)


@pytest.mark.full
@settings(max_examples=300)
@given(st.lists(latencies, min_size=1, max_size=5), st.lists(st.sampled_from(GRID), max_size=12, unique=True))
def test_the_percentile_of_all_samples_lies_in_its_bracket_for_certain(hosts, grid):
    pooled = np.concatenate([np.array(host, dtype=float) for host in hosts])
    asked = [*(one for one in TOLD if enough_samples(float(one), len(pooled))), "100"]
    found = merged([seen(host, grid) for host in hosts], asked)
    assert found.count == len(pooled)
    if not len(pooled):
        assert found.brackets_ms == {}
        return
    assert found.avg_ms == pytest.approx(np.mean(pooled))
    assert (found.min_ms, found.max_ms) == (min(pooled), max(pooled))
    for percentile in asked:
        low, high = found.brackets_ms[percentile]
        truth = np.percentile(pooled, float(percentile))
        assert low * (1 - 1e-12) <= truth <= high * (1 + 1e-12), percentile
        assert low <= found.percentiles_ms[percentile] <= high


@pytest.mark.parametrize("apart", [1.0, 1.3])
def test_brackets_are_narrow_with_the_grid_and_one_mode(apart):
    draw = np.random.default_rng(1)
    hosts = [draw.lognormal(1, 0.5, 20_000) * scale for scale in (1, apart, apart**2)]
    asked = ("50", "90", "95", "99")
    found = merged([seen(host, GRID) for host in hosts], asked)
    pooled = np.concatenate(hosts)
    for percentile in asked:
        low, high = found.brackets_ms[percentile]
        truth = np.percentile(pooled, float(percentile))
        assert low <= truth <= high
        assert high / low - 1 <= 0.01
        assert found.percentiles_ms[percentile] == pytest.approx(truth, rel=0.005)
    wide = merged([seen(host) for host in hosts], asked)
    widest, narrow = (max(one.bracket(percentile) for percentile in asked) for one in (wide, found))
    assert widest > 10 * narrow, "few percentiles of each bound those of all only loosely"


def test_a_bracket_spans_the_gap_between_two_modes():
    hosts = [np.full(1000, 1.0), np.full(1000, 9.0)]
    assert merged([seen(host, GRID) for host in hosts], ["50"]).brackets_ms["50"] == (1.0, 9.0)


def test_the_grid_has_what_brackets_need():
    numbers = [float(one) for one in GRID]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], len(numbers)) == (0, 1368)
    assert 99.999 < numbers[-1] < 100


def test_parts_of_calls_and_the_writes_to_each_key_are_merged_too():
    def calls(samples, writes):
        told = seen(np.array(samples))
        return Calls(len(samples), {}, len(samples), len(samples), len(samples), 0, 0, None, None, told, told,
                     {"cold": told, "hot": seen(np.array(samples[:1]))}, writes)  # fmt: skip

    found = merged_calls([calls([1.0, 2.0, 3.0], {"0": (2, 3), "5": (1, 1)}), calls([9.0], {"0": (4, 4)})], ["50"])
    assert found.writes == {"0": (6, 7), "5": (1, 1)}
    assert (found.parts["cold"].count, found.parts["hot"].count) == (4, 2)
    assert (found.parts["hot"].min_ms, found.parts["hot"].max_ms) == (1.0, 9.0)
