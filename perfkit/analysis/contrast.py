"""From the tidy table to ratios: one seat's metric in another's, block by block, whatever the factor."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from perfkit.analysis import statistics
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import SOLO, A
from perfkit.record.validity import INVALIDATING, MOMENTARY, voiding

BASELINE = "mutex"
"""The pattern that others are compared with, where it is among the arms."""


def baseline(table: pd.DataFrame) -> str:
    """Return the arm that the others are compared with: the first named; in runs before 0.2 the first `mutex`."""
    named = set(table.loc[table["role"] == A, "arm"]) if "role" in table else set()
    if len(named) == 1:
        return str(named.pop())
    several = arms(table)
    return next((arm for arm in several if f"/{BASELINE}?" in arm), several[0] if several else "")


def arms(table: pd.DataFrame) -> list[str]:
    """Return the arms of a table by name."""
    return sorted(map(str, table["arm"].unique()))


def without(arm: str, factors: Collection[str]) -> str:
    """Return the name of an arm without these of its options: those that differ in nothing else are called alike."""
    head, _, query = arm.partition("?")
    options = [option for option in query.split("&") if option and option.partition("=")[0] not in factors]
    return arm if arm.startswith("exec") else f"{head}?{'&'.join(options)}".rstrip("?")


def is_void(trials: pd.DataFrame, metric: str, also: Collection[str] = ()) -> "pd.Series[bool]":
    """Return of each trial whether one of its flags makes void this metric, or is one of `also`."""
    empty = (*voiding(metric), *also)
    return trials["flags"].map(lambda flags: any(flag in flags for flag in empty)).astype(bool)


def voided_by(trials: pd.DataFrame, metric: str) -> tuple[str, ...]:
    """Return the flags of any of these trials that make void this metric."""
    return tuple(flag for flag in voiding(metric) if trials["flags"].str.contains(flag, regex=False).any())


def usable_levels(table: pd.DataFrame, metric: str, factor: str = "vus") -> tuple[int, ...]:
    """Return the levels of a factor that may give a verdict in `metric`, in rising order.

    A level with an invalid trial is out as a whole, and so is one with a flag that makes void this metric in any trial
    (k6 was the limit): leaving out just those trials would choose by outcome. Where the machine stood still in a trial
    of all arms together, just that block is out: it chose none of them.
    """
    done = table[table["complete"]]
    out = ~done["valid"] & ~_stood_still(done) | is_void(done, metric)
    left = done.loc[done["valid"], factor]
    return tuple(sorted({int(level) for level in left} - {int(level) for level in done.loc[out, factor]}))


def _stood_still(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return of each trial whether it was of several servers, and only a moment of the machine's made it void."""
    lasting = INVALIDATING - MOMENTARY
    momentary = trials["flags"].map(lambda flags: lasting.isdisjoint(flags.split("; ")) and flags != "")
    together = trials["method"] != SOLO if "method" in trials else False
    return together & momentary.astype(bool)


def log_ratio(wide: pd.DataFrame, of: str, against: str) -> "pd.Series[float]":
    """Return the logarithm of one column in another, a row a block; empty where one of them is not there."""
    if not {of, against} <= set(wide):
        return pd.Series(dtype=float)
    ratio = (wide[of] / wide[against]).dropna()
    return pd.Series(np.log(ratio.to_numpy(dtype=float)), index=ratio.index)


def contrast(
    table: pd.DataFrame, metric: str, of: str, against: str, levels: Sequence[int], factor: str = "vus"
) -> Ratio:
    """Return how many times `against`'s a metric of the arm `of` is, over `levels` (usable ones, at least one)."""
    logs = by_level(table, metric, of, against, levels, factor).dropna()
    known = [level for level in levels if level in logs.columns]
    return statistics.from_logs(metric, of, against, known, np.mean([logs[level] for level in known], axis=0), factor)


def contrasts(table: pd.DataFrame, metric: str, of: str, against: str, factor: str = "vus") -> list[Ratio]:
    """Return the ratio at each usable level where both arms have the metric, p-values corrected for their number."""
    levels = usable_levels(table, metric, factor)
    logs = by_level(table, metric, of, against, levels, factor)
    return statistics.holm(
        [
            statistics.from_logs(metric, of, against, [level], logs[level].dropna().tolist(), factor)
            for level in levels
            if level in logs.columns
        ]
    )  # fmt: skip


def by_level(
    table: pd.DataFrame, metric: str, of: str, against: str, levels: Sequence[int], factor: str
) -> pd.DataFrame:
    """Return the logarithms of ratios, of trials that count: a row a block, a column a level."""
    counted = table[table["valid"] & table[factor].isin(levels) & table["arm"].isin((of, against))]
    wide = counted.set_index(["block", factor, "arm"])[metric].unstack()
    return log_ratio(wide, of, against).unstack() if len(wide) else pd.DataFrame()
