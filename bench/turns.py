"""How long a turn must be: comparisons by turns of several lengths, next to solo trials, at several numbers of VUs.

    python bench/turns.py [--lengths 20,50,100,250] [--vus 20,100,500] [--budget-s N] [--arms A,B] [--out DIR]

A line a comparison: b's CPU per call in a's and its throughput, the A/A control, the handicap, what a call of a costs,
the part of a turn's calls that were ready when it began, and how late turns ended. Started again with the same `--out`,
it goes on where it stopped.
"""

import argparse
import sys
from pathlib import Path

from perfkit.design.plan import A, B
from perfkit.errors import PerfkitError
from perfkit.record.load import load, load_finished
from perfkit.record.runs import RUNS
from perfkit.rig import k6
from perfkit.studies import campaign, compare


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="turns.py", allow_abbrev=False)
    parser.add_argument("--lengths", default="20,50,100,250", help="of a turn, in ms (%(default)s)")
    parser.add_argument("--vus", default="20,100,500", help="at each server (%(default)s)")
    parser.add_argument("--arms", default="threads/mutex,threads/inputQ", help="a and b (%(default)s)")
    parser.add_argument("--budget-s", default=40, help="seconds of each comparison by turns (%(default)s)")
    parser.add_argument("--solo-budget-s", default=120, help="seconds of each by solo trials (%(default)s)")
    parser.add_argument("--joint", action="store_true", help="joint trials too, as long as those by turns")
    parser.add_argument("--out", type=Path, default=RUNS / "turns", help="folder of the runs (%(default)s)")
    options = parser.parse_args(arguments)
    a, b = options.arms.split(",")
    plans = {}
    try:
        for vus in options.vus.split(","):
            base = {"a": a, "b": b, "vus": vus, "precision_pct": 0}
            for length in filter(None, options.lengths.split(",")):
                plans[f"{vus}-vus-turns-{length}"] = compare.STUDY.plan(
                    **base, turn_ms=length, budget_s=options.budget_s
                )
            if options.joint:
                plans[f"{vus}-vus-joint"] = compare.STUDY.plan(**base, method="joint", budget_s=options.budget_s)
            plans[f"{vus}-vus-solo"] = compare.STUDY.plan(**base, method="solo", budget_s=options.solo_budget_s)
        heads = ("", "CPU per call", "throughput", "A/A", "handicap", "a (µs)", "ready", "late p95", "k6", "blocks, s")
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        for folder in campaign.measure(plans, options.out, k6.find()):
            print(line(folder), flush=True)
    except PerfkitError as error:
        parser.error(str(error))
    return 0


def line(folder):
    """Return a row of the table."""
    answer = compare.answer(folder)
    method = answer.plan.paired
    table = load(folder, method)
    own = table[table["valid"] & (table["role"] == A)]
    turns = [result.turns for result in load_finished(folder) if result.turns]
    late = f"{max(one.late_ms['p95'] for one in turns):.1f} ms" if turns else ""
    throughput = answer.solo.get("throughput") if method == "solo" else answer.throughput
    cells = (
        folder.name,
        size(answer.cpu_per_call),
        size(throughput),
        size(answer.controls["aa"].result) if answer.controls else "-",
        size(answer.controls["handicap"].result) if answer.controls else "-",
        f"{own['cpu_per_call_us'].mean():.1f}",
        f"{answer.backlog_share * 100:.0f} %" if answer.backlog_share else "",
        late,
        f"{table.loc[table['role'].isin((A, B)), 'k6_busy'].mean():.2f}",
        f"{answer.blocks}, {answer.seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def size(ratio):
    """Return a ratio with half its interval's width."""
    return f"{ratio.ratio:.3f} ± {ratio.half_width_pct:.1f} %" if ratio else "-"


if __name__ == "__main__":
    sys.exit(main())
