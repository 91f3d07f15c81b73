"""When a run ends, and the interval that is valid under that rule.

Stein's two stages (1945, Annals of Mathematical Statistics 16): the spread of the first FIRST_STAGE blocks says how
many are needed for the wanted precision; the interval then uses that first spread, whatever came later, and so holds
its level exactly where blocks are independent and their spread stays. The budget cuts this short, never before
FEWEST_BLOCKS. Whether they are and it does is looked at from CHECKED_BLOCKS on (`steadiness`): the interval is widened
where not, and where blocks depend on each other too much for that, nothing is concluded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfkit.analysis import statistics
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import A, B, Plan
from perfkit.record.results import TrialResult
from perfkit.record.validity import is_valid

FEWEST_BLOCKS = 6

FIRST_STAGE = 8
"""Blocks of the stop rule's first stage."""

CHECKED_BLOCKS = 16
"""From so many blocks on it can be told whether the rule's assumptions hold: no fewer end a run by its precision."""

SPREAD_CHANGED = 1.8
"""How many times the first spread the later one may be before both count."""

CORRELATED, TOO_CORRELATED = 0.2, 0.6
"""Correlation of neighbouring blocks from which on the interval is widened, and from which on nothing is concluded.

With these, 1 run in 80 of independent blocks is refused in vain, and intervals are as wide as Stein's alone that ended
sooner; where the spread is tripled, or the correlation 0.5, 97 and 94 of 100 runs hold the truth or are refused
(tests/analysis/test_stopping.py).
"""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How far the rule's assumptions hold."""

    spread: float
    """the standard deviation of later blocks, in that of the first stage"""
    correlation: float
    """of neighbouring blocks' logarithms, corrected for its bias"""

    @property
    def is_enough(self) -> bool:
        """Whether an interval may be given."""
        return self.correlation <= TOO_CORRELATED


def is_over(plan: Plan, results: Sequence[TrialResult]) -> bool:
    """Return whether the plan's stop rule ends the run after these trials of complete blocks."""
    blocks = len({result.trial.block for result in results})
    if plan.stop.blocks:
        return blocks >= plan.stop.blocks
    if blocks < FEWEST_BLOCKS:
        return False
    spent_s = sum(result.took_s for result in results)
    if spent_s * (blocks + 1) / blocks > plan.stop.budget_s:
        return True
    fewest = CHECKED_BLOCKS if plan.stop.checked else FIRST_STAGE
    each = [_logs(one, results) for one in plan.variations]
    return all(len(logs) >= fewest and len(logs) >= needed(plan, logs) for logs in each)


def primary(plan: Plan, logs: Sequence[float]) -> Ratio:
    """Return the ratio b to a with the interval that is valid under the stop rule."""
    plain, looks = statistics.from_logs("cpu_per_call_us", B, A, [plan.vus], logs), plan.stop.looks
    if len(logs) < 2:
        return plain
    own = as_if_fixed = statistics.standard_error(logs), len(logs) - 1
    if plan.stop.precision_pct and len(logs) > FIRST_STAGE:  # else nothing looked at the data before the end
        own = float(np.std(logs[:FIRST_STAGE], ddof=1)) / math.sqrt(len(logs)), FIRST_STAGE - 1
    steady = steadiness(plan, logs)
    candidates = [own, *(_wider(logs, steady) if steady else ())]
    error, freedom = max(candidates, key=lambda one: one[0] * statistics.standard_errors(one[1], looks))
    if (error, freedom) == as_if_fixed and looks == 1:
        return plain
    found = statistics.bounded(plain, error, freedom, looks)
    return replace(found, detectable_pct=statistics.detectable_pct(error, freedom))


def steadiness(plan: Plan, logs: Sequence[float]) -> Steadiness | None:
    """Return how far blocks are independent and their spread stays; None where they are too few, or nobody asked.

    The estimate of a first-order correlation from n values lies (1 + 4 r) / n too low (Marriott and Pope 1954).
    """
    count = len(logs)
    if count < CHECKED_BLOCKS or not plan.stop.checked:
        return None
    values = np.asarray(logs, dtype=float)
    apart = values - values.mean()
    if not apart.any():
        return Steadiness(1.0, 0.0)
    raw = float((apart[1:] * apart[:-1]).sum() / (apart**2).sum())
    first, later = (float(some.std(ddof=1)) for some in (values[:FIRST_STAGE], values[FIRST_STAGE:]))
    return Steadiness(later / first if first else math.inf, (count * raw + 1) / (count - 4))


def _wider(logs: Sequence[float], steady: Steadiness) -> list[tuple[float, int]]:
    """Return (standard error, degrees of freedom) of intervals that hold where an assumption does not."""
    values, count, found = np.asarray(logs, dtype=float), len(logs), []
    if steady.spread > SPREAD_CHANGED:
        # Two strata of unlike spread; degrees of freedom by Welch (1947) and Satterthwaite (1946).
        parts = [(some.var(ddof=1) * len(some) / count**2, len(some) - 1) for some in np.split(values, [FIRST_STAGE])]
        total = sum(part for part, _ in parts)
        freedom = total**2 / sum(part**2 / own for part, own in parts)
        found.append((math.sqrt(total), max(1, round(freedom))))
    if steady.correlation > CORRELATED:
        # As many independent blocks as tell as much (Bayley and Hammersley 1946), for a first-order correlation.
        correlation = min(steady.correlation, 0.9)
        fold = (1 + correlation) / (1 - correlation)
        # The spread of correlated values is seen too small by as much as their mean moves with them.
        spread = float(values.std(ddof=1)) * (math.sqrt(count / (count - fold)) if count > fold else 2.0)
        found.append((spread * math.sqrt(fold / count), max(2, int(count / fold) - 1)))
    return found


def _logs(plan: Plan, results: Sequence[TrialResult]) -> list[float]:
    """Return the logarithm of b's cost in a's, of each block in which both count."""
    costs: dict[int, dict[str, float]] = {}
    for result in results:
        asked = result.trial.method == plan.paired and result.trial.load.kind == plan.cells[0].load.kind
        if asked and is_valid(result):
            for seat, served in zip(result.trial.seats, result.served, strict=True):
                cost = served.cpu_per_call_us(result.trial.load)
                assert cost is not None  # noqa: S101 - a valid trial has acknowledged calls
                costs.setdefault(result.trial.block, {})[seat.role] = cost
    return [math.log(block[B] / block[A]) for block in costs.values() if {A, B} <= set(block)]


def needed(plan: Plan, logs: Sequence[float]) -> float:
    """Return how many blocks give the wanted precision, by the spread of the first stage."""
    if not plan.stop.precision_pct:
        return math.inf
    wanted = math.log1p(plan.stop.precision_pct / 100)
    spread = float(np.std(logs[:FIRST_STAGE], ddof=1))
    return math.ceil((statistics.standard_errors(FIRST_STAGE - 1, plan.stop.looks) * spread / wanted) ** 2)
