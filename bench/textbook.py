"""How much more capacity than the textbook's server: both at once on one core under one k6, fresh in each block.

    python bench/textbook.py [BLOCKS [WORKERS]]

Capacity is acknowledged calls per CPU second of the server. Ends with exit code 1 under the target.
"""

import random
import sys
from pathlib import Path

from tqdm import tqdm

from perfkit import k6, process, runner, statistics
from perfkit.plan import Load, parse_arm

TARGET = 1.08
LOAD = Load(vus=10, warmup_s=1, duration_s=3)


def main(blocks: int = 12, workers: int = 10) -> int:
    program, placement = k6.find(), runner.place(pin=True)
    ours = parse_arm("threads/mutex", workers)
    commands = [
        ("textbook", [sys.executable, str(Path(__file__).with_name("textbook_server.py")), str(workers)]),
        ("perfkit", process.command(ours)),
    ]
    ratios = []
    for _ in tqdm(range(blocks), unit="block"):
        random.shuffle(commands)
        watched = runner.watch(commands, LOAD, program, placement)
        capacity = {}
        for (name, _), served in zip(commands, watched.served, strict=True):
            if served.calls.failed_total or served.final_count != served.calls.acknowledged_total:
                raise SystemExit(f"{name}: {served.calls.failed_total} failures, count {served.final_count}")
            capacity[name] = served.calls.acknowledged / served.usage.cpu_s
        ratios.append(capacity["perfkit"] / capacity["textbook"])
    found = statistics.mean(ratios, logarithmic=True)
    print(
        f"capacity, perfkit's threads/mutex against the textbook's, {workers} workers, {blocks} blocks: "
        f"{found.estimate:.3f} (95 % interval {found.low:.3f} to {found.high:.3f}); target {TARGET}"
    )
    return 0 if found.estimate >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
