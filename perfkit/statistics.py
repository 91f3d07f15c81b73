"""From the tidy table to intervals and ratios: always over blocks, the unit of replication."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8

FEW_BLOCKS = 5
"""With fewer, an interval over blocks is mostly the t distribution's tail."""

NEEDS_FREE_GENERATOR = ("throughput_rps", "p50_ms", "p95_ms", "p99_ms")
"""Metrics that say nothing of the server at a level where k6 was the limit."""

BASELINE = "mutex"
"""The pattern that others are compared with, where it is among the arms."""


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
    """numbers of VUs that it speaks of; several are averaged within each block first"""
    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    """of "no difference", two-sided; from `ratios` corrected for the number of levels (Holm)"""
    detectable_pct: float | None
    """smallest true difference, in %, that this many blocks with this spread find 4 times out of 5"""
    blocks: int

    @property
    def differs(self) -> bool:
        """Whether "no difference" is refused at 5 %."""
        return self.p_value is not None and self.p_value < 1 - CONFIDENCE


def mean(values: Sequence[float], *, logarithmic: bool = False) -> Interval:
    """Return the mean over blocks with its 95 % t interval; the geometric one where `logarithmic`."""
    numbers = np.asarray(values, dtype=float)
    if logarithmic:
        numbers = np.log(numbers)
    middle, count = float(numbers.mean()), len(numbers)
    reach = _reach(numbers) if count > 1 else None
    ends = (middle,) if reach is None else (middle, middle - reach, middle + reach)
    if logarithmic:
        ends = tuple(float(np.exp(end)) for end in ends)
    return Interval(ends[0], *(ends[1:] if reach is not None else (None, None)), count)


def baseline(table: pd.DataFrame) -> str:
    """Return the arm that the others are compared with: the first `mutex`, or else the first by name."""
    arms = sorted(table["arm"].unique())
    return next((arm for arm in arms if f"/{BASELINE}?" in arm), arms[0])


def usable_levels(table: pd.DataFrame, metric: str) -> tuple[int, ...]:
    """Return the levels that may give a verdict in `metric`, in rising order.

    A level where k6 was the limit in any trial is out as a whole for throughput and latency: leaving out just those
    trials would choose by outcome.
    """
    valid = table[table["valid"]]
    levels = set(valid["vus"])
    if metric in NEEDS_FREE_GENERATOR:
        levels -= set(valid.loc[valid["flags"].str.contains("generator limited"), "vus"])
    return tuple(sorted(int(level) for level in levels))


def ratio(table: pd.DataFrame, metric: str, arm: str, against: str, levels: Sequence[int]) -> Ratio | None:
    """Return the ratio of `metric` between two arms over `levels` together; None where no block has both at all."""
    valid = table[table["valid"] & table["vus"].isin(levels) & table["arm"].isin([arm, against])]
    if valid.empty or not levels:
        return None
    wide = np.log(valid.pivot_table(index="block", columns=["vus", "arm"], values=metric))
    if any((level, name) not in wide.columns for level in levels for name in (arm, against)):
        return None
    by_block = sum((wide[level, arm] - wide[level, against]) for level in levels) / len(levels)
    logs = by_block.dropna().to_numpy()  # a block that lacks a trial can't be averaged like the others
    if not len(logs):
        return None
    middle = float(logs.mean())
    found = Ratio(metric, arm, against, tuple(levels), float(np.exp(middle)), None, None, None, None, len(logs))
    if len(logs) < 2:
        return found
    reach, freedom = _reach(logs), len(logs) - 1
    error = float(logs.std(ddof=1)) / len(logs) ** 0.5
    reachable = (stats.t.ppf((1 + CONFIDENCE) / 2, freedom) + stats.t.ppf(POWER, freedom)) * error
    return replace(
        found,
        low=float(np.exp(middle - reach)),
        high=float(np.exp(middle + reach)),
        p_value=float(2 * stats.t.sf(abs(middle) / error, freedom)) if error else float(middle == 0),
        detectable_pct=float(np.expm1(reachable)) * 100,
    )


def ratios(table: pd.DataFrame, metric: str, arm: str, against: str) -> list[Ratio]:
    """Return the ratio at each usable level, p-values corrected for their number (Holm 1979)."""
    found = [
        one
        for level in usable_levels(table, metric)
        if (one := ratio(table, metric, arm, against, [level])) is not None
    ]
    tested = sorted((one for one in found if one.p_value is not None), key=lambda one: one.p_value or 0.0)
    corrected: dict[tuple[int, ...], float] = {}
    highest = 0.0
    for rank, one in enumerate(tested):
        highest = max(highest, min(1.0, (one.p_value or 0.0) * (len(tested) - rank)))
        corrected[one.levels] = highest
    return [replace(one, p_value=corrected.get(one.levels)) for one in found]


def _reach(numbers: np.ndarray) -> float:
    """Half the width of the t interval of a mean."""
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(numbers) - 1)
    return float(quantile * numbers.std(ddof=1) / len(numbers) ** 0.5)
