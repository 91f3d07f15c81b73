"""Simulated time and processes: exact, in no time, and every interleaving can be had."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

NS = 1_000_000_000


class SimulatedClock:
    """Time that passes only when somebody sleeps; what was to happen meanwhile happens at its moment."""

    def __init__(self, epoch_s: float = 1_000_000) -> None:
        self._now_ns = 0
        self._epoch_ns = round(epoch_s * NS)
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self.late_s = 0.0
        """how much longer every sleep takes than it was to"""

    def monotonic_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._now_ns / NS

    def time(self) -> float:
        return (self._epoch_ns + self._now_ns) / NS

    def sleep(self, seconds: float, /) -> None:
        assert seconds >= 0
        self.pass_until(self._now_ns + round((seconds + self.late_s) * NS))

    def at(self, when_s: float, happens: Callable[[], object]) -> None:
        """Let something happen at a moment of the monotonic clock."""
        self._events.append((round(when_s * NS), len(self._events), happens))

    def set(self, by_s: float) -> None:
        """Set the clock on, or back, as an administrator does."""
        self._epoch_ns += round(by_s * NS)

    def pass_until(self, until_ns: int) -> None:
        """Let time pass."""
        while (due_ns := self._next_ns()) is not None and due_ns <= until_ns:
            self._move(max(due_ns, self._now_ns))
            self._happen()
        self._move(until_ns)

    def _next_ns(self) -> int | None:
        return min((one[0] for one in self._events), default=None)

    def _move(self, to_ns: int) -> None:
        self._now_ns = to_ns

    def _happen(self) -> None:
        due = sorted(one for one in self._events if one[0] <= self._now_ns)
        self._events = [one for one in self._events if one not in due]
        for _, _, happens in due:
            happens()


@dataclass
class FakeProcess:
    """A process, the only one of its group; `body` yields for how long it sleeps, and goes on when it runs again."""

    pid: int
    body: Iterator[float] = field(default_factory=lambda: iter(()))
    stops_after_s: float = 0.0
    """how long it goes on after it was told to stop"""
    is_stopped: bool = False
    is_gone: bool = False
    cpu_ns: int = 0
    """it runs whenever it is not stopped"""
    wakes_ns: int = 0
    told: int = 0
    """how many signals it has had"""


class SimulatedSystem(SimulatedClock):
    """What `perfkit/rig/programs/turns.py` and `deadline.py` ask of time, of processes and of their pipe."""

    def __init__(self, *processes: FakeProcess) -> None:
        super().__init__()
        self.processes = {one.pid: one for one in processes}
        self.lines: list[tuple[float, str]] = []
        """when which line comes; "" is the end of the pipe"""
        self.killed: list[int] = []
        self.running: list[tuple[float, frozenset[int]]] = []
        """since when which processes were not stopped"""

    def line(self, until: float | None) -> str | None:
        if self.lines and (until is None or self.lines[0][0] <= until):
            when_s, text = self.lines.pop(0)
            self.pass_until(max(self._now_ns, round(when_s * NS)))
            return text
        assert until is not None, "it would wait for ever"
        self.sleep(max(0.0, until - self.monotonic()))
        return None

    def send(self, group: int, number: signal.Signals) -> None:
        one = self._there(group)
        one.told += 1
        told = one.told
        if number == signal.SIGSTOP:
            self.at(self.monotonic() + one.stops_after_s, lambda: self._stop(one, told))
            self.pass_until(self._now_ns)
        elif number == signal.SIGCONT:
            one.is_stopped = False
            self._wake()
        else:
            one.is_gone = True
            self.killed.append(group)
        self._note()

    def state(self, pid: int) -> str:
        return "T" if self._there(pid).is_stopped else "S"

    def used_ns(self, pid: int) -> int:
        return self._there(pid).cpu_ns

    def kill_group(self, group: int) -> None:
        self.killed.append(group)

    def kill_if_stopped(self, pid: int) -> None:
        if self.processes[pid].is_stopped:
            self.killed.append(pid)

    def _there(self, pid: int) -> FakeProcess:
        if self.processes[pid].is_gone:
            raise ProcessLookupError(pid)
        return self.processes[pid]

    def _stop(self, one: FakeProcess, told: int) -> None:
        one.is_stopped = one.told == told  # else it was continued meanwhile
        self._note()

    def _note(self) -> None:
        self.running.append((self.monotonic(), frozenset(one.pid for one in self._on())))

    def _on(self) -> list[FakeProcess]:
        return [one for one in self.processes.values() if not one.is_stopped and not one.is_gone]

    def _next_ns(self) -> int | None:
        wakes = [one.wakes_ns for one in self._on() if one.wakes_ns >= 0]
        return min([*wakes, *(one[0] for one in self._events)], default=None)

    def _move(self, to_ns: int) -> None:
        for one in self._on():
            one.cpu_ns += to_ns - self._now_ns
        super()._move(to_ns)

    def _happen(self) -> None:
        super()._happen()
        self._wake()

    def _wake(self) -> None:
        for one in self._on():
            if 0 <= one.wakes_ns <= self._now_ns:
                sleeps_s = next(one.body, None)
                one.wakes_ns = -1 if sleeps_s is None else self._now_ns + max(1, round(sleeps_s * NS))
