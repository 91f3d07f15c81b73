"""Tables of a sweep whose true ratio is known."""

import math

import numpy as np
import pandas as pd

A, B = "threads/mutex?workers=10", "threads/inputQ?workers=10"


def table(ratio=1.05, blocks=6, levels=(10, 100), noise=0.01, drift=0.2, seed=0, **columns):
    """Trials whose true ratio B to A is known: blocks drift far more than arms differ."""
    random = np.random.default_rng(seed)
    rows = []
    for block in range(blocks):
        speed = math.exp(random.normal(0, drift))
        for vus in levels:
            for arm, factor in ((A, 1.0), (B, ratio)):
                value = 100 * speed * factor * math.exp(random.normal(0, noise))
                rows.append(
                    {"block": block, "vus": vus, "arm": arm, "throughput_rps": value, "cpu_per_call_us": value,
                     "complete": True, "valid": True, "flags": ""}
                )  # fmt: skip
    return pd.DataFrame(rows).assign(**columns)
