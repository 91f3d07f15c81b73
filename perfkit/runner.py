"""A trial becomes a result: fresh server, real k6, both processes' CPU clocks read at both ends of the window."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfkit import k6, process
from perfkit.environment import siblings, usable_cpus
from perfkit.errors import PerfkitError
from perfkit.plan import Load, Trial
from perfkit.results import Calls, TrialResult, Usage

AFTER_WINDOW_S = k6.TIMEOUT_S + 20
"""How long k6 may take after the window: the last calls' time limit, and the summary of some million samples."""

CHECK_S = 0.25
"""How often a sleeping runner looks whether server and k6 still live."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores server and k6 are pinned to; empty: not pinned."""

    server: tuple[int, ...] = ()
    k6: tuple[int, ...] = ()


def place(*, pin: bool) -> Placement:
    """Give the server one core (a `threads` server is faster so) and k6 the rest, without the server's sibling if any.

    No pinning on one core, or where the system offers none.
    """
    cpus = usable_cpus()
    if not pin or len(cpus) < 2 or not process.CAN_PIN:
        return Placement()
    rest = cpus[1:]
    apart = tuple(cpu for cpu in rest if cpu not in siblings(cpus[0]))
    return Placement(cpus[:1], apart or rest)


def measure(trial: Trial, attempt: int, program: k6.K6, placement: Placement) -> tuple[TrialResult, dict[str, Any]]:
    """Run one solo trial; return its result and k6's whole summary.

    Whatever breaks the load or the server raises with the trial's name: it never becomes a number.
    """
    try:
        return _measure(trial, attempt, program, placement)
    except PerfkitError as error:
        raise type(error)(
            f"trial of {trial.arm.name} at {trial.load.vus} VUs in block {trial.block}: {error}. "
            "Finished trials are kept: start the same again to continue"
        ) from error


def _measure(trial: Trial, attempt: int, program: k6.K6, placement: Placement) -> tuple[TrialResult, dict[str, Any]]:
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    command = (trial.arm.name, process.command(trial.arm))
    watched = watch([command], trial.load, program, placement)
    (served,) = watched.served
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        calls=served.calls,
        final_count=served.final_count,
        server=served.usage,
        k6=watched.k6,
        k6_cores_available=watched.k6_cores_available,
    )
    return result, watched.summary


@dataclass(frozen=True, slots=True)
class Served:
    """What one server did in a window."""

    calls: Calls
    final_count: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class Watched:
    """One measured window of one or several servers under one k6."""

    served: tuple[Served, ...]
    k6: Usage
    k6_cores_available: int
    summary: dict[str, Any]


def watch(commands: Sequence[tuple[str, Sequence[str]]], load: Load, program: k6.K6, placement: Placement) -> Watched:
    """Start the servers (name, command) afresh, load all at once, and watch them through one window."""
    with ExitStack() as stack:
        servers = [stack.enter_context(process.server(name, argv, placement.server)) for name, argv in commands]
        addresses = [server.address for server in servers]
        running = stack.enter_context(k6.running(program, addresses, load, placement.k6))
        window = running.window()
        pids = [running.pid, *(server.pid for server in servers)]
        _sleep_until(window.from_ms, running, servers)
        opened_ns, used_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        _sleep_until(window.until_ms, running, servers)
        closed_ns, used_until_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        k6_peak = process.peak_rss_bytes(running.pid)
        summary = running.finish(AFTER_WINDOW_S)
        peaks = [k6_peak, *map(_peak_rss_bytes, servers)]
        counts = [server.stop() for server in servers]
    window_s = (closed_ns - opened_ns) / 1e9
    cpus = [placement.k6, *(placement.server for _ in servers)]
    k6_usage, *usages = (
        Usage((until - since) / 1e9, window_s, pinned, peak)
        for since, until, pinned, peak in zip(used_ns, used_until_ns, cpus, peaks, strict=True)
    )
    served = tuple(
        Served(k6.calls(summary, number), count, usage)
        for number, (count, usage) in enumerate(zip(counts, usages, strict=True))
    )
    return Watched(served, k6_usage, len(placement.k6) or len(usable_cpus()), summary)


def _peak_rss_bytes(server: process.RunningServer) -> int:
    server.check()
    return process.peak_rss_bytes(server.pid)


def _sleep_until(epoch_ms: int, load: k6.RunningLoad, servers: Sequence[process.RunningServer]) -> None:
    while True:
        load.check()
        for server in servers:
            server.check()
        left_s = epoch_ms / 1e3 - time.time()
        if left_s <= 0:
            return
        time.sleep(min(left_s, CHECK_S))
