"""The checks that a comparison makes of itself: `a` against `a` again, and against `a` with known burns."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

import pandas as pd

from perfkit.analysis import contrast, statistics
from perfkit.analysis.statistics import Ratio
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.plan import AA, HANDICAP, SMALL_HANDICAP, SOLO, YARDSTICK, A, Plan

AA_BAND_PCT = 1.0
"""The A/A control fails where its whole interval lies further than this from no difference.

To ask that the interval contain 1 would fail 1 good instrument in 20. So this fails hardly ever by chance, and what
it can miss is a bias of up to the band plus the interval's half-width, which the report states.
"""

SOLO_BAND = 0.25
"""A handicap fails where its effect is surely further than this part from what solo trials measured."""

MOST_COST = 3.0
"""What a burn may cost at most, in what is burned; it costs 1.2 to 1.8 times that, by where Python's lock is held."""

FEWEST_SMALL = 6
"""Blocks with the smaller handicap from which on it is judged: with fewer, chance hides what is so small."""

BURN_COST_US = 3.0
"""What burning may cost apart from what is burned: reading a thread's clock twice, and being woken later."""


@dataclass(frozen=True, slots=True)
class Control:
    """One of the comparison's checks of itself."""

    result: Ratio
    ok: bool
    burn_us: float | None = None
    """what each call burned; None: nothing was burned"""
    cost_us: float | None = None
    """what that cost a call"""
    solo: Ratio | None = None
    """the same effect in solo trials of the same blocks, where they can judge it"""
    apart: Ratio | None = None
    """paired trials' effect, in that of solo ones"""


def by_block(trials: pd.DataFrame, metric: str = "cpu_per_call_us") -> pd.DataFrame:
    """Return a metric of a comparison's trials that count: a row a block, a column a role."""
    if trials.empty:
        return pd.DataFrame()
    return trials[trials["valid"]].set_index(["block", "role"])[metric].unstack()


def reference(roles: Container[str], role: str) -> str:
    """Return the role that `role` is divided by: a, or for a handicap a yardstick if there is one among the roles."""
    return YARDSTICK if role in HANDICAPS_PCT and YARDSTICK in roles else A


def role_logs(wide: pd.DataFrame, role: str) -> "pd.Series[float]":
    """Return the logarithm of a role's ratio to its reference, by block; empty where there are no such trials."""
    return contrast.log_ratio(wide, role, reference(wide.columns, role))


def role_ratio(wide: pd.DataFrame, role: str, levels: Sequence[int], metric: str = "cpu_per_call_us") -> Ratio:
    """Return the ratio of a role to its reference, at these levels of VUs."""
    return statistics.from_logs(metric, role, reference(wide.columns, role), levels, role_logs(wide, role).tolist())


def judge(plan: Plan, paired: pd.DataFrame, solo: pd.DataFrame) -> dict[str, Control]:
    """Return "aa" and each handicap that has blocks enough, of tables of `load`: paired trials and solo ones."""
    wide, alone = by_block(paired), by_block(solo)
    found = {AA: _same(plan, wide)} if len(role_logs(wide, AA)) > 1 else {}
    for role, fewest in ((HANDICAP, 2), (SMALL_HANDICAP, FEWEST_SMALL)):
        if len(role_logs(wide, role)) >= fewest:
            found[role] = _burn(plan, role, _burn_us(paired, role), wide, alone)
    return found


def _burn_us(paired: pd.DataFrame, role: str) -> float:
    """Return what each call of a handicap burned more than its reference's."""
    burned = paired.groupby("role")["burn_us"].mean()
    return float(burned[role] - burned[reference(burned.index, role)])


def _same(plan: Plan, wide: pd.DataFrame) -> Control:
    result = role_ratio(wide, AA, plan.levels)
    return Control(result, _reaches(result, math.log1p(AA_BAND_PCT / 100)))


def _burn(plan: Plan, role: str, burn_us: float, wide: pd.DataFrame, alone: pd.DataFrame) -> Control:
    result = role_ratio(wide, role, plan.levels)
    low, high = result.interval
    base_us = float(wide[result.baseline].mean())
    least_us, most_us = (high - 1) * base_us, (low - 1) * base_us
    # A spread that hides what is so small says so by the answer's interval, and is no fault of the instrument.
    is_seen = low > 1 or (result.detectable_pct or 0) / 100 * base_us > burn_us
    has_its_size = is_seen and least_us >= burn_us and most_us <= MOST_COST * burn_us + BURN_COST_US
    control = Control(result, has_its_size, burn_us, (result.ratio - 1) * base_us)
    solo_logs, paired_logs = role_logs(alone, role), role_logs(wide, role)
    differences = (paired_logs - solo_logs).dropna()
    if len(differences) < 2 or any(load.rate for load in plan.loads(SOLO)):
        return control  # at a rate, servers idle, and a call costs otherwise
    both = (solo_logs.tolist(), differences.tolist())
    effect, apart = (statistics.from_logs("cpu_per_call_us", role, A, plan.levels, logs) for logs in both)
    agrees = _reaches(apart, SOLO_BAND * abs(math.log(effect.ratio)))
    return Control(result, has_its_size and agrees, burn_us, control.cost_us, effect, apart)


def _reaches(result: Ratio, band: float) -> bool:
    """Whether the interval comes within `band` (of logarithms) of no difference."""
    low, high = map(math.log, result.interval)
    return low <= band and high >= -band
