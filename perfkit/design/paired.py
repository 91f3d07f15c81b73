"""Trials of several servers: who takes part, how much a handicap burns, how long turns are, and who can't take them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perfkit.design.arms import Arm, parse_arm
from perfkit.design.plan import (
    AA,
    CONTROL,
    HANDICAP,
    SMALL_HANDICAP,
    SOLO,
    TIMEOUT_S,
    TURNS,
    YARDSTICK,
    A,
    B,
    Cell,
    Load,
    Seat,
    Trial,
    some_wait,
)
from perfkit.errors import PlanError

HANDICAPS_PCT = {HANDICAP: 10.0, SMALL_HANDICAP: 3.0}
"""role → about how much dearer than its reference it is made, in per cent; one block has the one, the next the other"""

BURN_COST = 1.5
"""What a burn costs, in what is burned: whoever holds Python's lock longer makes others wait and wake."""

TURN_MS = 10
"""Shorter turns cost more of the machine for stopping and waking, longer ones meet more of its ups and downs
(`bench/turns.py`)."""

WAKE_US, WAKE_SHARE = 15, 0.02
"""What each worker thread costs at each turn, for continuing a process wakes all of its threads
(`bench/turns.py --idle`); and what part of a turn that may be."""

WAITING_TURN_MS = 250
"""Where some wait, turns are so long that being woken costs next to nothing: who is busy would pay for that, and who
waits would not (`bench/agreement.py`)."""

MOST_WORKERS = 150
"""With more, turns would have to be too long to come round often in a window."""

LONGEST_PAUSE = 0.2
"""The part of a call's time limit that a server may stand still between two of its turns."""

CONTAINER_CLIENTS = ("docker", "podman", "nerdctl", "kubectl")
"""Programs that only ask another one to run the server: a signal stops the client, not the server."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a trial at the run's begin said of the handicap's reference."""

    cpu_per_call_us: float


def seats(a: Arm, *others: Arm, alternating: bool = False) -> tuple[Seat, ...]:
    """Return who takes part in a trial of several: `a`, its controls, and the others.

    The handicap burns nothing yet: how much it must burn is known when it is known what a call costs (`piloted`).
    `alternating`: one control a block, in turn, which is a server less to start; not where `a` can't burn.
    """
    controls: tuple[Seat, ...] = (Seat(AA, a), Seat(HANDICAP, a))
    if a.is_foreign:
        yardstick = parse_arm("threads/mutex", workers=10)
        controls = (Seat(AA, a), Seat(YARDSTICK, yardstick), Seat(HANDICAP, yardstick))
    elif alternating:
        controls = (Seat(CONTROL, a),)
    return (Seat(A, a), *controls, *(Seat(B, other) for other in others))


def rivals(arms: Sequence[Arm]) -> tuple[Seat, ...]:
    """Return a seat for each arm, without controls; the first is `a`."""
    return tuple(Seat(B if number else A, arm) for number, arm in enumerate(arms))


def one_at_a_time(arms: Sequence[Arm], load: Load, every: int = 1, near: int = 0) -> list[Cell]:
    """Return a solo cell for each arm; the first is `a`."""
    return [Cell(SOLO, (seat,), load, every, near) for seat in rivals(arms)]


def piloted(trial: Trial, pilot: Pilot) -> Trial:
    """Return a trial with what only its block and a pilot trial can tell: who is which control, and burns how much.

    Where handicaps burn beside a yardstick, a trial has the A/A control in one block and the handicap in the next: two
    servers fewer then share its time with those that are asked about.
    """
    in_turn = len(trial.seats) > 1 and YARDSTICK in [seat.role for seat in trial.seats]
    left_out = ((YARDSTICK, HANDICAP), (AA,))[trial.block % 2] if in_turn else ()
    burning = HANDICAP if in_turn else tuple(HANDICAPS_PCT)[trial.block % len(HANDICAPS_PCT)]
    seated = [
        _seated(seat, trial.block, burning, pilot.cpu_per_call_us) for seat in trial.seats if seat.role not in left_out
    ]
    return replace(trial, seats=tuple(seated))


def _seated(seat: Seat, block: int, burning: str, cost_us: float) -> Seat:
    if seat.role == CONTROL:
        return Seat(AA, seat.arm) if block % 2 == 0 else _burning(HANDICAP, seat.arm, cost_us)
    return _burning(burning, seat.arm, cost_us) if seat.role == HANDICAP else seat


def _burning(role: str, arm: Arm, cost_us: float) -> Seat:
    burn_us = max(1, round(HANDICAPS_PCT[role] / 100 * cost_us / BURN_COST))
    return Seat(role, replace(arm, burn_us=arm.burn_us + burn_us))


def turn_for(seats: Sequence[Seat]) -> int:
    """Return the length of a turn, in ms, so long that waking the workers costs little of it."""
    workers = max(seat.arm.workers for seat in seats)
    shortest = WAITING_TURN_MS if some_wait(seats) else TURN_MS
    return round(max(shortest, workers * WAKE_US / 1e3 / WAKE_SHARE))


def timeout_s(method: str, seats: Sequence[Seat]) -> float:
    """Return how long a call may take: by turns, one that waits does so while its server has one turn of several."""
    by_turns = method == TURNS and some_wait(seats)
    return TIMEOUT_S * (len(seats) if by_turns else 1)


def turns_of(seats: Sequence[Seat], turn_ms: int = 0) -> int:
    """Return the length of their turns, in ms: that which was asked for, or else `turn_for`.

    A PlanError where they can't take turns.
    """
    turn_ms = turn_ms or turn_for(seats)
    refuse_unturnable(seats, turn_ms)
    return turn_ms


def refuse_unturnable(seats: Sequence[Seat], turn_ms: int) -> None:
    """Raise a PlanError where servers can't be stopped and continued without changing what is measured."""
    advice = "compare by solo trials (method=solo)"
    for arm in (seat.arm for seat in seats):
        if arm.is_durable:
            raise PlanError(f"arm {arm.name} waits for a disk, which goes on while its server is stopped; {advice}")
        if arm.workers > MOST_WORKERS:
            raise PlanError(
                f"arm {arm.name}: each turn wakes all workers, and more than {MOST_WORKERS} would cost too much of it; "
                f"{advice}"
            )
        if arm.is_foreign and not arm.runs_already and Path(shlex.split(arm.command)[0]).name in CONTAINER_CLIENTS:
            raise PlanError(f"arm {arm.name} starts a container, whose server is not stopped with its client; {advice}")
    # A round in which it was the first, then one in which it is the last.
    pause_s = 2 * (len(seats) - 1) * turn_ms / 1e3
    if pause_s > LONGEST_PAUSE * (limit_s := timeout_s(TURNS, seats)):
        raise PlanError(
            f"turn_ms={turn_ms}: a server could stand still for {pause_s:g} s, too near to a call's time limit of "
            f"{limit_s:g} s; take shorter turns, or {advice}"
        )
