"""From the trials of a comparison to its answer: the controls, the verdict, and what limits it."""

import math
from dataclasses import dataclass, replace

import pandas as pd

from perfkit import controls, statistics, stopping
from perfkit.controls import Control, by_block, role_logs
from perfkit.plan import HANDICAP, A, B, Comparison
from perfkit.results import GENERATOR_LIMIT
from perfkit.statistics import Ratio, percent

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
    wide, alone = by_block(joint), by_block(solo)
    beside = _beside(plan, solo)
    seconds = float(joint.drop_duplicates(["block", "attempt"])["took_s"].sum() + solo["took_s"].sum())
    caveats = tuple(_caveats(plan, joint, solo, wide))
    if len(wide) < 2:
        sentence = f"The instrument is not trusted here: of {joint['block'].nunique()} joint trials, {len(wide)} count."
        return Answer(plan, len(wide), seconds, None, {}, beside, NOT_TRUSTED, sentence, caveats)
    found = stopping.primary(plan, role_logs(wide, B).tolist())
    checks = controls.judge(plan, wide, alone)
    verdict = _verdict(plan, found, checks)
    sentence = _sentence(plan, found, checks, verdict, seconds / len(wide))
    return Answer(plan, len(wide), seconds, found, checks, beside, verdict, sentence, caveats)


def narrowing(plan: Comparison, trials: pd.DataFrame) -> list[tuple[float, Ratio]]:
    """Return (seconds spent on a and b, ratio of their CPU per call) after each block from the second on.

    `trials` are the joint or the solo ones of a comparison; intervals are plain t intervals.
    """
    both = trials[trials["role"].isin((A, B))]
    # A joint trial takes its time once for all its servers, solo trials take theirs each.
    spent = both.drop_duplicates(["block", "started_at"]).groupby("block")["took_s"].sum().cumsum()
    logs = role_logs(by_block(both), B)
    return [
        (float(spent[block]), statistics.from_logs("cpu_per_call", B, A, [plan.vus], logs.loc[:block].tolist()))
        for block in logs.index[1:]
    ]


def _verdict(plan: Comparison, found: Ratio, checks: dict[str, Control]) -> str:
    low, high = found.interval
    margin = math.log1p(plan.margin_pct / 100)
    within = -margin <= math.log(low) and math.log(high) <= margin
    if not all(check.ok for check in checks.values()):
        return NOT_TRUSTED
    if low <= 1 <= high and not within:
        return NOT_KNOWN
    if within:
        return NO_RELEVANT
    return B_DEARER if found.ratio > 1 else A_DEARER


def _sentence(plan: Comparison, found: Ratio, checks: dict[str, Control], verdict: str, seconds_a_block: float) -> str:
    a, b = names(plan)
    size = f"{percent(found)} at {plan.vus} VUs an arm, {found.blocks} blocks"
    if verdict == NOT_TRUSTED:
        failed = "; ".join(check.told for check in checks.values() if not check.ok)
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
    asked = [(name, column, B) for name, column in {"cpu_per_call": "cpu_per_call_us", **SOLO_METRICS}.items()]
    found: dict[str, Ratio] = {}
    if solo.empty:
        return found
    for name, column, role in [*asked, (HANDICAP, "cpu_per_call_us", HANDICAP)]:
        if plan.vus in statistics.usable_levels(solo, column):
            wide = by_block(solo, column)
            if len(role_logs(wide, role)) > 1:
                found[name] = controls.role_ratio(wide, role, plan.vus, name)
    return found


def _caveats(plan: Comparison, joint: pd.DataFrame, solo: pd.DataFrame, wide: pd.DataFrame) -> list[str]:
    once = joint.drop_duplicates(["block", "attempt"]).assign(role="joint")
    trials = pd.concat([once, solo.assign(role="solo " + solo["role"])]) if len(solo) else once
    found = []
    for flag, told in FLAG_WORDS.items():
        flagged = trials[trials["flags"].str.contains(flag)]
        if len(flagged):
            which = "; ".join(
                f"{role}: block {', '.join(map(str, sorted(set(of_role['block']))))}"
                for role, of_role in flagged.groupby("role")
            )
            found.append(f"{told} in {len(flagged)} of {len(trials)} trials ({which}).")
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
    "paused": "Nothing counts where the run stood still inside the window, or the clock was set:",
    "generator limited": f"k6 used more than {GENERATOR_LIMIT * 100:g} % of its cores",
    "unsaturated": "The servers left their core idle at times, so that CPU per call is no inverse of capacity,",
    "unequal shares": "The servers' shares of their core were unequal",
    "dropped iterations": "k6 had no free VU for some of the offered calls, so latency there is of fewer calls,",
    "warm-up too short": "Connections were still being made inside the window",
}
