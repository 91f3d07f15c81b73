"""What a ratio says at each level of a factor, and whether the levels differ among themselves."""

from dataclasses import dataclass

import pandas as pd
from scipy import stats

from perfkit.analysis import contrast, statistics, verdict
from perfkit.analysis.statistics import Ratio

MARGIN_PCT = 3.0
"""The largest difference that does not matter, where nobody said another."""


@dataclass(frozen=True, slots=True)
class OverLevels:
    """An arm's ratio to the baseline over the levels of a factor."""

    ratios: tuple[Ratio, ...]
    """one a level; all their intervals together hold the truth 19 times out of 20 (Bonferroni)"""
    verdicts: tuple[str, ...]
    """one a level, by those intervals and the margin (`verdict.judge`)"""
    differ_p: float | None
    """p-value of "the ratio is the same at all levels"; None with one level or one block"""

    @property
    def turns(self) -> bool:
        """Whether the levels differ among themselves beyond chance: then one number for all would mislead."""
        return self.differ_p is not None and self.differ_p < 1 - statistics.CONFIDENCE


def judge(
    table: pd.DataFrame, metric: str, of: str, against: str, factor: str = "vus", margin_pct: float = MARGIN_PCT
) -> OverLevels:
    """Return what each usable level says, corrected for their number and that of the arms that are compared."""
    logs = contrast.by_level(table, metric, of, against, contrast.usable_levels(table, metric, factor), factor)
    looks = max(1, len(logs.columns) * (table["arm"].nunique() - 1))
    ratios = tuple(
        widened(statistics.from_logs(metric, of, against, [level], logs[level].dropna().tolist(), factor), looks)
        for level in map(int, logs.columns)
    )
    return OverLevels(ratios, tuple(verdict.judge(one, margin_pct) for one in ratios), differ_p(logs.dropna()))


def widened(result: Ratio, looks: int) -> Ratio:
    """Return a plain ratio with the interval and p-value that hold for so many of them together."""
    if result.low is None or looks == 1:
        return result
    return statistics.bounded(result, result.standard_error, result.blocks - 1, looks)


def differ_p(logs: pd.DataFrame) -> float | None:
    """Return the p-value of equal means of the columns, of values that have a row a block in common.

    The F test of a randomised block design (Fisher 1925): what a block moves alike at all levels is taken out.
    """
    blocks, levels = logs.shape
    if blocks < 2 or levels < 2:
        return None
    between = logs.mean() - logs.to_numpy().mean()
    rest = logs.sub(logs.mean(axis=1), axis=0) - between
    freedom = (blocks - 1) * (levels - 1)
    error = float((rest**2).to_numpy().sum()) / freedom
    if not error:
        return 0.0 if between.any() else 1.0
    return float(stats.f.sf(blocks * float((between**2).sum()) / (levels - 1) / error, levels - 1, freedom))
