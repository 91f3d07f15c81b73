"""What servers can do on one core, by both load generators: calls a second, CPU per call, and how busy everybody was.

    python bench/capacity.py [--arms A,B] [--vus 20,100] [--repeats N] [--generators k6,h2load] [--out DIR]

Solo trials, in blocks. A line an arm, a number of VUs and a generator: geometric means over blocks with their 95 %
intervals. A server under 0.97 of its core waited for its load, so its throughput is no capacity. Last: in how many of
the trials by h2load its counts and the server's agree (acknowledged ≤ final ≤ sent). Started again with the same
`--out`, it goes on.
"""

import argparse
import sys
from pathlib import Path

from perfkit.analysis import statistics
from perfkit.analysis.comparison import BUSY
from perfkit.checkout import RUNS
from perfkit.design.factors import H2LOAD
from perfkit.errors import PerfkitError
from perfkit.record.load import load, load_finished
from perfkit.studies import sweep
from perfkit.studies.common import campaign

ARMS = "threads/mutex,threads/inputQ,native/mutex,native/inputQ?batch=64"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="capacity.py", allow_abbrev=False)
    parser.add_argument("--arms", default=ARMS, help="with commas between (%(default)s)")
    parser.add_argument("--vus", default="20,100", help="with commas between (%(default)s)")
    parser.add_argument("--repeats", default=3, help="blocks (%(default)s)")
    parser.add_argument("--generators", default="k6,h2load", help="with commas between (%(default)s)")
    parser.add_argument("--out", type=Path, default=RUNS / "capacity", help="folder of the runs (%(default)s)")
    options = parser.parse_args(arguments)
    asked = {"vus": f"{options.vus},", "arms": options.arms, "repeats": options.repeats, "duration_s": 2,
             "method": "solo"}  # fmt: skip
    try:
        plans = {name: sweep.STUDY.plan(**asked, generator=name) for name in options.generators.split(",")}
        print("| arm | VUs | generator | calls/s | CPU per call (µs) | server (cores) | generator busy |")
        print("|---|---|---|---|---|---|---|")
        folders = dict(zip(plans, campaign.measure(plans, options.out), strict=True))
    except PerfkitError as error:
        parser.error(str(error))
    tables = {name: load(folder) for name, folder in folders.items()}
    for arm in dict.fromkeys(arm for table in tables.values() for arm in table["arm"]):
        for vus in sorted({vus for table in tables.values() for vus in table["vus"]}):
            for name, table in tables.items():
                trials = table[table["valid"] & (table["arm"] == arm) & (table["vus"] == vus)]
                print(f"| {arm} | {vus} | {name} | {line(trials)} |")
    if H2LOAD in folders:
        checked = [
            one.calls.acknowledged_total <= one.final_count <= one.calls.sent_total
            for result in load_finished(folders[H2LOAD])
            for one in result.served
        ]
        print(f"\nh2load's counts and the server's agree in {sum(checked)} of {len(checked)} trials.")
    return 0


def line(trials):
    """Return the cells of a row."""
    served, cost = (
        statistics.mean(trials[name].tolist(), logarithmic=True) for name in ("throughput_rps", "cpu_per_call_us")
    )
    cores = trials["server_cores"].mean()
    waits = ", waited" if cores < BUSY else ""
    return " | ".join(
        (told(served, ".0f"), told(cost, ".1f"), f"{cores:.2f}{waits}", f"{trials['generator_busy'].mean():.2f}")
    )


def told(mean, form):
    if mean.low is None:
        return f"{mean.estimate:{form}}"
    return f"{mean.estimate:{form}} ({mean.low:{form}} to {mean.high:{form}})"


if __name__ == "__main__":
    sys.exit(main())
