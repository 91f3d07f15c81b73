"""A trial becomes a result: fresh servers, real k6, every process's CPU clock read at both ends of the window."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfkit.design.plan import SOLO, Trial
from perfkit.errors import LoadError, PerfkitError
from perfkit.record.results import Served, TrialResult, Usage
from perfkit.rig import foreign, k6, process
from perfkit.rig.host import siblings, usable_cpus

AFTER_WINDOW_S = k6.TIMEOUT_S + 20
"""How long k6 may take after the window: the last calls' time limit, and the summary of some million samples."""

CHECK_S = 0.25
"""How often a sleeping runner looks whether server and k6 still live."""

LATE_S = 1.0
"""How late a clock may be read before that is an error; less makes the trial a paused one (results.PUNCTUAL)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores servers and k6 are pinned to (empty: not), and whether servers have sessions of their own."""

    server: tuple[int, ...] = ()
    k6: tuple[int, ...] = ()
    own_sessions: bool = True
    alike: bool = True
    """whether the servers of a joint trial are laid out alike in memory, as process.Place says why"""


def place(*, pin: bool, own_sessions: bool = True) -> Placement:
    """Give servers one core (a `threads` server is faster so) and k6 the rest, without the servers' sibling if any.

    No pinning on one core, or where the system offers none.
    """
    cpus = usable_cpus()
    if not pin or len(cpus) < 2 or not process.CAN_PIN:
        return Placement(own_sessions=own_sessions)
    rest = cpus[1:]
    apart = tuple(cpu for cpu in rest if cpu not in siblings(cpus[0]))
    return Placement(cpus[:1], apart or rest, own_sessions)


def measure(trial: Trial, attempt: int, program: k6.K6, placement: Placement) -> tuple[TrialResult, dict[str, Any]]:
    """Run one trial, all its servers afresh; return its result and k6's whole summary.

    Whatever breaks the load or a server raises with the trial's name: it never becomes a number.
    """
    try:
        return _measure(trial, attempt, program, placement)
    except PerfkitError as error:
        raise type(error)(
            f"trial of {trial.name} at {trial.load.vus} VUs in block {trial.block}: {error}. "
            "Finished trials are kept: start the same again to continue"
        ) from error


def _measure(trial: Trial, attempt: int, program: k6.K6, placement: Placement) -> tuple[TrialResult, dict[str, Any]]:
    started_at, started_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    where = process.Place(
        placement.server, alike=placement.alike and trial.method != SOLO, own_session=placement.own_sessions
    )
    with ExitStack() as stack:
        servers = [
            stack.enter_context((foreign if seat.arm.is_foreign else process).server(seat.arm, where))
            for seat in trial.seats
        ]
        addresses = [server.ready() for server in servers]  # all start at once
        load = stack.enter_context(k6.running(program, addresses, trial.load, process.Place(placement.k6)))
        window = load.window()
        pids = [load.pid, *(server.pid for server in servers)]
        _sleep_until(window.from_ms, load, servers)
        opened_ns, used_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        _sleep_until(window.until_ms, load, servers)
        closed_ns, used_until_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        k6_peak = process.peak_rss_bytes(load.pid)
        summary = load.finish(AFTER_WINDOW_S)
        peaks = [k6_peak, *map(_peak_rss_bytes, servers)]
        counts = [server.stop() for server in servers]
    window_s = (closed_ns - opened_ns) / 1e9
    cpus = [placement.k6, *(placement.server for _ in servers)]
    k6_usage, *usages = (
        Usage((until - since) / 1e9, window_s, pinned, peak)
        for since, until, pinned, peak in zip(used_ns, used_until_ns, cpus, peaks, strict=True)
    )
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        took_s=time.monotonic() - started_s,
        served=tuple(
            Served(k6.calls(summary, number), count, usage)
            for number, (count, usage) in enumerate(zip(counts, usages, strict=True))
        ),
        k6=k6_usage,
        k6_cores_available=len(placement.k6) or len(usable_cpus()),
    )
    return result, summary


def _peak_rss_bytes(server: process.RunningServer) -> int:
    server.check()
    return process.peak_rss_bytes(server.pid)


def _sleep_until(epoch_ms: int, load: k6.RunningLoad, servers: Sequence[process.RunningServer]) -> None:
    while True:
        late_s = time.time() - epoch_ms / 1e3
        if late_s > LATE_S:
            raise LoadError(
                f"perfkit stood still in mid-trial and missed an end of the window by {late_s:.1f} s (it was stopped, "
                "the machine slept, or the clock was set)"
            )
        load.check()
        for server in servers:
            server.check()
        if late_s >= 0:
            return
        time.sleep(min(-late_s, CHECK_S))
