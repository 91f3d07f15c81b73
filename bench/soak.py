"""Whether any engine loses an update, or gathers memory, threads, files or processes under long load.

    python bench/soak.py [--vus N] [--duration-s N] [--arms A,B]

A line an arm: acknowledged calls, and memory, threads and files of the server five seconds after the load began and at
its end. Exit code 1 where an update was lost, a call failed, or something was left.
"""

import argparse
import sys
import time

import psutil

from perfkit.design.arms import parse_arms
from perfkit.design.plan import Load
from perfkit.rig import trial
from perfkit.rig.generators import k6
from perfkit.rig.generators.contract import Target
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from perfkit.studies import engines

SETTLED_S = 5.0
"""When all connections are made and pools are filled."""

GROWTH_MB = 10.0
"""Memory that may come and go: more is a leak, of 30 bytes a call or more at 5,000 calls a second for a minute."""


SPARE_THREADS = 4
"""that grpcio's own pool may gain; a leak would be one a call"""


def main():
    parser = argparse.ArgumentParser(prog="soak.py", allow_abbrev=False)
    parser.add_argument("--vus", type=int, default=500)
    parser.add_argument("--duration-s", type=float, default=60)
    parser.add_argument("--arms", default=f"{engines.REFERENCE},{engines.ARMS}")
    options = parser.parse_args()
    load = Load(options.vus, warmup_s=2, duration_s=options.duration_s)
    clean = [soaked(arm, load) for arm in parse_arms(options.arms, workers=10)]
    return 0 if all(clean) else 1


def soaked(arm, load):
    """Load one arm, print what came of it, and return whether all is as it should be."""
    placement, own = trial.place(pin=True), psutil.Process()
    with serving(arm, Place(placement.server)) as server:
        server.ready()
        address = server.address
        with k6.running(k6.find(), [Target(address)], load, Place(placement.generator)) as running:
            window = running.window()
            early, late = (_looked(server.pid, at) for at in (window.from_ms / 1e3 + SETTLED_S, window.until_ms / 1e3))
            calls = k6.calls(running.finish(60), 0)
        final_count = server.stop().increments
    left = own.children(recursive=True)
    lost = calls.acknowledged_total - final_count
    fine = lost == 0 and calls.failed_total == 0 and not left
    fine = fine and late[0] < early[0] + GROWTH_MB and late[1] <= early[1] + SPARE_THREADS and late[2] <= early[2]
    print(
        f"{arm.name}: {calls.acknowledged_total:,} calls, {lost} lost, {calls.failed_total} failed; "
        f"RSS {early[0]:.1f} MB, then {late[0]:.1f} MB; threads {early[1]}, then {late[1]}; "
        f"files {early[2]}, then {late[2]}; "
        f"{len(left)} processes left: {'as it should be' if fine else 'LOOK'}",
        flush=True,
    )
    return fine


def _looked(pid, at_s):
    """Wait until then; return memory in MB, threads and files."""
    time.sleep(max(0.0, at_s - time.time()))
    server = psutil.Process(pid)
    return server.memory_info().rss / 1e6, server.num_threads(), server.num_fds()


if __name__ == "__main__":
    sys.exit(main())
