"""What the way to the owner and back costs on engine threads, way by way: CPU per call in threads/mutex's.

    python bench/hops.py [--budget-s N] [--out DIR]

A comparison by turns for each way (bench/hop_server.py) and for the inputQ that perfkit has. Started again with the
same `--out`, it goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path

from hop_server import HANDED_OVER, WAYS

from perfkit.checkout import RUNS
from perfkit.errors import PerfkitError
from perfkit.show import words
from perfkit.studies import compare
from perfkit.studies.common import campaign

WORKERS = 10
VUS = 20


def main():
    parser = argparse.ArgumentParser(prog="hops.py", allow_abbrev=False)
    parser.add_argument("--budget-s", default=45, help="seconds of each comparison (%(default)s)")
    parser.add_argument("--out", type=Path, default=RUNS / "hops", help="folder of the runs (%(default)s)")
    options = parser.parse_args()
    server = Path(__file__).with_name("hop_server.py")
    arms = {"answered by the owner": "threads/inputQ"}
    arms |= {way: f"exec:'{sys.executable}' '{server}' {{port}} {WORKERS} {way}" for way in (*WAYS, HANDED_OVER)}
    asked = {"a": "threads/mutex", "vus": VUS, "workers": WORKERS, "budget_s": options.budget_s, "precision_pct": 0}
    try:
        plans = {name.replace(" ", "-"): compare.STUDY.plan(b=arm, **asked) for name, arm in arms.items()}
        for name, folder in zip(arms, campaign.measure(plans, options.out), strict=True):
            answer = compare.answer(folder)
            cost = answer.cpu_per_call
            said = words.times(cost) if cost else "no two trials that count"
            trust = "" if answer.is_trusted else ", not trusted"
            print(f"{name:22} {said}, {answer.blocks} blocks{trust}", flush=True)
    except PerfkitError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
