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
    order = random.Random(config["seed"])  # noqa: S311
    turns = Turns(teams, clocks, config["turn_ms"] / 1e3, config["window"], order, System())
    if turns.take_until_told():
        print(json.dumps(turns.report()), flush=True)


class System:
    """Time, processes and the pipe as they are; a test has others."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    @staticmethod
    def line(until: float | None) -> str | None:
        """Wait until then, None: for ever; return a line that comes sooner, "" where the pipe is closed, else None."""
        left_s = None if until is None else max(0.0, until - time.monotonic())
        readable, _, _ = select.select([sys.stdin], [], [], left_s)
        return sys.stdin.readline() if readable else None

    @staticmethod
    def send(group: int, number: signal.Signals) -> None:
        """Send a signal to a process group; ProcessLookupError where it is gone."""
        os.killpg(group, number)

    @staticmethod
    def state(pid: int) -> str:
        """Return the state of a process's first thread, as in /proc; ProcessLookupError where it is gone."""
        try:
            letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError as error:
            raise ProcessLookupError(f"process {pid} is gone") from error
        if letter == "Z":
            raise ProcessLookupError(f"process {pid} is dead")
        return letter

    @staticmethod
    def used_ns(pid: int) -> int:
        """Return the CPU time of a process's threads; ProcessLookupError where it is gone. As `rig.process` has it."""
        try:
            return time.clock_gettime_ns((~pid << 3) | 2)
        except OSError as error:
            if Path(f"/proc/{pid}").exists():
                return 0  # a sandbox without such clocks: states must do
            raise ProcessLookupError(f"process {pid} is gone") from error


class Turns:
    """What was done and how punctually, by the monotonic clock."""

    def __init__(
        self,
        teams: list[Team],
        clocks: dict[Team, int],
        turn_s: float,
        window: tuple[float, float],
        order: random.Random,
        system: System,
    ) -> None:
        self._clocks = clocks
        self._system = system
        self._stopped_at: dict[Team, float] = {}
        self._stopped_s = dict.fromkeys(teams, 0.0)
        self._teams, self._turn_s, self._window, self._order = teams, turn_s, window, order
        self._own_s = dict.fromkeys(teams, 0.0)
        self._late_s: list[float] = []
        self._switch_s: list[float] = []
        self._woken = 0

    def take_until_told(self) -> bool:
        """Take turns until the line "end", then let all go on and return True; where the pipe is closed, kill all."""
        try:
            line = self._take()
        except ProcessLookupError:
            line = self._system.line(None) or ""  # a server is gone: that is the other side's to say
        for team in self._teams:
            if line:
                self._tell(team, self._system.monotonic())
            for group, *_ in team:
                with contextlib.suppress(ProcessLookupError):
                    self._system.send(group, signal.SIGCONT if line else signal.SIGKILL)
        return bool(line)

    def _take(self) -> str:
        """Take turns until a line comes; return it."""
        for team in self._teams:
            self._stopped_at[team] = self._system.monotonic()
            self._stop(team)
        last = None
        while True:
            # A server that had two turns running would have had one of twice the length.
            order = self._order.sample(self._teams, len(self._teams))
            while len(order) > 1 and order[0] == last:
                order = self._order.sample(self._teams, len(self._teams))
            for team in order:
                self._woken += not self._is_stopped(team)
                began = self._system.monotonic()
                self._tell(team, began)
                for group, *_ in team:
                    self._system.send(group, signal.SIGCONT)
                line = self._system.line(began + self._turn_s)
                ending = self._system.monotonic()
                if line is not None:
                    self._count(team, began, ending, ending)
                    return line
                self._stopped_at[team] = ending
                self._woken += not self._stop(team)
                self._count(team, began, ending, self._system.monotonic())
                last = team

    def _stop(self, team: Team) -> bool:
        """Stop a team, wait until nothing of its groups' first processes runs, and return whether that was reached.

        Where a first thread has stopped, the others are about to: they have when the CPU clock stands still. To ask
        each thread would take a millisecond.
        """
        pids = [pid for group in team for pid in group]
        for group, *_ in team:
            self._system.send(group, signal.SIGSTOP)
        until, used_ns = self._system.monotonic() + STOP_S, [0]
        while self._system.monotonic() < until:
            self._system.sleep(POLL_S)
            if self._is_stopped(team):
                before_ns, used_ns = used_ns, [self._system.used_ns(pid) for pid in pids]
                if used_ns == before_ns:
                    return True
        return False

    def _is_stopped(self, team: Team) -> bool:
        """Return whether the first threads of a team's groups have stopped; ProcessLookupError where one is gone."""
        return all(self._system.state(pid) in "Tt" for group in team for pid in group)

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


if __name__ == "__main__":
    main()
