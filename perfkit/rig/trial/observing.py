"""Processes watched over a window: all their CPU clocks read at both its ends, none gone, none come."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from perfkit.clock import Clock
from perfkit.errors import LoadError
from perfkit.record.results import Machine
from perfkit.rig import family, machine
from perfkit.rig.generators.contract import Window

CHECK_S = 0.25
"""How often a sleeping runner looks whether servers and generators still live."""

LATE_S = 1.0
"""How late a clock may be read before that is an error; less makes the trial a paused one (validity.PUNCTUAL)."""


class Watched(Protocol):
    """Something that must live as long as the window is open."""

    def check(self) -> None:
        """Raise a PerfkitError if it does not."""


class Family(Watched, Protocol):
    """Processes of one server or generator."""

    name: str

    def members(self) -> tuple[int, ...]:
        """Return them."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """All clocks at an end of the window."""

    at_ns: int
    late_ms: float
    used_ns: tuple[int, ...]
    """CPU time of each family of processes"""
    machine: machine.Reading | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What a window was like for families of processes, in their order."""

    window_s: float
    """between the two readings"""
    used_s: tuple[float, ...]
    """CPU seconds of each"""
    late_ms: tuple[float, float]
    """how late the clocks were read at the two ends"""
    machine: Machine | None
    """what others took of the cores; None: not known, or not pinned"""


def observe(
    families: Sequence[Family],
    window: Window,
    cpus: Sequence[int],
    others: Sequence[Watched] = (),
    pids: Sequence[int] = (),
    clock: Clock = time,
) -> Observed:
    """Watch families from the opening of a window to its close, on `cpus`; a LoadError where one has changed.

    `others` must live as long too; `pids` are processes whose CPU time is the trial's too.
    """
    watched = [*families, *others]
    members = [one.members() for one in families]
    own = [*members, *((pid,) for pid in pids)]
    sleep_until(window.from_ms, watched, clock)
    opened = _read(own, window.from_ms, cpus, clock)
    sleep_until(window.until_ms, watched, clock)
    closed = _read(own, window.until_ms, cpus, clock)
    for known, one in zip(members, families, strict=True):
        if one.members() != known:
            raise LoadError(f"{one.name} started or ended processes inside the window, whose CPU time is not known")
    window_s = (closed.at_ns - opened.at_ns) / 1e9
    used_s = [(until - since) / 1e9 for since, until in zip(opened.used_ns, closed.used_ns, strict=True)]
    besides = machine.between(opened.machine, closed.machine, sum(used_s), window_s) if cpus else None
    return Observed(window_s, tuple(used_s[: len(members)]), (opened.late_ms, closed.late_ms), besides)


def _read(families: Sequence[Sequence[int]], due_ms: int, cpus: Sequence[int], clock: Clock) -> _Reading:
    late_ms = clock.time() * 1e3 - due_ms
    at_ns, used_ns = clock.monotonic_ns(), tuple(map(family.cpu_ns, families))
    return _Reading(at_ns, late_ms, used_ns, machine.read(cpus))


def sleep_until(epoch_ms: float, watched: Sequence[Watched], clock: Clock = time) -> None:
    """Sleep until then, looking now and then whether all still live; a LoadError where it is too late for it."""
    while True:
        late_s = clock.time() - epoch_ms / 1e3
        if late_s > LATE_S:
            raise LoadError(
                f"perfkit stood still in mid-trial and missed an end of the window by {late_s:.1f} s (it was stopped, "
                "the machine slept, or the clock was set)"
            )
        if late_s >= 0:
            return  # who has ended by now can still be read; that this was late is flagged
        for one in watched:
            one.check()
        clock.sleep(min(-late_s, CHECK_S))
