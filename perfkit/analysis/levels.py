"""What a sweep says: the ratio at each level of a factor, whether the levels differ, and what all say together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from perfkit.analysis import comparison, contrast, controls, statistics, verdict
from perfkit.analysis.controls import Control
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import A, B, Plan

CPU, THROUGHPUT = "cpu_per_call_us", "throughput_rps"

WAITED = "the servers waited"
"""The verdict on a difference in throughput that their waiting for the load could explain."""


@dataclass(frozen=True, slots=True)
class OverLevels:
    """An arm's ratio to the baseline over the levels of a factor."""

    ratios: tuple[Ratio, ...]
    """one a level; all their intervals together hold the truth 19 times out of 20 (Bonferroni)"""
    verdicts: tuple[str, ...]
    """one a level, by those intervals and the margin (`verdict.judge`), or WAITED"""
    differ_p: float | None
    """p-value of "the ratio is the same at all levels"; None with one level or one block"""
    together: Ratio | None
    """over all levels; None where they differ, or one says nothing"""
    verdict: str
    """of all together; empty where there is nothing together"""

    @property
    def turns(self) -> bool:
        """Whether the levels differ among themselves beyond chance: then one number for all would mislead."""
        return self.differ_p is not None and self.differ_p < 1 - statistics.CONFIDENCE


Judged = dict[str, dict[str, OverLevels]]
"""arm → metric → what it says over the levels"""


@dataclass(frozen=True, slots=True)
class SweepAnswer:
    """All that a sweep says."""

    plan: Plan
    trials: pd.DataFrame
    """the trials in which arms are compared: those of several servers where there are some, else solo ones"""
    solo: pd.DataFrame
    baseline: str
    """the arm that all others are compared with"""
    over: Judged
    controls: dict[str, Control]
    """over all levels; empty where there were none, or too few"""

    @property
    def is_trusted(self) -> bool:
        """Whether no control failed."""
        return all(control.ok for control in self.controls.values())

    @property
    def method(self) -> str:
        """By which arms are compared."""
        return self.plan.paired


def answer(plan: Plan, paired: pd.DataFrame, solo: pd.DataFrame) -> SweepAnswer:
    """Return what a sweep says: tables of `load`, of its trials of several servers and of its solo ones."""
    together = pooled(paired)
    enough = len(together) and together["block"].nunique() > 1
    trials = paired[paired["role"].isin((A, B))] if len(paired) else solo
    against = contrast.baseline(trials) if len(trials) else ""
    return SweepAnswer(
        plan=plan,
        trials=trials,
        solo=solo,
        baseline=against,
        over={
            arm: {one: judge(trials, one, arm, against, plan.factor, plan.margin_pct) for one in (CPU, THROUGHPUT)}
            for arm in contrast.arms(trials)
            if arm != against
        },
        controls=controls.judge(plan, together, paired.iloc[:0]) if enough else {},
    )


def pooled(paired: pd.DataFrame) -> pd.DataFrame:
    """Return what each role cost in each block, over all levels: a table for `controls.judge`."""
    counted = paired[paired["valid"]]
    logs = counted.assign(cpu_per_call_us=np.log(counted[CPU].astype(float)))
    means = logs.groupby(["block", "role"])[[CPU, "burn_us"]].mean().reset_index()
    return means.assign(cpu_per_call_us=np.exp(means[CPU]), valid=True)


def judge(
    table: pd.DataFrame, metric: str, of: str, against: str, factor: str = "vus", margin_pct: float = 3.0
) -> OverLevels:
    """Return what each usable level says, corrected for their number and that of the arms that are compared."""
    logs = contrast.by_level(table, metric, of, against, contrast.usable_levels(table, metric, factor), factor)
    arms = max(1, table["arm"].nunique() - 1)
    levels, ratios = list(map(int, logs.columns)), each(logs, metric, of, against, arms, factor)
    judged = tuple(
        WAITED if waited(metric, one, table[table[factor] == level]) else verdict.judge(one, margin_pct)
        for level, one in zip(levels, ratios, strict=True)
    )
    shared = logs.dropna()
    differ, whole = differ_p(shared), shared.mean(axis=1).tolist()
    found = OverLevels(ratios, judged, differ, None, "")
    if found.turns or WAITED in judged or not whole:
        return found
    together = widened(statistics.from_logs(metric, of, against, levels, whole, factor), arms)
    return OverLevels(ratios, judged, differ, together, verdict.judge(together, margin_pct))


def each(logs: pd.DataFrame, metric: str, of: str, against: str, arms: int, factor: str = "vus") -> tuple[Ratio, ...]:
    """Return the ratio at each level, a column of logarithms as `contrast.by_level` has them, a row a block.

    Corrected for the number of levels and that of the arms that are compared with the same one.
    """
    return tuple(
        widened(
            statistics.from_logs(metric, of, against, [level], logs[level].dropna().tolist(), factor),
            arms * len(logs.columns),
        )
        for level in map(int, logs.columns)
    )


def waited(metric: str, result: Ratio, trials: pd.DataFrame) -> bool:
    """Return whether a difference between arms may be one of how much the servers waited."""
    return metric == THROUGHPUT and comparison.waited(result, trials, by="arm")


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
    return float(special.fdtrc(levels - 1, freedom, blocks * float((between**2).sum()) / (levels - 1) / error))
