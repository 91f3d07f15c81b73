"""How far four copies of one server differ in CPU per call, laid out in memory at random and alike, block by block.

python bench/layout.py [BLOCKS]
"""

import math
import statistics
import sys
from dataclasses import replace

from tqdm import tqdm

from perfkit import k6, runner
from perfkit.arms import parse_arm
from perfkit.plan import A, Load, Seat, Trial

LOAD = Load(vus=20, warmup_s=1, duration_s=2)


def main(blocks: int = 10) -> int:
    program, placement = k6.find(), runner.place(pin=True)
    arm = parse_arm("threads/mutex", workers=10)
    costs, logs = {False: [], True: []}, {False: [], True: []}
    for block in tqdm(range(blocks), unit="block"):
        for alike in (False, True):
            trial = Trial(block, (Seat(A, arm),) * 4, LOAD)
            result, _ = runner.measure(trial, 0, program, replace(placement, alike=alike))
            first, *others = (served.cpu_per_call_us(LOAD) for served in result.served)
            costs[alike] += [first, *others]
            logs[alike] += [math.log(other / first) for other in others]
    for alike, name in ((False, "at random"), (True, "alike")):
        spread = statistics.stdev(logs[alike]) * 100
        print(f"laid out {name}: {statistics.mean(costs[alike]):.0f} µs a call, ratio of two copies sd {spread:.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
