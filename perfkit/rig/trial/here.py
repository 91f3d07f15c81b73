"""A trial on this machine: servers and load generators side by side."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from perfkit.clock import Clock, wait_until
from perfkit.design.arms import Arm
from perfkit.design.factors import K6
from perfkit.design.paired import timeout_s
from perfkit.design.plan import TURNS, Trial
from perfkit.errors import LoadError, PerfkitError
from perfkit.record.results import Generating, TrialResult, Usage
from perfkit.rig import family, generators, process
from perfkit.rig.generators import Programs
from perfkit.rig.generators.contract import RunningLoad, Window, opening
from perfkit.rig.host import usable_cpus
from perfkit.rig.servers.asking import settings
from perfkit.rig.trial.observing import Family, Watched, observe
from perfkit.rig.trial.placement import Placement
from perfkit.rig.trial.serving import Methods, servers, taking_turns
from perfkit.rig.trial.turns import Team

SUMMING_UP_S = 20.0
"""How long a generator may take when the last calls' time limit is over: a summary of a million samples."""

STARTS = 3
"""How often servers and generators are started at most until all are ready before the window opens."""

LEAST_WARMUP_S = 0.2
"""How long before the window turns begin at the latest, whoever is not connected yet."""


class StartupTimes:
    """How long it takes until all VUs of a trial are answered, learned from the trials before."""

    def __init__(self) -> None:
        self._took_s: dict[StartupKey, float] = {}

    def expected_s(self, trial: Trial) -> float | None:
        """Return how long it took of late, for these servers or else for as many others; None: not known."""
        key = as_many, _ = _startup_key(trial)
        known = [took_s for (others, _), took_s in self._took_s.items() if others == as_many]
        return self._took_s.get(key) or (min(known) + waits_s(trial) if known else None)

    def learn(self, trial: Trial, took_s: float) -> None:
        """Take note of how long it took: a longer time counts at once, a shorter one by half."""
        key = _startup_key(trial)
        self._took_s[key] = max(took_s, (self._took_s.get(key, took_s) + took_s) / 2)


StartupKey = tuple[tuple[str, int, int], frozenset[Arm]]
"""generator, VUs at each server, how many servers; and which"""

STARTUP_TIMES = StartupTimes()
"""those of this process"""


Measured = tuple[TrialResult, list[dict[str, Any]]]
"""a result, and all that each generator said of it"""


def measure(
    trial: Trial, attempt: int, programs: Programs, placement: Placement, methods: Methods | None = None
) -> Measured:
    """Run one trial, all its servers afresh; by turns each with a generator of its own, else with one for all.

    Whatever breaks the load or a server raises with the trial's name: it never becomes a number.
    """
    try:
        return again_where_missed(lambda: _measure(trial, attempt, programs, placement, methods or {}))
    except PerfkitError as error:
        raise broken(trial, error) from error


class WindowMissed(LoadError):
    """Servers and generators were not ready when the window was to open; how long they need is known now."""


def again_where_missed(measure_once: Callable[[], Measured]) -> Measured:
    """Measure; where the window was missed before anything was, so once or twice more: each time more is allowed."""
    for _ in range(STARTS - 1):
        with suppress(WindowMissed):
            return measure_once()
    return measure_once()


def broken(trial: Trial, error: PerfkitError) -> PerfkitError:
    """Return what is raised when this has broken a trial."""
    return type(error)(
        f"trial of {trial.name} at {trial.load.vus} VUs in block {trial.block}: {error}. "
        "Finished trials are kept: start the same again to continue"
    )


