"""Tables of trials whose true ratios are known, and what a comparison says of them."""

import math

import numpy as np
import pandas as pd

from perfkit.analysis import comparison, controls, stopping
from tests.support.plans import plan_compare

PLAN = plan_compare(method="joint")
NO_SOLO = pd.DataFrame(columns=["block", "method", "role", "vus", "took_s", "valid", "complete", "flags"])


def joint(ratio=1.05, blocks=12, sd=0.005, aa=1.0, handicap=1.12, base_us=100.0, drift=0.1, seed=0, flags=""):
    """Joint trials whose true ratios are known; the machine drifts far more than the arms differ."""
    random = np.random.default_rng(seed)
    rows = []
    for block in range(blocks):
        speed = math.exp(random.normal(0, drift))
        for role, true in (("a", 1.0), ("aa", aa), ("handicap", handicap), ("b", ratio)):
            cost = base_us * speed * true * math.exp(random.normal(0, sd))
            rows.append(
                {"block": block, "attempt": 0, "method": "joint", "role": role, "vus": 20,
                 "cpu_per_call_us": cost, "burn_us": 10 * (role == "handicap"), "took_s": 4.0, "valid": True,
                 "complete": True, "flags": flags, "started_at": f"{block}", "rate": None,
                 "server_cpu_s": 1.0, "own_s": 1.0}
            )  # fmt: skip
    return pd.DataFrame(rows)


def alone(ratio=1.05, blocks=12, sd=0.03, handicap=1.12, seed=1, flags="", valid=True):
    """Solo trials in the same blocks, each at a speed of its own; latency and throughput differ by the same ratio."""
    random = np.random.default_rng(seed)
    rows = []
    for block in range(blocks):
        for role, true in (("a", 1.0), ("handicap", handicap), ("b", ratio)):
            cost = 100.0 * true * math.exp(random.normal(0, sd))
            rows.append(
                {"block": block, "attempt": 0, "method": "solo", "role": role, "vus": 20,
                 "cpu_per_call_us": cost, "took_s": 3.0,
                 "valid": valid, "complete": True, "flags": flags, "started_at": f"{block}{role}",
                 "rate": None, "server_cpu_s": 1.0, "own_s": 1.0,
                 "throughput_rps": 1e6 / cost, "p50_ms": cost / 5, "p95_ms": cost / 4, "p99_ms": cost / 3}
            )  # fmt: skip
    return pd.DataFrame(rows)


def answer(plan=PLAN, **options):
    return comparison.answer(plan, joint(**options), NO_SOLO)


def primary(plan, **options):
    """What `answer` says first, without the rest, for simulations."""
    return stopping.primary(plan, controls.role_logs(controls.by_block(joint(**options)), "b").tolist())


def by_turns(flags="", **options):
    table = joint(flags=flags, **options).assign(method="turns")
    return table.assign(throughput_rps=1e6 / table["cpu_per_call_us"])
