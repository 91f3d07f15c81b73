"""From the trials of a comparison to its answer: the controls, the verdict, and what limits it."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from perfkit import statistics, stopping
from perfkit.plan import AA, HANDICAP, HANDICAP_US, YARDSTICK, A, B, Comparison
from perfkit.results import GENERATOR_LIMIT
from perfkit.statistics import Ratio

AA_BAND_PCT = 1.0
"""The A/A control fails where its whole interval lies further than this from no difference.

To ask that the interval contain 1 would fail 1 good instrument in 20. So this fails hardly ever by chance, and what
it can miss is a bias of up to the band plus the interval's half-width, which the report states.
"""

CHANGED = 1.25
"""A machine on which `a` costs this many times as much in one half of the blocks as in the other has changed."""

SOLO_METRICS = {"throughput": "throughput_rps", "p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms"}
"""name → column, of what solo trials say beside"""

NOT_TRUSTED, NOT_KNOWN, NO_RELEVANT, A_DEARER, B_DEARER = (
    "not trusted",
    "not known yet",
    "no relevant difference",
    "a dearer",
    "b dearer",
)
"""Verdicts, in the order in which they are considered."""


@dataclass(frozen=True, slots=True)
class Control:
    """One of the comparison's checks of itself."""

    found: Ratio
    ok: bool
    told: str
    """what was expected, what came, and what the check could have missed"""


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a comparison says."""

    plan: Comparison
    blocks: int
    """joint trials that count"""
    seconds: float
    """that all trials took"""
    cpu_per_call: Ratio | None
    """primary: b's CPU per call in a's; None where under two joint trials count"""
    controls: dict[str, Control]
    """"aa" and "handicap"; empty where under two joint trials count"""
    solo: dict[str, Ratio]
    """what the solo trials say, by metric; those of a limited generator are left out"""
    verdict: str
    sentence: str
    caveats: tuple[str, ...]

    @property
    def is_reached(self) -> bool:
        """Whether the instrument was trusted and the question decided."""
        return self.verdict not in (NOT_TRUSTED, NOT_KNOWN)


def answer(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame) -> Answer:
    """Return what the trials of a comparison (`load_joint` and `load`) say."""
    counted = joint[joint["valid"]]
    wide = counted.pivot_table(index="block", columns="role", values="cpu_per_call_us")
    beside = {} if solo.empty else _beside(plan, solo)
    seconds = float(joint.drop_duplicates(["block", "attempt"])["took_s"].sum() + solo["took_s"].sum())
    caveats = tuple(_caveats(plan, joint, solo, wide))
    if len(wide) < 2:
        sentence = f"The instrument is not trusted here: of {joint['block'].nunique()} joint trials, {len(wide)} count."
        return Answer(plan, len(wide), seconds, None, {}, beside, NOT_TRUSTED, sentence, caveats)
    found = stopping.primary(plan, np.log(wide[B] / wide[A]).tolist())
    controls = _controls(plan, wide)
    verdict = _verdict(plan, found, controls)
    sentence = _sentence(plan, found, controls, verdict, seconds / len(wide))
    return Answer(plan, len(wide), seconds, found, controls, beside, verdict, sentence, caveats)


def narrowing(plan: Comparison, joint: pd.DataFrame) -> list[tuple[float, Ratio]]:
    """Return (seconds spent, ratio b to a) after each joint trial from the second on, by plain t intervals."""
    wide = joint[joint["valid"]].pivot_table(index="block", columns="role", values=["cpu_per_call_us", "took_s"])
    spent = wide["took_s", A].cumsum()
    logs = np.log(wide["cpu_per_call_us", B] / wide["cpu_per_call_us", A]).tolist()
    return [
        (float(spent.iloc[number - 1]), statistics.from_logs("cpu_per_call", B, A, [plan.vus], logs[:number]))
        for number in range(2, len(logs) + 1)
    ]


def reference(wide: pd.DataFrame, role: str) -> str:
    """Return the role whose CPU per call that of `role` is divided by: a, or for the handicap a yardstick if any."""
    return YARDSTICK if role == HANDICAP and YARDSTICK in wide else A


def role_ratio(wide: pd.DataFrame, role: str, vus: int) -> Ratio:
    """Return the ratio of a role's CPU per call to its reference's; `wide` has a row a block and a column a role."""
    against = reference(wide, role)
    return statistics.from_logs("cpu_per_call", role, against, [vus], np.log(wide[role] / wide[against]).tolist())


def _controls(plan: Comparison, wide: pd.DataFrame) -> dict[str, Control]:
    same = role_ratio(wide, AA, plan.vus)
    band = math.log1p(AA_BAND_PCT / 100)
    low, high = same.interval
    aa = Control(
        same,
        math.log(low) <= band and math.log(high) >= -band,
        f"the same arm again costs {_percent(same)}; wanted: an interval that comes within ±{AA_BAND_PCT:g} % of none. "
        f"A bias of up to {AA_BAND_PCT + same.half_width_pct:.1f} % could pass",
    )
    burn = role_ratio(wide, HANDICAP, plan.vus)
    low, high = burn.interval
    base_us = float(wide[burn.baseline].mean())
    handicap = Control(
        burn,
        low > 1 and (high - 1) * base_us >= HANDICAP_US,
        f"{HANDICAP_US} µs burned in each call cost {_percent(burn)}, "
        f"{(burn.ratio - 1) * base_us:.1f} µs; wanted: found, and not less than was burned",
    )
    return {"aa": aa, "handicap": handicap}


def _verdict(plan: Comparison, found: Ratio, controls: dict[str, Control]) -> str:
    low, high = found.interval
    margin = math.log1p(plan.margin_pct / 100)
    within = -margin <= math.log(low) and math.log(high) <= margin
    if not all(control.ok for control in controls.values()):
        return NOT_TRUSTED
    if low <= 1 <= high and not within:
        return NOT_KNOWN
    if within:
        return NO_RELEVANT
    return B_DEARER if found.ratio > 1 else A_DEARER


def _sentence(
    plan: Comparison, found: Ratio, controls: dict[str, Control], verdict: str, seconds_a_block: float
) -> str:
    a, b = names(plan)
    size = f"{_percent(found)} at {plan.vus} VUs an arm, {found.blocks} blocks"
    if verdict == NOT_TRUSTED:
        failed = "; ".join(control.told for control in controls.values() if not control.ok)
        return f"The instrument is not trusted here: {failed}."
    if verdict == NOT_KNOWN:
        return (
            f"Not known yet whether {b} and {a} differ by more than {plan.margin_pct:g} % in CPU per call: {size}. "
            f"About {_more_seconds(plan, found, seconds_a_block):.0f} s more should tell."
        )
    if verdict == NO_RELEVANT:
        low, high = found.interval
        sign = "" if low <= 1 <= high else f", and {b} is the {'dearer' if found.ratio > 1 else 'cheaper'}"
        return f"{b} and {a} differ by less than {plan.margin_pct:g} % in CPU per call{sign}: {size}."
    return f"{b} costs {'more' if found.ratio > 1 else 'less'} CPU per call than {a}: {size}."


def names(plan: Comparison) -> tuple[str, str]:
    """Return what to call a and b: their patterns where only those differ."""
    a, b = plan.a, plan.b
    if a == b:
        return a.name, "the same again"
    alike = not a.is_foreign and not b.is_foreign and replace(a, pattern=b.pattern) == b
    return (a.pattern, b.pattern) if alike else (a.name, b.name)


def _more_seconds(plan: Comparison, found: Ratio, seconds_a_block: float) -> float:
    """Until the interval would leave 1 or fit into the margin, if the estimate and the spread stay as they are."""
    low, high = found.interval
    reach, off = math.log(high / low) / 2, abs(math.log(found.ratio))
    enough = max(off, math.log1p(plan.margin_pct / 100) - off)
    return max(1.0, found.blocks * ((reach / enough) ** 2 - 1)) * seconds_a_block


def _beside(plan: Comparison, solo: pd.DataFrame) -> dict[str, Ratio]:
    found = {}
    measured = {"cpu_per_call": "cpu_per_call_us", **SOLO_METRICS}
    for name, metric in measured.items():
        if plan.vus in statistics.usable_levels(solo, metric):
            logs = _logs(solo, metric, B)
            if len(logs) > 1:
                found[name] = statistics.from_logs(name, B, A, [plan.vus], logs)
    logs = _logs(solo, "cpu_per_call_us", HANDICAP)
    if len(logs) > 1:
        found[HANDICAP] = statistics.from_logs("cpu_per_call", HANDICAP, A, [plan.vus], logs)
    return found


def _logs(solo: pd.DataFrame, metric: str, role: str) -> list[float]:
    wide = solo[solo["valid"]].pivot_table(index="block", columns="role", values=metric)
    if role not in wide or A not in wide:
        return []
    ratios = (wide[role] / wide[A]).dropna()
    logs: list[float] = np.log(ratios).tolist()
    return logs


def _caveats(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame, wide: pd.DataFrame) -> list[str]:
    trials = joint.drop_duplicates(["block", "attempt"])
    found = []
    for flag, told in FLAG_WORDS.items():
        blocks = sorted(trials.loc[trials["flags"].str.contains(flag), "block"].unique())
        if blocks:
            which = ", ".join(map(str, blocks))
            found.append(f"{told} in {len(blocks)} of {len(trials)} joint trials (block {which}).")
    invalid = solo[solo["complete"] & ~solo["valid"]]
    if len(invalid):
        found.append(
            f"{len(invalid)} of {len(solo)} solo trials do not count: {'; '.join(sorted(set(invalid['flags'])))}."
        )
    if not solo.empty and plan.vus not in statistics.usable_levels(solo, "throughput_rps"):
        found.append("No verdict on throughput or latency: k6 was the limit in solo trials, or some do not count.")
    if len(wide) >= 4:  # halves of two
        half = len(wide) // 2
        change = float(wide[A].iloc[half:].mean() / wide[A].iloc[:half].mean())
        if not 1 / CHANGED <= change <= CHANGED:
            found.append(
                f"The machine changed in mid-run: a's CPU per call was {change:.2f} times as much in the second half. "
                "Ratios are taken within trials, so they stay; they may hold for neither state alone."
            )
    found.append(
        "CPU per call holds for this load: servers that share a core, each with a backlog. Capacity, its inverse, and "
        "throughput at equal shares are the same measurement, not further evidence."
    )
    return found


FLAG_WORDS = {
    "lost update": "Nothing counts where a final value contradicts what was acknowledged:",
    "failures": "Nothing counts where calls failed:",
    "cut off": "Nothing counts where calls never ended:",
    "generator limited": f"k6 used more than {GENERATOR_LIMIT * 100:g} % of its cores",
    "unsaturated": "The servers left their core idle at times, so that CPU per call is no inverse of capacity,",
    "unequal shares": "The servers' shares of their core were unequal",
    "warm-up too short": "Connections were still being made inside the window",
}


def _percent(found: Ratio) -> str:
    low, high = found.interval
    return f"{(found.ratio - 1) * 100:+.1f} % (95 % interval {(low - 1) * 100:+.1f} % to {(high - 1) * 100:+.1f} %)"
