"""Do trials by turns say what solo trials say? Both in the same blocks, at several numbers of VUs.

    python bench/agreement.py [--vus 10,20,100,500] [--budget-s N] [--joint-budget-s N] [--arms A,B] [--out DIR]

Of b and of the handicap, each in a, a line a metric: the ratio by turns, by solo trials of the same blocks, and by how
much they are apart, block by block, with its 95 % interval. Then how many of these contain no difference, and the mean
over all levels. Joint trials of runs of their own stand beside them. Started again with the same `--out`, it goes on.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from perfkit.analysis import controls, statistics
from perfkit.checkout import RUNS
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.plan import B
from perfkit.errors import PerfkitError
from perfkit.studies import compare
from perfkit.studies.common import campaign

METRICS = {"cpu_per_call_us": "CPU per call", "throughput_rps": "throughput"}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="agreement.py", allow_abbrev=False)
    parser.add_argument("--vus", default="10,20,100,500", help="at each server (%(default)s)")
    parser.add_argument("--arms", default="threads/mutex,threads/inputQ", help="a and b (%(default)s)")
    parser.add_argument("--budget-s", default=430, help="seconds of each, a third of them by turns (%(default)s)")
    parser.add_argument("--joint-budget-s", default=60, help="seconds of each joint comparison; 0: none (%(default)s)")
    parser.add_argument("--out", type=Path, default=RUNS / "agreement", help="folder of the runs (%(default)s)")
    options = parser.parse_args(arguments)
    a, b = options.arms.split(",")
    plans = {}
    try:
        for vus in options.vus.split(","):
            base = {"a": a, "b": b, "vus": vus, "precision_pct": 0}
            plans[f"{vus}-vus"] = compare.STUDY.plan(**base, solo=True, budget_s=options.budget_s)
            if float(options.joint_budget_s):
                plans[f"{vus}-vus-joint"] = compare.STUDY.plan(**base, method="joint", budget_s=options.joint_budget_s)
        print("| VUs | | metric | by turns | solo | apart | joint |\n|---|---|---|---|---|---|---|")
        folders = dict(zip(plans, campaign.measure(plans, options.out), strict=True))
        apart = [
            one
            for name, both in folders.items()
            if not name.endswith("joint")
            for one in lines(both, folders.get(f"{name}-joint"))
        ]
    except PerfkitError as error:
        parser.error(str(error))
    holding = sum(one.low <= 1 <= one.high for one in apart)
    logs = [math.log(one.ratio) for one in apart]
    print(f"\n{holding} of {len(apart)} differences contain none.")
    for metric, name in METRICS.items():
        some = [math.log(one.ratio) for one in apart if one.metric == metric]
        print(
            f"{name}: {np.expm1(np.mean(some)) * 100:+.2f} % apart on average; sd {np.std(some, ddof=1) * 100:.2f} %."
        )
    print(f"Everything: {np.expm1(np.mean(logs)) * 100:+.2f} % apart on average.")
    return 0


def lines(both, joint):
    """Print a level's lines; return by how much the methods are apart, as ratios of ratios."""
    plan, turns, solo = compare.tables(both)
    together = compare.tables(joint)[1] if joint else None
    found = []
    for who, roles in ((B, (B,)), ("handicap", tuple(HANDICAPS_PCT))):
        for metric, name in METRICS.items():
            by_turns, alone = (logs(table, metric, roles) for table in (turns, solo))
            apart = ratio((by_turns - alone).dropna(), metric, plan.vus)
            cells = (
                plan.vus, who, name, told(ratio(by_turns, metric, plan.vus)), told(ratio(alone, metric, plan.vus)),
                told(apart), told_joint(together, metric, roles, plan.vus),
            )  # fmt: skip
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            found.append(apart)
    return found


def logs(table, metric, roles):
    """Return the logarithms of a seat's ratio to a, by block; of a handicap whichever size it had."""
    wide = controls.by_block(table, metric)
    return pd.concat([controls.role_logs(wide, role) for role in roles]).sort_index()


def ratio(some, metric, vus):
    return statistics.from_logs(metric, "", "", [vus], some.tolist())


def told_joint(together, metric, roles, vus):
    """Say what joint trials have: CPU per call alone, for their throughput is of a shared core."""
    asked = together is not None and metric == "cpu_per_call_us"
    return told(ratio(logs(together, metric, roles), metric, vus)) if asked else ""


def told(one):
    return f"{one.ratio:.3f} ± {one.half_width_pct:.1f} % ({one.blocks})"


if __name__ == "__main__":
    sys.exit(main())
