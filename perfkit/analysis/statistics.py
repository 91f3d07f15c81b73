"""Intervals and ratios over blocks, the unit of replication."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special  # its `stats` takes seconds to import

CONFIDENCE = 0.95
POWER = 0.8

FEW_BLOCKS = 5
"""With fewer, an interval over blocks is mostly the t distribution's tail."""


MANY = 1000
"""So many blocks are as good as never."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate from `blocks` blocks; low and high are None where one block gives no interval."""

    estimate: float
    low: float | None
    high: float | None
    blocks: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times the baseline's a metric is for an arm: geometric mean over blocks, 95 % interval (t, on logs)."""

    metric: str
    arm: str
    baseline: str
    levels: tuple[int, ...]
    """of `factor`, that it speaks of; several are averaged within each block first"""
    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    """of "no difference", two-sided; corrected for the number of levels where `holm` was asked to"""
    detectable_pct: float | None
    """smallest true difference, in %, that this many blocks with this spread find 4 times out of 5"""
    blocks: int
    factor: str = "vus"

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval; for those who know that there were two blocks or more."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.blocks} block gives no interval")
        return self.low, self.high

    @property
    def half_width_pct(self) -> float:
        """Half the width of the interval, in % of the baseline."""
        low, high = self.interval
        return (high - low) / 2 * 100

    @property
    def standard_error(self) -> float:
        """Of the ratio's logarithm, from a plain t interval over `blocks` blocks."""
        low, high = self.interval
        return math.log(high / low) / 2 / quantile(self.blocks - 1)

    @property
    def differs(self) -> bool:
        """Whether "no difference" is refused at 5 %."""
        return self.p_value is not None and self.p_value < 1 - CONFIDENCE


def mean(values: Sequence[float], *, logarithmic: bool = False, looks: int = 1) -> Interval:
    """Return the mean over blocks with its 95 % t interval; the geometric one where `logarithmic`.

    Of so many `looks` all intervals hold together.
    """
    numbers = np.log(values) if logarithmic else np.asarray(values, dtype=float)
    back = np.exp if logarithmic else np.asarray
    middle = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(float(back(middle)), None, None, len(numbers))
    reach = _reach(numbers, looks)
    return Interval(float(back(middle)), float(back(middle - reach)), float(back(middle + reach)), len(numbers))


def from_logs(
    metric: str, arm: str, against: str, levels: Sequence[int], logs: Sequence[float], factor: str = "vus"
) -> Ratio:
    """Return the ratio whose logarithms, are these, one a block."""
    numbers = np.asarray(logs, dtype=float)
    middle = float(numbers.mean())
    alone = Ratio(
        metric, arm, against, tuple(levels), float(np.exp(middle)), None, None, None, None, len(numbers), factor
    )
    if len(numbers) < 2:
        return alone
    reach, freedom = _reach(numbers), len(numbers) - 1
    error = standard_error(logs)
    return replace(
        alone,
        low=float(np.exp(middle - reach)),
        high=float(np.exp(middle + reach)),
        p_value=p_value(middle, error, freedom),
        detectable_pct=detectable_pct(error, freedom),
    )


def quotient(one: Ratio, other: Ratio) -> Ratio:
    """Return the ratio of two arms that were each compared with the same baseline, in runs of their own.

    The interval is MOVER's (Zou and Donner 2008): distances to the limits added in quadrature, on logarithms.
    """
    (low, high), (other_low, other_high) = one.interval, other.interval
    middle = math.log(one.ratio / other.ratio)
    below = math.hypot(math.log(one.ratio / low), math.log(other_high / other.ratio))
    above = math.hypot(math.log(high / one.ratio), math.log(other.ratio / other_low))
    return replace(
        one, baseline=other.arm, ratio=math.exp(middle), low=math.exp(middle - below), high=math.exp(middle + above),
        p_value=None, detectable_pct=None, blocks=min(one.blocks, other.blocks),
    )  # fmt: skip


def standard_errors(freedom: int, looks: int = 1) -> float:
    """Return how many standard errors an interval reaches that holds together with so many others.

    Bonferroni: each of so many may miss the truth so many times less often.
    """
    return quantile(freedom, 1 - (1 - CONFIDENCE) / looks / 2)


def bounded(result: Ratio, error: float, freedom: int, looks: int) -> Ratio:
    """Return a ratio with the interval and p-value of this standard error (of logs), for so many looks together."""
    middle, reach = math.log(result.ratio), standard_errors(freedom, looks) * error
    return replace(
        result,
        low=math.exp(middle - reach),
        high=math.exp(middle + reach),
        p_value=min(1.0, looks * p_value(middle, error, freedom)),
    )


def holm(several: Sequence[Ratio]) -> list[Ratio]:
    """Return the same ratios, their p-values corrected for their number (Holm 1979)."""
    tested = sorted((one.p_value, place) for place, one in enumerate(several) if one.p_value is not None)
    corrected: dict[int, float] = {}
    highest = 0.0
    for rank, (p_value, place) in enumerate(tested):
        highest = max(highest, min(1.0, p_value * (len(tested) - rank)))
        corrected[place] = highest
    return [replace(one, p_value=corrected.get(place)) for place, one in enumerate(several)]


def blocks_to_tell(result: Ratio, margin_pct: float, looks: int) -> int:
    """Return about how many blocks show a difference, or one within the margin, if more are as those at hand.

    That is where the ratio stays, and the spread; a difference must hold together with so many `looks`. MANY: or more.
    """
    spread = result.standard_error * result.blocks**0.5
    away = abs(math.log(result.ratio))
    inside = math.log1p(margin_pct / 100) - away
    blocks = 2
    while blocks < MANY and all(
        standard_errors(blocks - 1, several) * spread > room * blocks**0.5
        for room, several in ((away, looks), (inside, 1))
    ):
        blocks += 1
    return blocks


def standard_error(logs: Sequence[float]) -> float:
    """Return the standard error of the mean of values, one a block; infinite for one."""
    return float(np.std(logs, ddof=1)) / len(logs) ** 0.5 if len(logs) > 1 else math.inf


@cache
def quantile(freedom: int, probability: float = (1 + CONFIDENCE) / 2) -> float:
    """Return a quantile of the t distribution: with `freedom` alone, how many standard errors an interval reaches."""
    return float(special.stdtrit(freedom, probability))


def p_value(middle: float, error: float, freedom: int) -> float:
    """Return the two-sided p-value of "no difference", of an estimate (a logarithm) with its standard error."""
    return float(2 * special.stdtr(freedom, -abs(middle) / error)) if error else float(middle == 0)


def detectable_pct(error: float, freedom: int) -> float:
    """Return the smallest difference, in %, found 4 times out of 5 with this standard error (of logs) and freedom."""
    return float(np.expm1((quantile(freedom) + quantile(freedom, POWER)) * error)) * 100


def _reach(numbers: np.ndarray, looks: int = 1) -> float:
    """Half the width of the t interval of a mean."""
    return float(standard_errors(len(numbers) - 1, looks) * numbers.std(ddof=1) / len(numbers) ** 0.5)
