"""Let process groups take turns on a core: one runs, the others are stopped. The watchdog of a trial by turns.

    python -I -S turns.py < lines

A line of JSON begins it: {"groups": [pid…], "turn_ms", "seed", "window": [from, until] by the monotonic clock, "cpus"}.
The line "end" lets all groups go on and ends it; its last line is then what the turns were (`record.results.Turns`),
and each group's own seconds.
A closed pipe means that whoever asked for it is dead: it kills the groups, stopped ones too, and ends.

A program of its own, because the parent-death signal does not reach what a server has started, and a stopped group gets
no signal when its session is orphaned. Imports nothing of perfkit.
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

STOP_S = 0.05
"""How long a group may take to stop, before somebody else must be continuing it; it takes under a millisecond."""

POLL_S = 0.00005


def main() -> None:
    """Take turns until the line "end", or until the pipe is closed."""
    config = json.loads(sys.stdin.readline() or "null")
    if config is None:
        return
    groups: list[int] = config["groups"]
    if config["cpus"]:
        os.sched_setaffinity(0, config["cpus"])
    turns = Turns(groups, config["turn_ms"] / 1e3, config["window"], random.Random(config["seed"]))  # noqa: S311
    try:
        asked_to_end = turns.take()
    except ProcessLookupError:
        asked_to_end = wait_for_end()  # a server is gone: that is the other side's to say
    for group in groups:
        send(group, signal.SIGCONT if asked_to_end else signal.SIGKILL)
    if asked_to_end:
        print(json.dumps(turns.report()), flush=True)


class Turns:
    """What was done and how punctually, by the monotonic clock."""

    def __init__(self, groups: list[int], turn_s: float, window: tuple[float, float], order: random.Random) -> None:
        self._groups, self._turn_s, self._window, self._order = groups, turn_s, window, order
        self._own_s = dict.fromkeys(groups, 0.0)
        self._late_s: list[float] = []
        self._switch_s: list[float] = []
        self._woken = 0

    def take(self) -> bool:
        """Take turns; return whether it was asked to end, rather than left alone."""
        for group in self._groups:
            stop(group)
        last = None
        while True:
            # A server that had two turns running would have had one of twice the length.
            order = self._order.sample(self._groups, len(self._groups))
            while len(order) > 1 and order[0] == last:
                order = self._order.sample(self._groups, len(self._groups))
            for group in order:
                self._woken += not is_stopped(group)
                began = time.monotonic()
                os.killpg(group, signal.SIGCONT)
                line = wait_for_line(began + self._turn_s)
                ending = time.monotonic()
                if line is not None:
                    self._count(group, began, ending, ending)
                    return line != ""
                self._woken += not stop(group)
                self._count(group, began, ending, time.monotonic())
                last = group

    def _count(self, group: int, began: float, ending: float, stopped: float) -> None:
        opened, closed = self._window
        inside = min(stopped, closed) - max(began, opened)
        if inside > 0:
            self._own_s[group] += inside
            self._late_s.append(max(0.0, ending - began - self._turn_s))
            self._switch_s.append(stopped - ending)

    def report(self) -> dict[str, object]:
        """Sums and quantiles over the window."""
        return {
            "own_s": [self._own_s[group] for group in self._groups],
            "count": len(self._late_s),
            "late_ms": quantiles_ms(self._late_s),
            "switch_ms": quantiles_ms(self._switch_s),
            "woken": self._woken,
        }


def quantiles_ms(several_s: list[float]) -> dict[str, float]:
    """Return the values, in ms, that half and 19 of 20 do not exceed, and the largest; 0 of nothing."""
    rising = sorted(several_s) or [0.0]
    last = len(rising) - 1
    return {name: rising[round(part * last)] * 1e3 for name, part in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def wait_for_line(until: float) -> str | None:
    """Wait until then; return a line that comes sooner, "" where the pipe is closed, None where nothing comes."""
    readable, _, _ = select.select([sys.stdin], [], [], max(0.0, until - time.monotonic()))
    return sys.stdin.readline() if readable else None


def wait_for_end() -> bool:
    """Wait for a line, without turns; return whether one came."""
    return sys.stdin.readline() != ""


def stop(group: int) -> bool:
    """Stop a process group, wait until every thread of its first process has stopped, and return whether it has."""
    os.killpg(group, signal.SIGSTOP)
    until = time.monotonic() + STOP_S
    while not (stopped := is_stopped(group)) and time.monotonic() < until:
        time.sleep(POLL_S)
    return stopped


def is_stopped(group: int) -> bool:
    """Return whether no thread of a group's first process runs; ProcessLookupError where it is gone."""
    try:
        for thread in Path(f"/proc/{group}/task").iterdir():
            state = (thread / "stat").read_bytes().rpartition(b")")[2].split()[0]
            if state == b"Z":
                raise ProcessLookupError(f"process {group} is dead")
            if state not in (b"T", b"t"):
                return False
    except FileNotFoundError:  # a thread, or all of them, ended meanwhile
        os.kill(group, 0)
        return False
    return True


def send(group: int, number: signal.Signals) -> None:
    """Send a signal to a group that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
