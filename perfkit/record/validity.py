"""What makes a trial say less than it seems to: each flag once, with its test, its words, and what it makes void."""

from collections.abc import Callable
from dataclasses import dataclass

from perfkit.design.factors import H2LOAD
from perfkit.design.plan import JOINT, SOLO
from perfkit.record.calls import PART_STATISTICS, PARTS
from perfkit.record.results import TrialResult

GENERATOR_LIMIT = 0.9
"""A generator using more than this part of its cores is the one that is measured, not the server."""

EQUAL_SHARES = 0.05
"""How much more CPU time one server of a joint trial may have got than another."""

SATURATED = 0.9
"""The part of the core they share, or each has for its turns, that servers use, from which on they are saturated."""

LEAST_CALL_US = 3.0
"""No gRPC call costs less; to be stopped and continued costs a process that sleeps nearly so much."""

PUNCTUAL = 0.05
"""How far, as a part of the window, its clock readings may lie apart from its length, or each from its end."""

OTHERS, STOLEN, THROTTLED = 0.1, 0.1, 0.01
"""How much of a core other processes, the hypervisor and a quota may take from the measured ones."""

CLOCKS = 0.01
"""How far a host's clock may be off another's, as a part of the window: for so much of it they speak of other calls."""

ALIKE = 0.2
"""How much longer the median latency that one host sees may be than another's."""

LATE_TURNS = 0.1
"""How much longer than meant, as a part of it, a turn may be; 1 in 20 may be longer."""

SHARED = "shared cores"
"""The flag of servers that have the load generator's cores too."""

