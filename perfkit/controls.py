"""The checks that a comparison makes of itself: `a` against `a` again, and against `a` with a known burn."""

import math
from dataclasses import dataclass

import pandas as pd

from perfkit import statistics
from perfkit.plan import AA, HANDICAP, HANDICAP_US, YARDSTICK, A, Comparison
from perfkit.statistics import Ratio, percent

AA_BAND_PCT = 1.0
"""The A/A control fails where its whole interval lies further than this from no difference.

To ask that the interval contain 1 would fail 1 good instrument in 20. So this fails hardly ever by chance, and what
it can miss is a bias of up to the band plus the interval's half-width, which the report states.
"""

SOLO_BAND = 0.25
"""The handicap control fails where its effect is surely further than this part from what solo trials found."""


@dataclass(frozen=True, slots=True)
class Control:
    """One of the comparison's checks of itself."""

    found: Ratio
    ok: bool
    told: str
    """what was expected, what came, and what the check could have missed"""


def by_block(trials: pd.DataFrame, metric: str = "cpu_per_call_us") -> pd.DataFrame:
    """Return a metric of the trials that count (`load_joint` or `load`): a row a block, a column a role."""
    if trials.empty:
        return pd.DataFrame()
    return trials[trials["valid"]].pivot_table(index="block", columns="role", values=metric)


def reference(wide: pd.DataFrame, role: str) -> str:
    """Return the role that `role` is divided by: a, or for the handicap a yardstick if there is one."""
    return YARDSTICK if role == HANDICAP and YARDSTICK in wide else A


def role_logs(wide: pd.DataFrame, role: str) -> "pd.Series[float]":
    """Return the logarithm of a role's ratio to its reference, by block; empty where there are no such trials."""
    against = reference(wide, role)
    if not {role, against} <= set(wide):
        return pd.Series(dtype=float)
    return (wide[role] / wide[against]).dropna().map(math.log)


def role_ratio(wide: pd.DataFrame, role: str, vus: int, metric: str = "cpu_per_call") -> Ratio:
    """Return the ratio of a role to its reference."""
    return statistics.from_logs(metric, role, reference(wide, role), [vus], role_logs(wide, role).tolist())


def judge(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame) -> dict[str, Control]:
    """Return "aa" and "handicap", from the CPU per call `by_block` of joint trials (2 blocks or more) and solo ones."""
    return {"aa": _same(plan, joint), "handicap": _burn(plan, joint, solo)}


def _same(plan: Comparison, joint: pd.DataFrame) -> Control:
    found = role_ratio(joint, AA, plan.vus)
    return Control(
        found,
        _reaches(found, math.log1p(AA_BAND_PCT / 100)),
        f"the same arm again costs {percent(found)}; wanted: an interval that comes within ±{AA_BAND_PCT:g} % of none. "
        f"A bias of up to {AA_BAND_PCT + found.half_width_pct:.1f} % could pass",
    )


def _burn(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame) -> Control:
    found = role_ratio(joint, HANDICAP, plan.vus)
    low, high = found.interval
    base_us = float(joint[found.baseline].mean())
    agrees, beside = _beside(plan, joint, solo)
    return Control(
        found,
        low > 1 and (high - 1) * base_us >= HANDICAP_US and agrees,
        f"{HANDICAP_US} µs burned in each call cost {percent(found)}, {(found.ratio - 1) * base_us:.1f} µs; "
        f"wanted: found, and not less than was burned{beside}",
    )


def _beside(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame) -> tuple[bool, str]:
    """Return whether solo trials leave room for what joint ones found of the handicap, and what to say of it."""
    alone, together = role_logs(solo, HANDICAP), role_logs(joint, HANDICAP)
    apart = (together - alone).dropna()
    if len(apart) < 2 or plan.rate is not None:  # at a rate, servers idle, and a call costs otherwise
        return True, ""
    effect = statistics.from_logs("cpu_per_call", HANDICAP, A, [plan.vus], alone.tolist())
    between = statistics.from_logs("cpu_per_call", HANDICAP, A, [plan.vus], apart.tolist())
    return (
        _reaches(between, SOLO_BAND * abs(math.log(effect.ratio))),
        (
            f"; in solo trials it cost {percent(effect)}; wanted: an effect that may be within {SOLO_BAND * 100:.0f} % "
            f"of that. The two are {percent(between)} apart"
        ),
    )


def _reaches(found: Ratio, band: float) -> bool:
    """Whether the interval comes within `band` (of logarithms) of no difference."""
    low, high = map(math.log, found.interval)
    return low <= band and high >= -band
