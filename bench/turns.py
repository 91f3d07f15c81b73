"""How long a turn must be: comparisons by turns of several lengths, next to solo trials, at several numbers of VUs.

    python bench/turns.py [--lengths 10,20,50,100] [--vus 20,100,500] [--budget-s N] [--arms A,B] [--out DIR]
    python bench/turns.py --idle

A line a comparison: b's CPU per call in a's and its throughput, the A/A control, the handicap, what a call of a costs,
how late turns ended, and which part of its cores k6 used. Started again with the same `--out`,
it goes on where it stopped. With `--idle`: what being stopped and continued costs a server that nobody calls, by its
number of worker threads, all of which a continued process wakes.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from perfkit.checkout import RUNS
from perfkit.design.arms import parse_arm
from perfkit.design.plan import A, B
from perfkit.errors import PerfkitError
from perfkit.record.load import load, load_finished
from perfkit.rig import family, trial
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from perfkit.rig.trial import turns
from perfkit.studies import compare
from perfkit.studies.common import campaign


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="turns.py", allow_abbrev=False)
    parser.add_argument("--lengths", default="10,20,50,100", help="of a turn, in ms (%(default)s)")
    parser.add_argument("--vus", default="20,100,500", help="at each server (%(default)s)")
    parser.add_argument("--arms", default="threads/mutex,threads/inputQ", help="a and b (%(default)s)")
    parser.add_argument("--budget-s", default=40, help="seconds of each comparison by turns (%(default)s)")
    parser.add_argument("--solo-budget-s", default=120, help="seconds of each by solo trials (%(default)s)")
    parser.add_argument("--joint", action="store_true", help="joint trials too, as long as those by turns")
    parser.add_argument("--out", type=Path, default=RUNS / "turns", help="folder of the runs (%(default)s)")
    parser.add_argument("--idle", action="store_true", help="what turns cost an idle server")
    options = parser.parse_args(arguments)
    if options.idle:
        print("\n".join(idle(workers) for workers in (1, 10, 100)))
        return 0
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
        heads = ("", "CPU per call", "throughput", "A/A", "handicap", "a (µs)", "late p95", "k6", "blocks, s")
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
        for folder in campaign.measure(plans, options.out):
            print(line(folder), flush=True)
    except PerfkitError as error:
        parser.error(str(error))
    return 0


def idle(workers, turn_ms=20, seconds=4.0):
    """Let two idle servers take turns, and say what a turn cost them."""
    place = trial.place(pin=True)
    arm = parse_arm("threads/mutex", workers)
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(arm, Place(place.server))) for _ in range(2)]
        for server in servers:
            server.ready()
        pids = [server.pid for server in servers]
        now = time.monotonic()
        before = family.cpu_ns(pids)
        with turns.turns(
            [turns.Team([[pid]]) for pid in pids], turn_ms, (now, now + seconds), "idle", place.generator
        ) as running:
            time.sleep(seconds)
            report, _ = running.end()
            cost_us = (family.cpu_ns(pids) - before) / 1e3 / report.count
    return (
        f"{workers} workers: {cost_us:.0f} µs of CPU a turn, {cost_us / turn_ms / 10:.2f} % of a turn of {turn_ms} ms; "
        f"stopping took {report.switch_ms['p50']:.2f} ms (median)"
    )


def line(folder):
    """Return a row of the table."""
    answer = compare.answer(folder)
    method = answer.plan.paired
    table = load(folder, method)
    own = table[table["valid"] & (table["role"] == A)]
    reports = [result.turns for result in load_finished(folder) if result.turns]
    late = f"{max(one.late_ms['p95'] for one in reports):.1f} ms" if reports else ""
    throughput = answer.solo.get("throughput") if method == "solo" else answer.throughput
    cells = (
        folder.name,
        size(answer.cpu_per_call),
        size(throughput),
        size(answer.controls["aa"].result) if answer.controls else "-",
        size(answer.controls["handicap"].result) if answer.controls else "-",
        f"{own['cpu_per_call_us'].mean():.1f}",
        late,
        f"{table.loc[table['role'].isin((A, B)), 'generator_busy'].mean():.2f}",
        f"{answer.blocks}, {answer.seconds:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def size(ratio):
    """Return a ratio with half its interval's width."""
    return f"{ratio.ratio:.3f} ± {ratio.half_width_pct:.1f} %" if ratio else "-"


if __name__ == "__main__":
    sys.exit(main())
