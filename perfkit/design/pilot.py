"""What only a pilot trial can tell a comparison: how much its handicap must burn, and how long its turns must be."""

from dataclasses import dataclass, replace

from perfkit.design.plan import HANDICAP, SMALL_HANDICAP, TURNS, Seat, Trial

HANDICAPS_PCT = {HANDICAP: 10.0, SMALL_HANDICAP: 3.0}
"""role → about how much dearer than its reference it is made, in per cent; one block has the one, the next the other"""

READY_SHARE = 0.1
"""While a server is stopped k6 works off what it has answered, so a turn begins with up to a ready call a VU."""

WAKE_US, WAKE_SHARE = 15, 0.01
"""What each worker thread costs at each turn, for continuing a process wakes all of its threads
(`bench/turns.py --idle`); and what part of a turn that may be."""

MOST_WORKERS = 150
"""More would cost too much even of the longest turn."""

SHORTEST_TURN_MS, LONGEST_TURN_MS = 20, 250
"""Shorter turns answered like joint trials; longer ones come round too seldom in a window."""

BURN_COST = 1.5
"""What a burn costs, in what is burned: whoever holds Python's lock longer makes others wait and wake."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a trial at the run's begin said of the handicap's reference."""

    cpu_per_call_us: float
    throughput_rps: float


def piloted(trial: Trial, pilot: Pilot) -> Trial:
    """Return a trial with what only a pilot trial can tell: how much its handicap burns, and how long its turns are."""
    role = tuple(HANDICAPS_PCT)[trial.block % len(HANDICAPS_PCT)]
    burn_us = max(1, round(HANDICAPS_PCT[role] / 100 * pilot.cpu_per_call_us / BURN_COST))
    seated = tuple(
        Seat(role, replace(seat.arm, burn_us=seat.arm.burn_us + burn_us)) if seat.role == HANDICAP else seat
        for seat in trial.seats
    )
    load = trial.load
    if trial.method == TURNS and not load.turn_ms:
        workers = max(seat.arm.workers for seat in trial.seats)
        load = replace(load, turn_ms=turn_for(load.vus, pilot.throughput_rps, workers))
    return replace(trial, seats=seated, load=load)


def turn_for(vus: int, throughput_rps: float, workers: int) -> int:
    """Return the length of a turn, in ms: so long that few of its calls were ready, and waking costs little of it."""
    few_ready_ms = vus / (READY_SHARE * throughput_rps) * 1e3
    cheap_ms = workers * WAKE_US / 1e3 / WAKE_SHARE
    return round(min(max(few_ready_ms, cheap_ms, SHORTEST_TURN_MS), LONGEST_TURN_MS))
