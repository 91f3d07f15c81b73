"""What a cluster costs: an agent at rest, a trial beside one on this machine, merging, the coordinator's traffic.

    python bench/cluster.py [--trials 10] [--seconds 30]

Its hosts are a Dask scheduler and three workers on addresses of loopback: it needs no root, and says nothing of a
network.
"""

import argparse
import logging
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from perfkit.design.arms import parse_arm
from perfkit.design.plan import SOLO, A, Cell, Load, Plan, Seat, StopRule
from perfkit.manifests import VARIABLES, WORKER
from perfkit.record.calls import Distribution
from perfkit.record.merging import GRID, merged
from perfkit.rig import family, host
from perfkit.rig.bench import Bench
from perfkit.rig.cluster.told import Loaded
from perfkit.rig.generators.contract import PERCENTILES
from perfkit.rig.where import having

SCHEDULER, HOSTS = "127.0.0.9", {"s": "127.0.0.2", "g1": "127.0.0.3", "g2": "127.0.0.4"}

SAMPLES = 100_000
"""Calls that each host has seen, where merging is timed."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10, help="of each kind (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="that an agent rests (%(default)s)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # that loopback is neither encrypted nor shared
    print(f"{host.collect({'k6': ''}).cpu_model}, {time.strftime('%Y-%m-%d')}")
    load = Load(10, 0.3, 1.0)
    plan = Plan(
        "sweep", (Cell(SOLO, (Seat(A, parse_arm("mutex", 10)),), load),), StopRule(options.trials), 3, False, True, 1
    )
    with ExitStack() as stack:
        workers = stack.enter_context(_cluster(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        address = f"tcp://{SCHEDULER}:8786"
        there = stack.enter_context(having([load], cluster=address, server_on="s"))
        here = stack.enter_context(having([load]))
        _rest(workers["s"], there, plan, options.seconds)
        _trials({"here": here, "cluster": there}, plan, options.trials)
    _merging()
    return 0


@contextmanager
def _cluster(folder: Path) -> Iterator[dict[str, int]]:
    """Start a scheduler and workers; give host → pid."""
    with ExitStack() as stack:

        def start(name: str, *words: str) -> int:
            (folder / name).mkdir()
            argv = [sys.executable, "-m", f"distributed.cli.{words[0]}", *words[1:]]
            variables = {**os.environ, **VARIABLES, "TMPDIR": str(folder / name)}
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(argv, env=variables, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process.pid

        start("scheduler", "dask_scheduler", "--host", SCHEDULER, "--port", "8786", "--no-dashboard")
        address = f"tcp://{SCHEDULER}:8786"
        yield {
            name: start(name, "dask_worker", address, "--host", where, "--name", name, *WORKER)
            for name, where in HOSTS.items()
        }


def _rest(pid: int, bench: Bench, plan: Plan, seconds: float) -> None:
    with bench.session(plan, Path()):
        time.sleep(2)
        began, used_ns = time.monotonic(), family.cpu_ns(family.members(pid))
        time.sleep(seconds)
        used_s = (family.cpu_ns(family.members(pid)) - used_ns) / 1e9
    print(f"agent at rest on the servers' host: {used_s / (time.monotonic() - began) * 100:.2f} % of a core")


def _trials(benches: dict[str, Bench], plan: Plan, trials: int) -> None:
    took_s: dict[str, list[float]] = {name: [] for name in benches}
    told_kb = []
    with ExitStack() as stack:
        measures = {name: stack.enter_context(one.session(plan, Path())) for name, one in benches.items()}
        for block in range(trials):
            for name, measure in measures.items():
                result, summaries = measure(plan.block(block)[0], 0)
                took_s[name].append(result.took_s)
                if name == "cluster":
                    calls = tuple(one.calls for one in result.served)
                    told_kb += [len(pickle.dumps(Loaded(calls, None, summary))) / 1e3 for summary in summaries]
    middle = {name: statistics.median(several) for name, several in took_s.items()}
    print(f"a trial with a window of 1 s: {middle['here']:.2f} s here, {middle['cluster']:.2f} s on three hosts")
    print(f"a host tells the coordinator {statistics.median(told_kb):.0f} kB a trial")


def _merging() -> None:
    random = np.random.default_rng(1)
    for hosts in (2, 10, 100):
        several = []
        for _ in range(hosts):
            samples = random.lognormal(0, 0.5, SAMPLES)
            at = np.percentile(samples, [float(one) for one in GRID])
            percentiles = dict(zip(GRID, map(float, at), strict=True))
            several.append(Distribution(SAMPLES, samples.mean(), samples.min(), samples.max(), percentiles))
        began = time.perf_counter()
        found = merged(several, PERCENTILES)
        took_ms = (time.perf_counter() - began) * 1e3
        widest = max(found.bracket(one) or 0 for one in ("50", "90", "95", "99")) * 100
        print(
            f"merging {hosts} hosts of {SAMPLES:,} calls: {took_ms:.0f} ms, brackets to p99 at most {widest:.2f} % wide"
        )


if __name__ == "__main__":
    sys.exit(main())
