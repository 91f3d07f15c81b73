"""When a run ends, and the interval that is valid under that rule.

Stein's two stages (1945, Annals of Mathematical Statistics 16): the spread of the first FIRST_STAGE blocks says how
many are needed for the wanted precision; the interval then uses that first spread, whatever came later, and so holds
its level exactly. The budget cuts this short, never before FEWEST_BLOCKS.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perfkit.analysis import statistics
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import A, B, Plan
from perfkit.record.results import TrialResult
from perfkit.record.validity import is_valid

FEWEST_BLOCKS = 6

FIRST_STAGE = 8
"""Blocks of the stop rule's first stage."""


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
    logs = _logs(plan, results)
    return len(logs) >= FIRST_STAGE and len(logs) >= needed(plan, logs)


def primary(plan: Plan, logs: Sequence[float]) -> Ratio:
    """Return the ratio b to a with the interval that is valid under the stop rule."""
    plain = statistics.from_logs("cpu_per_call_us", B, A, [plan.vus], logs)
    if not plan.stop.precision_pct or len(logs) <= FIRST_STAGE:
        return plain  # nothing looked at the data before the end
    freedom = FIRST_STAGE - 1
    error = float(np.std(logs[:FIRST_STAGE], ddof=1)) / math.sqrt(len(logs))
    middle, reach = math.log(plain.ratio), statistics.quantile(freedom) * error
    return replace(
        plain,
        low=math.exp(middle - reach),
        high=math.exp(middle + reach),
        p_value=statistics.p_value(middle, error, freedom),
        detectable_pct=statistics.detectable_pct(error, freedom),
    )


def _logs(plan: Plan, results: Sequence[TrialResult]) -> list[float]:
    """Return the logarithm of b's cost in a's, of each block in which both count."""
    costs: dict[int, dict[str, float]] = {}
    for result in results:
        if result.trial.method == plan.paired and is_valid(result):
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
    return math.ceil((statistics.quantile(FIRST_STAGE - 1) * spread / wanted) ** 2)
