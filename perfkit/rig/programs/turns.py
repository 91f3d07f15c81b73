"""Let teams of process groups take turns on their cores: one runs, the others are stopped.

    python -I -S turns.py < lines

A line of JSON begins it: {"teams": [[[pid…]…]…], "clocks": [path…], "turn_ms", "seed", "window": [from, until]
by the monotonic clock, "cpus"}. A team's clock is a file of 8 bytes, or "": there it is told, before it goes on, for
how many ns it has been stopped in all, so that its waits can leave them out. The line "end" lets all go on and ends it;
its last line is then what the turns were (`record.results.Turns`), and each team's own seconds.
A closed pipe means that whoever asked for it is dead: it kills the groups, stopped ones too, and ends.

This is the watchdog of a trial by turns, whose teams are a server and its load generator each.
A program of its own, because the parent-death signal does not reach what a server has started, and a stopped group gets
no signal when its session is orphaned. Imports nothing of perfkit.
"""

import contextlib
import json
import os
import random
import select
import signal
import struct
import sys
import time
from pathlib import Path

STOP_S = 0.25
"""How long a team may take to stop, before somebody else must be continuing it; it takes about one ms."""

POLL_S = 0.0001

Team = tuple[tuple[int, ...], ...]
"""process groups that run and stop together: of each the pids, its first process before the others"""


def main() -> None:
    """Take turns until the line "end", or until the pipe is closed."""
    config = json.loads(sys.stdin.readline() or "null")
    if config is None:
        return
    teams: list[Team] = [tuple(map(tuple, team)) for team in config["teams"]]
    if config["cpus"]:
        os.sched_setaffinity(0, config["cpus"])
    with contextlib.suppress(PermissionError):  # it waits for k6 on the same core otherwise, mostly under 3 ms
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    clocks = {team: os.open(path, os.O_WRONLY) for team, path in zip(teams, config["clocks"], strict=True) if path}
    turns = Turns(teams, clocks, config["turn_ms"] / 1e3, config["window"], random.Random(config["seed"]))  # noqa: S311
    try:
        asked_to_end = turns.take()
    except ProcessLookupError:
        asked_to_end = wait_for_end()  # a server is gone: that is the other side's to say
    if not asked_to_end:
        for group, *_ in [group for team in teams for group in team]:
            send(group, signal.SIGKILL)
        return
    turns.end()
    print(json.dumps(turns.report()), flush=True)


class Turns:
    """What was done and how punctually, by the monotonic clock."""

    def __init__(
        self,
        teams: list[Team],
        clocks: dict[Team, int],
        turn_s: float,
        window: tuple[float, float],
        order: random.Random,
    ) -> None:
        self._clocks = clocks
        self._stopped_at: dict[Team, float] = {}
        self._stopped_s = dict.fromkeys(teams, 0.0)
        self._teams, self._turn_s, self._window, self._order = teams, turn_s, window, order
        self._own_s = dict.fromkeys(teams, 0.0)
        self._late_s: list[float] = []
        self._switch_s: list[float] = []
        self._woken = 0

    def take(self) -> bool:
        """Take turns; return whether it was asked to end, rather than left alone."""
        for team in self._teams:
            self._stopped_at[team] = time.monotonic()
            stop(team)
        last = None
        while True:
            # A server that had two turns running would have had one of twice the length.
            order = self._order.sample(self._teams, len(self._teams))
            while len(order) > 1 and order[0] == last:
                order = self._order.sample(self._teams, len(self._teams))
            for team in order:
                self._woken += not are_stopped(team)
                began = time.monotonic()
                self._tell(team, began)
                for group, *_ in team:
                    os.killpg(group, signal.SIGCONT)
                line = wait_for_line(began + self._turn_s)
                ending = time.monotonic()
                if line is not None:
                    self._count(team, began, ending, ending)
                    return line != ""
                self._stopped_at[team] = ending
                self._woken += not stop(team)
                self._count(team, began, ending, time.monotonic())
                last = team

    def end(self) -> None:
        """Let all go on."""
        now = time.monotonic()
        for team in self._teams:
            self._tell(team, now)
            for group, *_ in team:
                send(group, signal.SIGCONT)

    def _tell(self, team: Team, now: float) -> None:
        """Say for how long a team has been stopped in all, before it goes on."""
        self._stopped_s[team] += now - self._stopped_at.pop(team, now)
        if team in self._clocks:
            os.pwrite(self._clocks[team], struct.pack("=q", round(self._stopped_s[team] * 1e9)), 0)

    def _count(self, team: Team, began: float, ending: float, stopped: float) -> None:
        opened, closed = self._window
        inside = min(ending, closed) - max(began, opened)  # who is told to stop does nothing more
        if inside > 0:
            self._own_s[team] += inside
            self._late_s.append(max(0.0, ending - began - self._turn_s))
            self._switch_s.append(stopped - ending)

    def report(self) -> dict[str, object]:
        """Sums and quantiles over the window."""
        return {
            "own_s": [self._own_s[team] for team in self._teams],
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


def stop(team: Team) -> bool:
    """Stop a team, wait until nothing of its groups' first processes runs, and return whether that was reached.

    Where a first thread has stopped, the others are about to: they have when the CPU clock stands still. To ask each
    thread would take a millisecond.
    """
    pids = [pid for group in team for pid in group]
    for group, *_ in team:
        os.killpg(group, signal.SIGSTOP)
    until, used_ns = time.monotonic() + STOP_S, [0]
    while time.monotonic() < until:
        time.sleep(POLL_S)
        if are_stopped(team):
            before_ns, used_ns = used_ns, [cpu_ns(pid) for pid in pids]
            if used_ns == before_ns:
                return True
    return False


def are_stopped(team: Team) -> bool:
    """Return whether the first threads of a team's groups have stopped; ProcessLookupError where one is gone."""
    return all(state(pid) in "Tt" for group in team for pid in group)


def state(pid: int) -> str:
    """Return the state of a process's first thread, as in /proc; ProcessLookupError where it is gone."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error
    if letter == "Z":
        raise ProcessLookupError(f"process {pid} is dead")
    return letter


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process's threads; ProcessLookupError where it is gone. As `rig.process` has it."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError as error:
        if Path(f"/proc/{pid}").exists():
            return 0  # a sandbox without such clocks: states must do
        raise ProcessLookupError(f"process {pid} is gone") from error


def send(group: int, number: signal.Signals) -> None:
    """Send a signal to a group that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    main()
