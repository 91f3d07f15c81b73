"""What the way to the owner and back costs on engine threads, way by way: CPU per call in threads/mutex's.

    python bench/hops.py [BLOCKS]

Each way (bench/hop_server.py) in joint trials with mutex and with the inputQ that perfkit has.
"""

import random
import sys
from pathlib import Path

from hop_server import HANDED_OVER, WAYS
from tqdm import tqdm

from perfkit.analysis import statistics
from perfkit.design.arms import parse_arm
from perfkit.design.plan import JOINT, A, B, Load, Seat, Trial
from perfkit.record.validity import INVALIDATING, flags
from perfkit.rig import generators, trial

WORKERS = 10
LOAD = Load(vus=20, warmup_s=1, duration_s=2)


def main(blocks=8):
    programs, placement = generators.find(), trial.place(pin=True)
    server = Path(__file__).with_name("hop_server.py")
    ours = (Seat(A, parse_arm("threads/mutex", WORKERS)), Seat(B, parse_arm("threads/inputQ", WORKERS)))
    ways = [*WAYS, HANDED_OVER]
    others = {
        way: Seat(way, parse_arm(f"exec:'{sys.executable}' '{server}' {{port}} {WORKERS} {way}", WORKERS))
        for way in ways
    }
    costs = {way: [] for way in (B, *ways)}
    for block in tqdm(range(blocks), unit="block"):
        for way in random.sample(ways, len(ways)):
            seats = (*ours, others[way])
            one = Trial(block, JOINT, tuple(random.sample(seats, len(seats))), LOAD)
            result, _ = trial.measure(one, 0, programs, placement)
            if broken := set(flags(result)) & INVALIDATING:
                raise SystemExit(f"block {block}, {way}, does not count: {broken}")
            cost = {
                seat.role: served.cpu_per_call_us(LOAD) for seat, served in zip(one.seats, result.served, strict=True)
            }
            for role in (B, way):
                costs[role].append(cost[role] / cost[A])
    for way, ratios in costs.items():
        mean = statistics.mean(ratios, logarithmic=True)
        name = "answered by the owner" if way == B else way
        print(f"{name:22} {mean.estimate:.3f} ({mean.low:.3f} to {mean.high:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
