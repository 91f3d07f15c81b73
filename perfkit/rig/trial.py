"""A trial becomes a result: fresh servers, real load, every process's CPU clock read at both ends of the window."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from perfkit.design.factors import K6
from perfkit.design.plan import SOLO, TIMEOUT_S, TURNS, Trial
from perfkit.errors import LoadError, PerfkitError
from perfkit.record.results import Served, TrialResult, Usage
from perfkit.rig import family, generators, machine, process, turns
from perfkit.rig.generators import Programs
from perfkit.rig.generators.contract import RunningLoad, Window, opening
from perfkit.rig.host import siblings, usable_cpus
from perfkit.rig.process import START_S
from perfkit.rig.servers import Final, RunningServer, serving

AFTER_WINDOW_S = TIMEOUT_S + 20
"""How long a generator may take after the window: the last calls' time limit, and a summary of a million samples."""

CHECK_S = 0.25
"""How often a sleeping runner looks whether servers and generators still live."""

LATE_S = 1.0
"""How late a clock may be read before that is an error; less makes the trial a paused one (results.PUNCTUAL)."""


LEAST_WARMUP_S = 0.2
"""How long before the window turns begin at the latest, whoever is not connected yet."""

READY_S = 0.01
"""How often it is asked whether all VUs have had an answer."""


_TOOK_S: dict[tuple[str, int, int], float] = {}
"""generator, VUs at each server, and servers → how long it took of late until all were answered, in this process"""


class Watched(Protocol):
    """Something that must live as long as the window is open."""

    def check(self) -> None:
        """Raise a PerfkitError if it does not."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores servers and generators are pinned to (empty: not), and whether servers have sessions of their own."""

    server: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()
    own_sessions: bool = True
    start_s: float = START_S
    """how long a server may take until it accepts calls"""
    alike: bool = True
    """whether the servers of a joint trial are laid out alike in memory, as process.Place says why"""
    folder: Path | None = None
    """where servers may keep files; None: where the system has temporary ones"""


def place(*, pin: bool, own_sessions: bool = True, start_s: float = START_S, folder: Path | None = None) -> Placement:
    """Give servers one core (a `threads` server is faster so) and k6 the rest, without the servers' sibling if any.

    No pinning on one core, or where the system offers none.
    """
    cpus = usable_cpus()
    if not pin or len(cpus) < 2 or not process.CAN_PIN:
        return Placement(own_sessions=own_sessions, start_s=start_s, folder=folder)
    rest = cpus[1:]
    apart = tuple(cpu for cpu in rest if cpu not in siblings(cpus[0]))
    return Placement(cpus[:1], apart or rest, own_sessions, start_s, folder=folder)


Measured = tuple[TrialResult, list[dict[str, Any]]]
"""a result, and all that each generator said of it"""


def measure(trial: Trial, attempt: int, programs: Programs, placement: Placement) -> Measured:
    """Run one trial, all its servers afresh; by turns each with a generator of its own, else with one for all.

    Whatever breaks the load or a server raises with the trial's name: it never becomes a number.
    """
    try:
        return _measure(trial, attempt, programs, placement)
    except PerfkitError as error:
        raise type(error)(
            f"trial of {trial.name} at {trial.load.vus} VUs in block {trial.block}: {error}. "
            "Finished trials are kept: start the same again to continue"
        ) from error


