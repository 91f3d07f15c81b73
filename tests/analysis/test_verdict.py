import math

import pytest

from perfkit.analysis import verdict
from perfkit.analysis.statistics import Ratio


def ratio(low, high):
    return Ratio("cpu_per_call_us", "b", "a", (20,), math.sqrt(low * high), low, high, 0.01, 1.0, 8)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (1.04, 1.06, verdict.DEARER),
        (1.01, 1.06, verdict.DEARER),  # known to be dearer; by how much, the interval says
        (0.80, 0.90, verdict.CHEAPER),
        (0.95, 0.999, verdict.CHEAPER),
        (0.99, 1.01, verdict.NO_RELEVANT),
        (1.01, 1.02, verdict.NO_RELEVANT),
        (0.98, 1.02, verdict.NO_RELEVANT),
        (0.99, 1.04, verdict.NOT_KNOWN),
        (0.90, 1.10, verdict.NOT_KNOWN),
    ],
)
def test_one_rule_judges_an_interval_by_the_margin(low, high, says):
    assert verdict.judge(ratio(low, high), margin_pct=3) == says


def test_without_a_margin_any_difference_counts():
    assert verdict.judge(ratio(1.001, 1.002), margin_pct=0) == verdict.DEARER
    assert verdict.judge(ratio(0.999, 1.002), margin_pct=0) == verdict.NOT_KNOWN


def test_one_block_decides_nothing():
    assert verdict.judge(Ratio("x", "b", "a", (1,), 1.5, None, None, None, None, 1), 3) == verdict.NOT_KNOWN


def test_the_margin_is_as_far_up_as_down():
    low, high = verdict.band(3)
    assert (high, low * high) == (1.03, 1)
    assert verdict.judge(ratio(low, high), margin_pct=3) == verdict.NO_RELEVANT
    assert verdict.judge(ratio(low * 0.999, high), margin_pct=3) == verdict.NOT_KNOWN
