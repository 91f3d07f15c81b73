"""From the trials of a comparison to its answer: the ratio, the controls, the verdict, and what limits it."""

import math
from dataclasses import dataclass

import pandas as pd

from perfkit.analysis import contrast, controls, statistics, stopping, verdict
from perfkit.analysis.controls import Control, by_block, role_logs
from perfkit.analysis.statistics import Ratio
from perfkit.analysis.stopping import Steadiness
from perfkit.design.arms import FOREIGN, told_apart
from perfkit.design.engines import MEMORY
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.plan import JOINT, SOLO, TURNS, A, B, Load, Plan
from perfkit.record.validity import FLAGS, Flag

CHANGED = 1.25
"""A machine on which `a` costs this many times as much in one half of the blocks as in the other has changed."""

BUSY = 0.97
"""A server that uses less of its core, in a closed loop, was waiting for its load at times."""

METRICS = {
    "cpu_per_call": "cpu_per_call_us",
    "throughput": "throughput_rps",
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
}
"""name → column, of what solo trials say"""

NOT_TRUSTED, A_DEARER, B_DEARER = "not trusted", "a dearer", "b dearer"
NO_RELEVANT, NOT_KNOWN = verdict.NO_RELEVANT, verdict.NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Flagged:
    """How many trials have a flag, and which."""

    flag: Flag
    trials: int
    of: int
    blocks: dict[str, tuple[int, ...]]
    """"joint", or "solo" and the role → blocks"""


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a comparison says."""

    plan: Plan
    blocks: int
    """paired trials that count"""
    paired_trials: int
    seconds: float
    """that all trials took"""
    cpu_per_call: Ratio | None
    """primary: b's CPU per call in a's; None where under two paired trials count"""
    controls: dict[str, Control]
    """"aa", "handicap" and "small handicap"; empty where under two paired trials count"""
    solo: dict[str, Ratio]
    """what the solo trials say, by metric; those that a flag makes void are left out"""
    verdict: str
    flagged: tuple[Flagged, ...]
    throughput: Ratio | None
    """b's in a's, of trials by turns; None where they were none, or waiting for the load could explain it"""
    idle: float | None
    """the part of its core, of its turns if there were some, that the idler of a and b left in a closed loop"""
    contradicts: Ratio | None
    """CPU per call by solo trials, where that has surely the other sign"""
    steadiness: Steadiness | None
    """how far blocks are independent and their spread stays; None where they are too few to tell"""
    solo_is_void: bool
    """whether there are solo trials that give no verdict on throughput"""
    change: float | None
    """a's CPU per call in the second half, in the first's, where the machine changed"""

    @property
    def load(self) -> Load:
        """What it holds under."""
        return self.plan.cells[0].load

    @property
    def is_reached(self) -> bool:
        """Whether the instrument was trusted and the question decided."""
        return self.verdict not in (NOT_TRUSTED, NOT_KNOWN)

    @property
    def is_trusted(self) -> bool:
        """Whether something may be concluded: the controls passed, and nothing else speaks against it."""
        return self.verdict != NOT_TRUSTED


def answer(plan: Plan, paired: pd.DataFrame, solo: pd.DataFrame) -> Answer:
    """Return what the trials of a comparison say: tables of `load`, of its paired trials and of its solo ones."""
    wide = by_block(paired)
    # A trial of several servers is one trial. Where all are solo, nothing else stands next to what is compared.
    alone = plan.paired == SOLO
    trials, also_solo = (paired, solo.iloc[:0]) if alone else (paired.drop_duplicates(["block", "attempt"]), solo)
    metrics = _solo(plan, solo)
    result, contradiction, steady, checks, concluded = None, None, None, {}, NOT_TRUSTED
    if len(wide) > 1:
        logs = role_logs(wide, B).tolist()
        result, steady = stopping.primary(plan, logs), stopping.steadiness(plan, logs)
        checks = controls.judge(plan, paired, also_solo)
        if not alone and have_opposite_signs(result, metrics.get("cpu_per_call")):
            contradiction = metrics["cpu_per_call"]
        if contradiction is None and (steady is None or steady.is_enough):
            concluded = _verdict(result, checks, plan.margin_pct)
    return Answer(
        plan=plan,
        blocks=len(wide),
        paired_trials=len(trials),
        seconds=float(trials["took_s"].sum() + also_solo["took_s"].sum()),
        cpu_per_call=result,
        controls=checks,
        solo=metrics,
        verdict=concluded,
        flagged=tuple(_flagged(trials, also_solo)),
        throughput=_throughput(plan, paired),
        idle=idle(solo if plan.paired == JOINT else paired),
        contradicts=contradiction,
        steadiness=steady,
        solo_is_void=not solo.empty and plan.vus not in contrast.usable_levels(solo, "throughput_rps"),
        change=_change(wide),
    )


def have_opposite_signs(one: Ratio, other: Ratio | None) -> bool:
    """Return whether both ratios exclude 1, on different sides."""
    signs = {verdict.judge(one, 0), verdict.judge(other, 0) if other else ""}
    return signs == {verdict.DEARER, verdict.CHEAPER}


def narrowing(plan: Plan, trials: pd.DataFrame) -> list[tuple[float, Ratio]]:
    """Return (seconds spent on a and b, ratio of their CPU per call) after each block from the second on.

    `trials` are the paired or the solo ones of a comparison; intervals are plain t intervals.
    """
    both = trials[trials["role"].isin((A, B))]
    # A paired trial takes its time once for all its servers, solo trials take theirs each.
    spent = both.drop_duplicates(["block", "started_at"]).groupby("block")["took_s"].sum().cumsum()
    logs = role_logs(by_block(both), B)
    return [
        (float(spent[block]), statistics.from_logs("cpu_per_call_us", B, A, [plan.vus], logs.loc[:block].tolist()))
        for block in logs.index[1:]
    ]


def names(plan: Plan) -> tuple[str, str]:
    """Return what to call a and b."""
    return told_apart(plan.arm(A), plan.arm(B))


def seconds_to_go(answer: Answer) -> float:
    """Return how long until the interval leaves 1 or fits into the margin, if estimate and spread stay as they are.

    To go on is to have looked once more, for which the interval is widened.
    """
    assert answer.cpu_per_call is not None  # noqa: S101 - NOT_KNOWN says that there is one
    low, high = answer.cpu_per_call.interval
    looks, freedom = answer.plan.stop.looks, answer.cpu_per_call.blocks - 1
    wider = statistics.standard_errors(freedom, looks + 1) / statistics.standard_errors(freedom, looks)
    reach, off = wider * math.log(high / low) / 2, abs(math.log(answer.cpu_per_call.ratio))
    enough = max(off, math.log1p(answer.plan.margin_pct / 100) - off)
    blocks = max(1.0, answer.cpu_per_call.blocks * ((reach / enough) ** 2 - 1))
    return blocks * answer.seconds / answer.blocks


def _verdict(result: Ratio, checks: dict[str, Control], margin_pct: float) -> str:
    if not all(check.ok for check in checks.values()):
        return NOT_TRUSTED
    concluded = verdict.judge(result, margin_pct)
    return {verdict.DEARER: B_DEARER, verdict.CHEAPER: A_DEARER}.get(concluded, concluded)


def _throughput(plan: Plan, paired: pd.DataFrame) -> Ratio | None:
    """Throughput by turns, where the server was what was measured in all trials that count."""
    if plan.paired != TURNS or plan.vus not in contrast.usable_levels(paired, "throughput_rps"):
        return None
    wide = by_block(paired, "throughput_rps")
    if len(role_logs(wide, B)) < 2:
        return None
    result = controls.role_ratio(wide, B, [plan.vus], "throughput_rps")
    return None if waited(result, paired) else result


def waited(throughput: Ratio, trials: pd.DataFrame, by: str = "role") -> bool:
    """Return whether a difference in throughput may be one of how much the servers waited.

    They wait for their load; by turns also, where perfkit did not write them, for what goes on while they are stopped.
    """
    left = idle(trials, by)
    if left is None or left <= 1 - BUSY:
        return False
    unseen = (trials.filter(["engine"]) == FOREIGN).any(axis=1) & trials["method"].eq(TURNS)
    return bool(unseen.any()) or abs(math.log(throughput.ratio)) <= -math.log1p(-left)


def idle(trials: pd.DataFrame, by: str = "role") -> float | None:
    """Return the part of its core, or of its turns, that the idler arm left in a closed loop; None: not known.

    An arm whose critical section waits leaves its core idle by itself, which says nothing of the load.
    """
    if trials.empty:
        return None
    waits = trials.filter(["hold_us", "sync_us"]).gt(0).any(axis=1) | (trials.filter(["store"]) != MEMORY).any(axis=1)
    closed = trials[trials["rate"].isna() & (trials["method"] != JOINT) & ~waits]
    counted = closed[closed["valid"] & closed["role"].isin((A, B))]
    if counted.empty:
        return None
    used = (counted["server_cpu_s"] / counted["own_s"]).groupby(counted[by]).mean()
    return max(0.0, 1 - float(used.min()))


def _solo(plan: Plan, solo: pd.DataFrame) -> dict[str, Ratio]:
    results: dict[str, Ratio] = {}
    if solo.empty:
        return results
    asked = [(name, column, B) for name, column in METRICS.items()]
    for name, column, role in [*asked, *((role, METRICS["cpu_per_call"], role) for role in HANDICAPS_PCT)]:
        if plan.vus in contrast.usable_levels(solo, column):
            wide = by_block(solo, column)
            if len(role_logs(wide, role)) > 1:
                result = controls.role_ratio(wide, role, [plan.vus], column)
                if name != "throughput" or not waited(result, solo):
                    results[name] = result
    return results


def _flagged(paired: pd.DataFrame, solo: pd.DataFrame) -> list[Flagged]:
    named = [paired.assign(role=paired["method"]), solo.assign(role="solo " + solo["role"])]
    trials = pd.concat([table for table in named if len(table)]) if len(paired) + len(solo) else paired
    results = []
    for flag in FLAGS:
        some = trials[trials["flags"].str.contains(flag.name)]
        if len(some):
            blocks = {str(role): tuple(sorted(set(of_role["block"]))) for role, of_role in some.groupby("role")}
            results.append(Flagged(flag, len(some), len(trials), blocks))
    return results


def _change(wide: pd.DataFrame) -> float | None:
    if len(wide) < 4:  # halves of two
        return None
    half = len(wide) // 2
    change = float(wide[A].iloc[half:].mean() / wide[A].iloc[:half].mean())
    return None if 1 / CHANGED <= change <= CHANGED else change
