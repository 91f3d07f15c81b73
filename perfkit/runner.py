"""A trial becomes a result: fresh server, real k6, both processes' CPU clocks read at both ends of the window."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfkit import k6, process
from perfkit.environment import siblings, usable_cpus
from perfkit.errors import PerfkitError
from perfkit.plan import Trial
from perfkit.results import TrialResult, Usage

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
    with (
        process.server(trial.arm, placement.server) as server,
        k6.running(program, [server.address], trial.load, placement.k6) as load,
    ):
        window = load.window()
        pids = (server.pid, load.pid)
        _sleep_until(window.from_ms, server, load)
        opened_ns, used_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        _sleep_until(window.until_ms, server, load)
        closed_ns, used_until_ns = time.monotonic_ns(), [process.cpu_ns(pid) for pid in pids]
        k6_peak = process.peak_rss_bytes(load.pid)
        summary = load.finish(AFTER_WINDOW_S)
        server.check()
        server_peak = process.peak_rss_bytes(server.pid)
        final_count = server.stop()
    server_s, k6_s = ((until - since) / 1e9 for since, until in zip(used_ns, used_until_ns, strict=True))
    window_s = (closed_ns - opened_ns) / 1e9
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        calls=k6.calls(summary, 0),
        final_count=final_count,
        server=Usage(server_s, window_s, placement.server, server_peak),
        k6=Usage(k6_s, window_s, placement.k6, k6_peak),
        k6_cores_available=len(placement.k6) or len(usable_cpus()),
    )
    return result, summary


def _sleep_until(epoch_ms: int, server: process.RunningServer, load: k6.RunningLoad) -> None:
    while True:
        server.check()
        load.check()
        left_s = epoch_ms / 1e3 - time.time()
        if left_s <= 0:
            return
        time.sleep(min(left_s, CHECK_S))