def _measure(trial: Trial, attempt: int, programs: Programs, placement: Placement, methods: Methods) -> Measured:
    started_at, started_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    by_turns = trial.method == TURNS
    placement = placement.with_servers_on(trial.load.server_cpus)
    with ExitStack() as stack:
        served = stack.enter_context(servers(trial, placement, methods))
        # k6 gets ready beside them and waits for them; a command's count must be known before the load.
        at_once = trial.load.generator == K6 and not any(seat.arm.is_foreign for seat in trial.seats)
        if not at_once:
            served.ready()
        shares = [[target] for target in served.targets] if by_turns else [served.targets]
        started_loads_s = time.monotonic()
        opens_at_ms = (
            opening(trial.load, len(shares), STARTUP_TIMES.expected_s(trial), waits_s(trial)) if by_turns else None
        )
        place, ways = process.Place(placement.generator), settings(trial.seats)
        limit_s = timeout_s(trial.method, trial.seats)
        loads = [
            stack.enter_context(
                generators.running(programs, share, trial.load, place, opens_at_ms, settings=ways, timeout_s=limit_s)
            )
            for share in shares
        ]
        if at_once:
            served.ready()
        alike = served.are_alike()
        window = [load.window() for load in loads][-1]
        families: list[Family] = [*loads, *served.all]
        watchdog, missing = None, 0
        if by_turns:
            missing = wait_for_all(trial.load.vus * len(trial.seats), window, families, loads)
            STARTUP_TIMES.learn(trial, took_s := time.monotonic() - started_loads_s)
            if time.time() * 1e3 > window.from_ms:
                raise WindowMissed(
                    f"servers and generators were not ready when the window was to open, in {STARTS} starts (the last "
                    f"took {took_s:.1f} s): the machine is too busy"
                )
            teams = [
                Team((server.members(), load.members()), server.stopped)
                for server, load in zip(served.all, loads, strict=True)
            ]
            watchdog = stack.enter_context(taking_turns(trial, attempt, window, teams, placement))
        cpus = (*placement.server, *placement.generator) if placement.server else ()
        observed = observe(families, window, cpus, [watchdog] if watchdog else [], [watchdog.pid] if watchdog else [])
        generator_peak = sum(family.peak_rss_bytes(load.members()) for load in loads)
        took_turns, own_s = watchdog.end(missing) if watchdog else (None, [None] * len(served.all))
        summaries = [load.finish(limit_s + SUMMING_UP_S) for load in loads]
        ends = served.stop(window)
        counted = [load.calls(number) for load in loads for number in load.numbers]
        reply_bytes = [load.reply_bytes for load in loads for _ in load.numbers]
    generator_s, servers_s = sum(observed.used_s[: len(loads)]), observed.used_s[len(loads) :]
    calls = [
        generators.seen(one, end.replied_with, in_replies, by_turns=by_turns)
        for one, end, in_replies in zip(counted, ends, reply_bytes, strict=True)
    ]
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        took_s=time.monotonic() - started_s,
        served=tuple(
            end.served(trial, one, cpu_s, observed.window_s, own)
            for one, end, cpu_s, own in zip(calls, ends, servers_s, own_s, strict=True)
        ),
        generators=(
            Generating(
                Usage(generator_s, observed.window_s, placement.generator, generator_peak),
                len(placement.generator) or len(usable_cpus()),
            ),
        ),
        turns=took_turns,
        late_ms=observed.late_ms,
        alike=alike,
        machine=observed.machine,
    )
    return result, summaries


def _startup_key(trial: Trial) -> StartupKey:
    """Return what says how long it takes until all VUs are answered."""
    arms = frozenset(replace(seat.arm, burn_us=0) for seat in trial.seats)
    return (trial.load.generator, trial.load.vus, len(trial.seats)), arms


def waits_s(trial: Trial) -> float:
    """Return for how long the last of a server's VUs waits at most while the others are in the critical section."""
    return trial.load.vus * max(seat.arm.hold_us + seat.arm.sync_us for seat in trial.seats) / 1e6


def wait_for_all(
    vus: int, window: Window, watched: Sequence[Watched], loads: Sequence[RunningLoad], clock: Clock = time
) -> int:
    """Wait until every one of so many VUs has had an answer; return how many had none when turns had to begin."""

    def missing() -> int:
        return vus - sum(load.answered() for load in loads)

    def check() -> None:
        for one in watched:
            one.check()

    within_s = window.from_ms / 1e3 - LEAST_WARMUP_S - clock.time()
    wait_until(lambda: missing() <= 0, within_s, clock, check)
    return missing()
