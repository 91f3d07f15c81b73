"""How much more capacity than the textbook's server: both at once on one core under one k6, fresh in each block.

    python bench/textbook.py [BLOCKS [WORKERS]]

Capacity is acknowledged calls per CPU second of the server. Ends with exit code 1 under the target.
"""

import random
import sys
from pathlib import Path

from tqdm import tqdm

from perfkit import k6, runner, statistics
from perfkit.arms import parse_arm
from perfkit.plan import A, B, Load, Seat, Trial
from perfkit.results import INVALIDATING, flags

TARGET = 1.08
LOAD = Load(vus=10, warmup_s=1, duration_s=3)


def main(blocks: int = 12, workers: int = 10) -> int:
    program, placement = k6.find(), runner.place(pin=True)
    server = Path(__file__).with_name("textbook_server.py")
    textbook = parse_arm(f"exec:'{sys.executable}' '{server}' {{port}} {workers}", workers)
    seats = [Seat(A, textbook), Seat(B, parse_arm("threads/mutex", workers))]
    ratios = []
    for block in tqdm(range(blocks), unit="block"):
        trial = Trial(block, tuple(random.sample(seats, 2)), LOAD)
        result, _ = runner.measure(trial, 0, program, placement)
        if broken := set(flags(result)) & set(INVALIDATING):
            raise SystemExit(f"block {block} does not count: {broken}")
        cost = {seat.role: one.cpu_per_call_us(LOAD) for seat, one in zip(trial.seats, result.served, strict=True)}
        ratios.append(cost[A] / cost[B])
    found = statistics.mean(ratios, logarithmic=True)
    print(
        f"capacity, perfkit's threads/mutex against the textbook's, {workers} workers, {blocks} blocks: "
        f"{found.estimate:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}); target {TARGET}"
    )
    return 0 if found.estimate >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
