"""The servers of a trial on this machine: started, laid out alike, and stopped together."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from perfkit.design.plan import SOLO, Trial, some_wait
from perfkit.record.calls import Calls
from perfkit.record.results import Served, Usage
from perfkit.rig import family, process
from perfkit.rig.generators.contract import Target, Window
from perfkit.rig.servers import Final, RunningServer, serving
from perfkit.rig.trial.placement import Placement
from perfkit.rig.trial.turns import RunningTurns, Team, turns
from perfkit.service.call import Call
from perfkit.service.called import Called

Methods = Mapping[Call, Called]
"""what is called of the user's own servers → all that this needs"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known of a server when it has ended."""

    final: Final
    peak_rss_bytes: int
    cpus: tuple[int, ...]
    """that it was pinned to"""
    is_seen: bool
    """whether its processes are on this machine, and their CPU time is known"""
    has_usual_words: bool
    """whether its replies have the wire contract's words, so that their length is known"""

    def served(self, trial: Trial, calls: Calls, cpu_s: float, window_s: float, own_s: float | None) -> Served:
        """Return what it did in a trial: by key only where that was asked, its stages only where it was alone."""
        return Served(
            calls,
            self.final.increments,
            Usage(cpu_s, window_s, self.cpus, self.peak_rss_bytes) if self.is_seen else None,
            own_s,
            self.final.by_key if trial.load.is_keyed else None,
            self.final.stages if trial.method == SOLO else None,
            self.final.section,
        )

    @property
    def replied_with(self) -> int | None:
        """Up to which count its replies tell, from 1 on; None where their words are its own."""
        return self.final.increments if self.has_usual_words else None


class Servers:
    """Those of one trial, in the order of its seats."""

    def __init__(self, all_of_them: Sequence[RunningServer], place: process.Place) -> None:
        self.all = tuple(all_of_them)
        self._place = place

    @property
    def targets(self) -> list[Target]:
        """Where they listen, or will, and what is called there."""
        return [Target(one.address, one.called) for one in self.all]

    def ready(self) -> None:
        """Wait until all accept calls."""
        for one in self.all:
            one.ready()

    def are_alike(self) -> bool | None:
        """Return whether their memory is laid out alike; None where it was not to be, or is not known."""
        layouts = [process.is_alike(one.pid) for one in self.all] if self._place.alike else [None]
        return None if None in layouts else all(layouts)

    def stop(self, window: Window) -> list[Ended]:
        """Let all drain and end, at the same time; what they saw of calls is of those that began in the window."""
        seen = []
        for one in self.all:
            one.check()
            seen.append((family.peak_rss_bytes(one.members()), bool(one.members())))
        with ThreadPoolExecutor(len(self.all)) as pool:
            finals = list(pool.map(lambda one: one.stop(window), self.all))
        return [
            Ended(final, peak, self._place.cpus if one.pid else (), is_seen, one.has_usual_words)
            for final, (peak, is_seen), one in zip(finals, seen, self.all, strict=True)
        ]


@contextmanager
def servers(trial: Trial, placement: Placement, methods: Methods) -> Iterator[Servers]:
    """Start the servers of a trial; those that were not stopped are killed at the end."""
    called, keys = methods[trial.load.call] if trial.load.call else None, trial.load.keys
    # Servers that are laid out alike meet in caches: one that is busy pays for that, and one that waits does not.
    alike = placement.alike and trial.method != SOLO and not trial.load.random_layout and not some_wait(trial.seats)
    where = process.Place(placement.server, alike=alike, own_session=placement.own_sessions)
    with ExitStack() as stack:
        yield Servers(
            [
                stack.enter_context(
                    serving(seat.arm, where, placement.start_s, placement.folder, placement.address, called, keys)
                )
                for seat in trial.seats
            ],
            where,
        )


def taking_turns(
    trial: Trial,
    attempt: int,
    window: Window,
    teams: Sequence[Team],
    placement: Placement,
) -> AbstractContextManager[RunningTurns]:
    """Let teams of process groups take turns from now on."""
    ahead_s = time.monotonic() - time.time()
    by_monotonic = window.from_ms / 1e3 + ahead_s, window.until_ms / 1e3 + ahead_s
    return turns(teams, trial.load.turn_ms, by_monotonic, f"{trial.block}/{attempt}", placement.generator)