EVERYTHING = "everything"
LATENCY = ("p50_ms", "p95_ms", "p99_ms", *(f"{part}_{name}_ms" for part in PARTS for name in PART_STATISTICS))
SERVED = ("throughput_rps", *LATENCY)


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that limits a trial."""

    name: str
    holds: Callable[[TrialResult], bool]
    sentence: str
    """how a caveat begins; it goes on "in 3 of 40 trials (which)" """
    voids: tuple[str, ...] = ()
    """metrics that say nothing of the server then, or EVERYTHING; empty: it limits what they mean"""


def _was_cut_off(result: TrialResult) -> bool:
    # h2load ends by the clock, after the window, in the middle of each connection's last call.
    expected = result.trial.load.vus if result.trial.load.generator == H2LOAD else 0
    return any(one.calls.cut_off_total > expected for one in result.served)


def _was_paused(result: TrialResult) -> bool:
    length_s = result.trial.load.duration_s
    most_s = PUNCTUAL * length_s
    # Both ends late by as much would have the right length, and a server that idles after the window in it.
    edges_s = [late_ms / 1e3 for late_ms in result.late_ms or ()]
    lengths_s = [one.usage.window_s for one in result.generators]
    return any(abs(window_s - length_s) > most_s for window_s in lengths_s) or any(
        abs(late_s) > most_s for late_s in edges_s
    )


def _clocks_are_apart(result: TrialResult) -> bool:
    return any(clock.error_ms / 1e3 > CLOCKS * result.trial.load.duration_s for clock in result.clocks)


def _hosts_differ(result: TrialResult) -> bool:
    by_server = zip(*(one.p50_ms for one in result.generators), strict=True)
    seen = [[p50_ms for p50_ms in several if p50_ms] for several in by_server]
    return any(max(several) > (1 + ALIKE) * min(several) for several in seen if several)


def _share_cores(result: TrialResult) -> bool:
    loading = {cpu for one in result.generators if not one.host for cpu in one.usage.cpus}
    return any(one.usage and loading.intersection(one.usage.cpus) for one in result.served)


def _was_connecting(result: TrialResult) -> bool:
    return any(one.calls.late_connections > 0 for one in result.served) and not result.trial.load.connect_per_iteration


def _turns_were_late(result: TrialResult) -> bool:
    return result.turns is not None and result.turns.late_ms["p95"] > LATE_TURNS * result.trial.load.turn_ms


def _shares_are_unequal(result: TrialResult) -> bool:
    used = [one.cpu_s for one in result.served]
    return result.trial.method == JOINT and max(used) > (1 + EQUAL_SHARES) * min(used)


def _left_their_core_idle(result: TrialResult) -> bool:
    if result.trial.method == SOLO:
        return False  # it is loaded as was asked for, and its latency tells
    used_s = sum(one.cpu_s for one in result.served)
    return used_s < SATURATED * (sum(one.own_s or 0 for one in result.served) or result.generators[0].usage.window_s)


FLAGS = (
    Flag(
        "lost update",
        lambda result: any(one.is_count_wrong for one in result.served),
        "A final count contradicted what was acknowledged, so nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "failures",
        lambda result: any(one.calls.failed_total > 0 or one.calls.acknowledged == 0 for one in result.served),
        "Calls failed, so nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "cut off",
        _was_cut_off,
        "Calls never ended, so nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "not the server",
        lambda result: any(
            one.usage and one.cpu_s * 1e6 < LEAST_CALL_US * one.calls.acknowledged for one in result.served
        ),
        "The process that was started used hardly any CPU, so another one serves (a container's, say), and nothing "
        "counts,",
        (EVERYTHING,),
    ),
    Flag(
        "paused",
        _was_paused,
        "The run stood still inside the window, or the clock was set, so nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "clocks apart",
        _clocks_are_apart,
        f"The hosts' clocks agreed to no better than {CLOCKS * 100:g} % of the window, or one was set inside it, so "
        "nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "disturbed turns",
        lambda result: result.turns is not None and result.turns.woken > 0,
        "Somebody else continued a server that was stopped, so nothing counts,",
        (EVERYTHING,),
    ),
    Flag(
        "count not proven",
        lambda result: any(one.final_count is None for one in result.served),
        "The server did not say its count, so that calls lost there would not be seen,",
    ),
    Flag(
        "hosts differ",
        _hosts_differ,
        f"A host saw medians of latency more than {ALIKE * 100:g} % above another's (its network, its load), so that "
        "percentiles are of a mixture,",
    ),
    Flag(
        "busy cores",
        lambda result: result.machine is not None and result.machine.others > OTHERS,
        f"Other processes used more than {OTHERS * 100:g} % of a measured core,",
    ),
    Flag(
        "throttled",
        lambda result: result.machine is not None and result.machine.throttled > THROTTLED,
        "A quota of CPU time kept servers or load generator from running, so throughput and latency are the quota's,",
        SERVED,
    ),
    Flag(
        "stolen time",
        lambda result: result.machine is not None and result.machine.stolen > STOLEN,
        f"The hypervisor took more than {STOLEN * 100:g} % of a core from the measured ones,",
    ),
    Flag(
        "generator limited",
        lambda result: result.generator_busy > GENERATOR_LIMIT,
        f"The load generator used more than {GENERATOR_LIMIT * 100:g} % of its cores, so throughput and latency are "
        "its own and give no verdict,",
        SERVED,
    ),
    Flag(
        SHARED,
        _share_cores,
        "The servers had the load generator's core too, so throughput and latency are of both and "
        "give no verdict,",
        SERVED,
    ),
    Flag(
        "dropped iterations",
        lambda result: any(one.calls.dropped_total > 0 for one in result.served),
        "k6 had no free VU for some of the offered calls, so latency is of fewer calls,",
    ),
    Flag(
        "warm-up too short",
        _was_connecting,
        "Connections were still being made inside the window,",
    ),
    Flag(
        "random layout",
        lambda result: result.alike is False,
        "The system refused to lay the servers' memory out alike (a container's profile, say; for Docker and Podman "
        "--security-opt seccomp=unconfined allows it), so that the luck of a launch moves CPU per call",
    ),
    Flag("late turns", _turns_were_late, f"More than 1 turn in 20 was over {LATE_TURNS * 100:g} % too long"),
    Flag("unequal shares", _shares_are_unequal, "The servers' shares of their core were unequal"),
    Flag(
        "unsaturated",
        _left_their_core_idle,
        "The servers left their core idle at times, so that CPU per call is no inverse of capacity,",
    ),
)  # fmt: skip
"""Worst first."""

INVALIDATING = frozenset(flag.name for flag in FLAGS if EVERYTHING in flag.voids)
"""Flags with which nothing of a trial counts."""

MOMENTARY = frozenset({"paused", "disturbed turns"})
"""Those of them that are the machine's, whichever servers were measured."""


def flags(result: TrialResult) -> tuple[str, ...]:
    """Return the names of the flags that hold of a trial, worst first."""
    return tuple(flag.name for flag in FLAGS if flag.holds(result))


def is_valid(result: TrialResult) -> bool:
    """Return whether anything of a trial counts."""
    return INVALIDATING.isdisjoint(flags(result))


def voiding(metric: str) -> tuple[str, ...]:
    """Return the flags of trials that count which make void this metric (a column's name)."""
    return tuple(flag.name for flag in FLAGS if metric in flag.voids)
