"""How far copies of one server differ in CPU per call by where their memory lies, and whether it moves b's ratio to a.

    python bench/layout.py [BLOCKS]

Three ways, in turn in each block: laid out at random, as Linux does; alike; and alike but elsewhere in each block.
"""

import math
import random
import resource
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tqdm import tqdm

from perfkit.design.arms import parse_arm
from perfkit.design.plan import AA, JOINT, A, B, Load, Seat, Trial
from perfkit.rig import generators, trial

LOAD = Load(vus=20, warmup_s=1, duration_s=2)

WAYS = ("at random", "alike", "alike, elsewhere in each block")

PAGE, PAGES, LEAST_STACK = 4096, 1 << 15, 256 << 20
"""Where libraries and heaps lie depends on the limit of the stack, from 128 MB on; so shift it by some pages."""


def main(blocks: int = 10) -> int:
    programs, placement = generators.find(), trial.place(pin=True)
    mutex, queue = parse_arm("threads/mutex", workers=10), parse_arm("threads/inputQ", workers=10)
    seats = (Seat(A, mutex), Seat(AA, mutex), Seat(AA, mutex), Seat(B, queue))
    costs, copies, ratios = ({way: [] for way in WAYS} for _ in range(3))
    for block in tqdm(range(blocks), unit="block"):
        for way in random.sample(WAYS, len(WAYS)):
            one = Trial(block, JOINT, tuple(random.sample(seats, len(seats))), LOAD)
            with _stack_limit(LEAST_STACK + PAGE * random.randrange(PAGES) if way == WAYS[2] else None):
                result, _ = trial.measure(one, 0, programs, replace(placement, alike=way != WAYS[0]))
            cost = [
                (seat.role, served.cpu_per_call_us(LOAD)) for seat, served in zip(one.seats, result.served, strict=True)
            ]
            base = dict(cost)[A]
            costs[way].append(base)
            copies[way] += [math.log(each / base) for role, each in cost if role == AA]
            ratios[way] += [math.log(each / base) for role, each in cost if role == B]
    for way in WAYS:
        print(
            f"laid out {way}: {statistics.mean(costs[way]):.0f} µs a call; ratio of two copies sd "
            f"{statistics.stdev(copies[way]) * 100:.2f} %; inputQ to mutex "
            f"{math.exp(statistics.mean(ratios[way])):.3f}, sd {statistics.stdev(ratios[way]) * 100:.2f} %"
        )
    return 0


@contextmanager
def _stack_limit(limit: int | None) -> Iterator[None]:
    """Start children with this soft limit of the stack; None: as it is."""
    before = resource.getrlimit(resource.RLIMIT_STACK)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_STACK, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
