"""A trial on several hosts: servers on one, load generators on all others, one window by every host's own clock."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from perfkit.design.plan import SOLO, TURNS, Trial
from perfkit.errors import LoadError, PerfkitError
from perfkit.record.merging import GRID, merged_calls
from perfkit.record.results import Clock, Generating, Machine, Served, TrialResult
from perfkit.record.validity import CLOCKS
from perfkit.rig import generators
from perfkit.rig.cluster.clock import Offset
from perfkit.rig.cluster.hosts import Host, Hosts
from perfkit.rig.cluster.told import Loaded, LoadSeen, ServersSeen
from perfkit.rig.generators.contract import OPENING_S, OPENING_VU_S, PERCENTILES, Part, Window
from perfkit.rig.generators.k6 import START_S
from perfkit.rig.servers.own import STOP_S
from perfkit.rig.trial.here import LEAST_WARMUP_S, Measured, broken
from perfkit.rig.trial.serving import Ended

AHEAD_S = 0.1
"""How long before the load begins all hosts are told when that is."""

CONNECT_S = 0.1
"""What a closed load has beside its warm-up until it is there, on another host."""


def measure(trial: Trial, attempt: int, hosts: Hosts) -> Measured:
    """Run one trial, all its servers afresh; each host has one generator, for all servers.

    Whatever breaks the load, a server or a host raises with the trial's name: it never becomes a number.
    """
    try:
        return _measure(trial, attempt, hosts)
    except BaseException as error:
        silent = hosts.tell_all("abort")
        if not isinstance(error, PerfkitError):
            raise
        if silent:
            error = type(error)(
                f"{error}; {', '.join(silent)} did not confirm that all was ended there: what is left ends by "
                f"itself within {_longest_s(trial, hosts):.0f} s"
            )
        raise broken(trial, error) from error


def _measure(trial: Trial, attempt: int, hosts: Hosts) -> Measured:
    started_at, started_s = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    load, patience, longest_s = trial.load, hosts.patience, _longest_s(trial, hosts)
    server, loading = hosts.server, hosts.generators
    hosts.tick()
    before = hosts.clocks()
    refuse_vague(before, load.duration_s)
    targets = hosts.ask(server, "serve", trial, longest_s)
    lead_s = _lead_s(trial)
    getting_ready = [
        hosts.call(server, "ready"),
        *(
            hosts.call(one, "load", trial, targets, lead_s, Part(number, len(loading), GRID), longest_s)
            for number, one in enumerate(loading)
        ),
    ]
    alike, *_ = hosts.wait(getting_ready, START_S + patience.answer_s)
    begin_s = time.time() + AHEAD_S + max(clock.error_s for clock in before.values())
    from_s, until_s = begin_s + lead_s, begin_s + lead_s + load.duration_s
    turns_s = from_s - max(LEAST_WARMUP_S, load.warmup_s)
    left_s = until_s - time.time() + patience.after_s

    def ms(host: Host, epoch_s: float) -> int:
        return round(before[host].there(epoch_s) * 1e3)

    def window(host: Host) -> Window:
        from_ms = ms(host, from_s)
        return Window(from_ms, from_ms + round(load.duration_s * 1e3))

    watching = [
        hosts.call(server, "watch_servers", window(server), ms(server, turns_s), attempt, left_s),
        *(hosts.call(one, "watch_load", ms(one, begin_s), window(one), ms(one, turns_s), left_s) for one in loading),
    ]
    seen: ServersSeen
    loads: list[LoadSeen]
    seen, *loads = hosts.wait(watching, until_s - time.time() + patience.answer_s)
    finishing = [hosts.call(one, "finish", patience.after_s) for one in loading]
    loaded: list[Loaded] = hosts.wait(finishing, patience.after_s + patience.answer_s)
    ended: list[Ended] = hosts.call(server, "stop", window(server)).result(STOP_S + patience.answer_s)
    hosts.ask_all("end")
    clocks = agreed(before, hosts.clocks())
    result = TrialResult(
        trial=trial,
        attempt=attempt,
        started_at=started_at,
        took_s=time.monotonic() - started_s,
        served=_served(trial, seen, loaded, ended),
        generators=tuple(
            Generating(
                load_seen.usage,
                load_seen.cores_available,
                one.name,
                clocks[one],
                load_seen.late_start_ms,
                tuple(calls.latency.at("50") for calls in counted.calls) if trial.method == SOLO else (),
            )
            for one, load_seen, counted in zip(loading, loads, loaded, strict=True)
        ),
        turns=seen.turns and replace(seen.turns, missing=sum(one.missing for one in loads)),
        late_ms=_latest([seen.observed.late_ms, *(one.observed.late_ms for one in loads)]),
        alike=alike,
        machine=_worst([seen.observed.machine, *(one.observed.machine for one in loads)]),
        server_clock=clocks[server],
    )
    return result, [one.summary for one in loaded]


def _lead_s(trial: Trial) -> float:
    """Return how long the load goes on before the window opens."""
    load = trial.load
    connecting_s = CONNECT_S if trial.method != TURNS else OPENING_S + OPENING_VU_S * load.vus * len(trial.seats)
    return connecting_s + max(load.warmup_s, LEAST_WARMUP_S if trial.method == TURNS else 0.0)


def _longest_s(trial: Trial, hosts: Hosts) -> float:
    """Return how long a trial's processes live at most, whatever happens."""
    return START_S + _lead_s(trial) + trial.load.duration_s + hosts.patience.after_s


def refuse_vague(clocks: Mapping[Host, Offset], duration_s: float) -> None:
    """Raise a LoadError where a host's clock is not known well enough for a window of this length."""
    for host, clock in clocks.items():
        if clock.error_s > CLOCKS * duration_s:
            raise LoadError(
                f"the clock of host {host.name} is known to ± {clock.error_s * 1e3:.1f} ms only, more than "
                f"{CLOCKS * 100:g} % of a window of {duration_s:g} s; make duration_s longer, or bring the coordinator "
                "closer"
            )


def agreed(before: Mapping[Host, Offset], after: Mapping[Host, Offset]) -> dict[Host, Clock]:
    """Return each host's clock, with how far it can have been off in between."""
    return {
        host: Clock(
            offset_ms=one.offset_s * 1e3,
            error_ms=(max(one.error_s, abs(after[host].offset_s - one.offset_s) + after[host].error_s)) * 1e3,
        )
        for host, one in before.items()
    }


def _served(trial: Trial, seen: ServersSeen, loaded: list[Loaded], ended: list[Ended]) -> tuple[Served, ...]:
    by_server = zip(*(one.calls for one in loaded), strict=True)
    in_replies = [one.reply_bytes for one in loaded if one.reply_bytes is not None]
    reply_bytes = sum(in_replies) if in_replies else None
    observed = seen.observed
    return tuple(
        end.served(
            trial,
            generators.seen(
                merged_calls(calls, PERCENTILES), end.replied_with, reply_bytes, by_turns=trial.method == TURNS
            ),
            cpu_s,
            observed.window_s,
            own_s,
        )
        for calls, end, cpu_s, own_s in zip(by_server, ended, observed.used_s, seen.own_s, strict=True)
    )


def _latest(several: list[tuple[float, float]]) -> tuple[float, float]:
    opened, closed = zip(*several, strict=True)
    return max(opened, key=abs), max(closed, key=abs)


def _worst(several: list[Machine | None]) -> Machine | None:
    known = [one for one in several if one is not None]
    if not known:
        return None
    return Machine(
        max(one.others for one in known), max(one.stolen for one in known), max(one.throttled for one in known)
    )