def _measure(trial: Trial, attempt: int, programs: Programs, placement: Placement) -> Measured:
    started_at, started_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    alike = placement.alike and trial.method != SOLO and not trial.load.random_layout
    where = process.Place(placement.server, alike=alike, own_session=placement.own_sessions)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(seat.arm, where, placement.start_s, placement.folder)) for seat in trial.seats
        ]
        addresses = [server.address for server in servers]
        by_turns = trial.method == TURNS
        # k6 gets ready beside them and waits for them; a command's count must be known before the load.
        at_once = trial.load.generator == K6 and not any(seat.arm.is_foreign for seat in trial.seats)
        if not at_once:
            _wait_until_ready(servers)
        shares = [[address] for address in addresses] if by_turns else [addresses]
        started_loads_s, crowd = time.monotonic(), (trial.load.generator, trial.load.vus, len(shares))
        opens_at_ms = opening(trial.load, len(shares), _TOOK_S.get(crowd)) if by_turns else None
        loads = [
            stack.enter_context(
                generators.running(programs, share, trial.load, process.Place(placement.generator), opens_at_ms)
            )
            for share in shares
        ]
        if at_once:
            _wait_until_ready(servers)
        layouts = [process.is_alike(server.pid) for server in servers] if where.alike else [None]
        window = [load.window() for load in loads][-1]
        processes: list[RunningLoad | RunningServer] = [*loads, *servers]
        watched: list[Watched] = [*processes]
        if by_turns:
            missing = _wait_for_all(trial, window, watched, loads)
            took_s = time.monotonic() - started_loads_s
            _TOOK_S[crowd] = (_TOOK_S.get(crowd, took_s) + took_s) / 2
            teams = [(server.members(), load.members()) for server, load in zip(servers, loads, strict=True)]
            watchdog = stack.enter_context(_turns(trial, attempt, window, teams, placement))
            watched.append(watchdog)
        families = [one.members() for one in processes]
        own = [*families, *([(watchdog.pid,)] if by_turns else [])]
        _sleep_until(window.from_ms, watched)
        opened = _read(own, window.from_ms, placement)
        _sleep_until(window.until_ms, watched)
        closed = _read(own, window.until_ms, placement)
        _refuse_changed(families, processes)
        generator_peak = sum(map(family.peak_rss_bytes, families[: len(loads)]))
        took_turns, own_s = watchdog.end(missing) if by_turns else (None, [None] * len(servers))
        summaries = [load.finish(AFTER_WINDOW_S) for load in loads]
        peaks = list(map(_peak_rss_bytes, servers))
        with ThreadPoolExecutor(len(servers)) as pool:  # all end at the same time
            finals = list(pool.map(_stop, servers))
        numbered = [(load, number) for load in loads for number in load.numbers]
        calls = [
            load.calls(number, final.increments if server.has_usual_words else None)
            for (load, number), final, server in zip(numbered, finals, servers, strict=True)
        ]
    window_s = (closed.at_ns - opened.at_ns) / 1e9
    used_s = [(until - since) / 1e9 for since, until in zip(opened.used_ns, closed.used_ns, strict=True)]
    generator_s, servers_s = sum(used_s[: len(loads)]), used_s[len(loads) : len(families)]
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        took_s=time.monotonic() - started_s,
        served=tuple(
            Served(counted, final.increments, Usage(cpu_s, window_s, placement.server, peak), own, final.section)
            for counted, final, cpu_s, peak, own in zip(calls, finals, servers_s, peaks, own_s, strict=True)
        ),
        generator=Usage(generator_s, window_s, placement.generator, generator_peak),
        generator_cores_available=len(placement.generator) or len(usable_cpus()),
        turns=took_turns,
        late_ms=(opened.late_ms, closed.late_ms),
        alike=None if None in layouts else all(layouts),
        machine=machine.between(opened.machine, closed.machine, sum(used_s), window_s) if placement.server else None,
    )
    return result, summaries


def _wait_until_ready(servers: Sequence[RunningServer]) -> None:
    for server in servers:
        server.ready()


def _wait_for_all(trial: Trial, window: Window, watched: Sequence[Watched], loads: Sequence[RunningLoad]) -> int:
    """Wait until every VU of every server has had an answer; return how many had none when turns had to begin."""
    everybody, until_s = trial.load.vus * len(trial.seats), window.from_ms / 1e3 - LEAST_WARMUP_S
    while (missing := everybody - sum(load.answered() for load in loads)) > 0 and time.time() < until_s:
        for one in watched:
            one.check()
        time.sleep(READY_S)
    return missing


def _turns(
    trial: Trial, attempt: int, window: Window, teams: Sequence[Sequence[Sequence[int]]], placement: Placement
) -> AbstractContextManager[turns.RunningTurns]:
    ahead_s = time.monotonic() - time.time()
    by_monotonic = window.from_ms / 1e3 + ahead_s, window.until_ms / 1e3 + ahead_s
    return turns.turns(teams, trial.load.turn_ms, by_monotonic, f"{trial.block}/{attempt}", placement.generator)


@dataclass(frozen=True, slots=True)
class _Reading:
    """All clocks at an end of the window."""

    at_ns: int
    late_ms: float
    used_ns: list[int]
    """CPU time of each family of processes"""
    machine: machine.Reading | None


def _read(families: Sequence[Sequence[int]], due_ms: int, placement: Placement) -> _Reading:
    late_ms = time.time() * 1e3 - due_ms
    at_ns, used_ns = time.monotonic_ns(), list(map(family.cpu_ns, families))
    return _Reading(at_ns, late_ms, used_ns, machine.read((*placement.server, *placement.generator)))


def _refuse_changed(families: Sequence[Sequence[int]], of: Sequence[RunningLoad | RunningServer]) -> None:
    """Raise a LoadError where processes began or ended inside the window: nobody knows their CPU time."""
    for known, one in zip(families, of, strict=True):
        if one.members() != known:
            raise LoadError(f"{one.name} started or ended processes inside the window, whose CPU time is not known")


def _stop(server: RunningServer) -> Final:
    return server.stop()


def _peak_rss_bytes(server: RunningServer) -> int:
    server.check()
    return family.peak_rss_bytes(server.members())


def _sleep_until(epoch_ms: int, watched: Sequence[Watched]) -> None:
    while True:
        late_s = time.time() - epoch_ms / 1e3
        if late_s > LATE_S:
            raise LoadError(
                f"perfkit stood still in mid-trial and missed an end of the window by {late_s:.1f} s (it was stopped, "
                "the machine slept, or the clock was set)"
            )
        if late_s >= 0:
            return  # who has ended by now can still be read; that this was late is flagged
        for one in watched:
            one.check()
        time.sleep(min(-late_s, CHECK_S))
