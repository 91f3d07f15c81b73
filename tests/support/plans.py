"""Plans and loads, small ones."""

from perfkit.design.arms import Arm
from perfkit.design.plan import SOLO, A, Load, Plan, Seat, Trial
from perfkit.studies import compare, sweep

SMALL = {"vus": "2,5", "method": "solo", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 2}
"""A sweep of a dozen seconds."""

SMALL_COMPARISON = {"vus": 5, "duration_s": 0.7, "warmup_s": 0.3, "budget_s": 5}


def plan_sweep(**values: object) -> Plan:
    return sweep.STUDY.plan(**values)


def plan_compare(**values: object) -> Plan:
    return compare.STUDY.plan(**values)


def solo(arm: Arm, load: Load, block: int = 0) -> Trial:
    return Trial(block, SOLO, (Seat(A, arm),), load)
