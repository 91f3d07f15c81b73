"""The checks that a comparison makes of itself: `a` against `a` again, and against `a` with a known burn."""

import math
from dataclasses import dataclass

import pandas as pd

from perfkit.analysis import contrast, statistics
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import AA, HANDICAP, HANDICAP_US, SOLO, YARDSTICK, A, Plan

AA_BAND_PCT = 1.0
"""The A/A control fails where its whole interval lies further than this from no difference.

To ask that the interval contain 1 would fail 1 good instrument in 20. So this fails hardly ever by chance, and what
it can miss is a bias of up to the band plus the interval's half-width, which the report states.
"""

SOLO_BAND = 0.25
"""The handicap control fails where its effect is surely further than this part from what solo trials measured."""


@dataclass(frozen=True, slots=True)
class Control:
    """One of the comparison's checks of itself."""

    result: Ratio
    ok: bool
    cost_us: float | None = None
    """what the burn cost a call; None: nothing was burned"""
    solo: Ratio | None = None
    """the same effect in solo trials of the same blocks, where they can judge it"""
    apart: Ratio | None = None
    """paired trials' effect, in that of solo ones"""


def by_block(trials: pd.DataFrame, metric: str = "cpu_per_call_us") -> pd.DataFrame:
    """Return a metric of a comparison's trials that count: a row a block, a column a role."""
    return contrast.by_block(trials, metric, seat="role")


def reference(wide: pd.DataFrame, role: str) -> str:
    """Return the role that `role` is divided by: a, or for the handicap a yardstick if there is one."""
    return YARDSTICK if role == HANDICAP and YARDSTICK in wide else A


def role_logs(wide: pd.DataFrame, role: str) -> "pd.Series[float]":
    """Return the logarithm of a role's ratio to its reference, by block; empty where there are no such trials."""
    return contrast.log_ratio(wide, role, reference(wide, role))


def role_ratio(wide: pd.DataFrame, role: str, vus: int, metric: str = "cpu_per_call_us") -> Ratio:
    """Return the ratio of a role to its reference."""
    return statistics.from_logs(metric, role, reference(wide, role), [vus], role_logs(wide, role).tolist())


def judge(plan: Plan, paired: pd.DataFrame, solo: pd.DataFrame) -> dict[str, Control]:
    """Return "aa" and "handicap", from the CPU per call `by_block` of paired trials (2 blocks or more) and solo."""
    return {"aa": _same(plan, paired), "handicap": _burn(plan, paired, solo)}


def _same(plan: Plan, paired: pd.DataFrame) -> Control:
    result = role_ratio(paired, AA, plan.vus)
    return Control(result, _reaches(result, math.log1p(AA_BAND_PCT / 100)))


def _burn(plan: Plan, paired: pd.DataFrame, solo: pd.DataFrame) -> Control:
    result = role_ratio(paired, HANDICAP, plan.vus)
    low, high = result.interval
    base_us = float(paired[result.baseline].mean())
    is_large_enough = low > 1 and (high - 1) * base_us >= HANDICAP_US
    control = Control(result, is_large_enough, cost_us=(result.ratio - 1) * base_us)
    alone, together = role_logs(solo, HANDICAP), role_logs(paired, HANDICAP)
    differences = (together - alone).dropna()
    if len(differences) < 2 or any(load.rate for load in plan.loads(SOLO)):
        return control  # at a rate, servers idle, and a call costs otherwise
    effect, apart = (
        statistics.from_logs("cpu_per_call_us", HANDICAP, A, [plan.vus], logs.tolist()) for logs in (alone, differences)
    )
    agrees = _reaches(apart, SOLO_BAND * abs(math.log(effect.ratio)))
    return Control(result, is_large_enough and agrees, control.cost_us, effect, apart)


def _reaches(result: Ratio, band: float) -> bool:
    """Whether the interval comes within `band` (of logarithms) of no difference."""
    low, high = map(math.log, result.interval)
    return low <= band and high >= -band
