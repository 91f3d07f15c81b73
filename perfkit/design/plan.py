"""What to run: cells, each once in every block, in seeded random order, until the stop rule ends it."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from perfkit.design.arms import Arm
from perfkit.design.factors import K6, KIND, LOAD_FACTORS
from perfkit.service.call import Call

T = TypeVar("T")

SCHEMA_VERSION = 2
"""Of plan.json; a change is an entry in CHANGELOG.md. `design.stored` reads older ones."""

K6_SHORTEST_S = 1.0
"""k6 takes no shorter scenario than this."""

TIMEOUT_S = 10.0
"""How long a call may take."""

SOLO, TURNS, JOINT = "solo", "turns", "joint"
"""Methods of a trial: one server alone; or several on one core, of which one runs at a time, with a k6 of its own; or
all of them at once, under one k6."""

A, AA, HANDICAP, SMALL_HANDICAP, B, YARDSTICK = "a", "aa", "handicap", "small handicap", "b", "yardstick"
"""Roles: an arm; the same again (A/A control); the same with a known burn, or with a smaller one; another arm; and,
where `a` is a foreign command that can't burn, perfkit's own arm that handicaps are compared with instead."""

CONTROL = "control"
"""The role of a seat that is AA in one block and HANDICAP in the next (`design.paired`)."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server, and how long it is watched; the fields are factors (`design.factors`)."""

    vus: int
    warmup_s: float
    duration_s: float
    rate: int | None = None
    connect_per_iteration: bool = False
    turn_ms: int = 0
    """of a trial by turns; 0: none are taken"""
    generator: str = K6
    random_layout: bool = False
    """of servers in memory, also in trials of several"""
    call: Call | None = None
    """what is called of servers that are not perfkit's own; None: the counter"""
    keys: int = 1
    zipf: float = 0.0
    read_pct: float = 0.0
    server_cpus: int = 1

    @property
    def is_keyed(self) -> bool:
        """Whether calls are for several keys, or some of them read."""
        return self.keys > 1 or self.read_pct > 0

    @property
    def kind(self) -> tuple[object, ...]:
        """What an answer may depend on: the values of KIND."""
        return tuple(getattr(self, name) for name in KIND)


@dataclass(frozen=True, slots=True)
class Seat:
    """An arm in its role in a trial."""

    role: str
    arm: Arm


def some_wait(seats: Sequence[Seat]) -> bool:
    """Return whether an arm of these waits in its critical section."""
    return any(seat.arm.waits for seat in seats)


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of what is measured: who takes part, under which load, by which method."""

    method: str
    seats: tuple[Seat, ...]
    load: Load
    every: int = 1
    """it is taken in blocks 0, `every`, twice that, and so on"""
    near: int = 0
    """cells of one load and one such number stay neighbours in time"""


@dataclass(frozen=True, slots=True)
class Trial:
    """A cell in a block: one measured window."""

    block: int
    method: str
    seats: tuple[Seat, ...]
    """in the order in which servers and scenarios are started"""
    load: Load

    @property
    def name(self) -> str:
        """What is under test, for people and file names."""
        return self.seats[0].arm.name if self.method == SOLO else self.method


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a run ends: after `blocks`, or where that is 0, when the ratio is narrow enough or the budget is spent."""

    blocks: int = 0
    budget_s: float = 0.0
    precision_pct: float = 0.0
    """half the width wanted of the primary interval; 0: as narrow as the budget makes it"""
    checked: bool = True
    """whether it is looked at if blocks are independent and their spread stays; not so before 0.2"""
    looks: int = 1
    """how often the answer may have been looked at and more been asked for: one more than the run was extended"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks of trials: each block takes every cell that is due in it once."""

    study: str
    """whose question it is, and which notebook draws it"""
    cells: tuple[Cell, ...]
    stop: StopRule
    margin_pct: float
    """the largest difference that does not matter; 0: any does"""
    share_session: bool
    """put all servers into one session, so that their shares of the core come out unequal: a check of the method"""
    pin: bool
    seed: int
    start_s: float = 30.0
    """how long a server may take until it accepts calls"""
    slo_ms: float = 50.0
    """what p99 may be at an offered rate, for the knee"""
    axes: tuple[str, ...] = ()
    """factors of a map, across and up; empty: it is none"""

    def block(self, number: int) -> tuple[Trial, ...]:
        """Return the trials of block `number` in their order: loads shuffled, then the cells of each load, then seats.

        The cells of one load, and `near` each other, stay neighbours in time: a drift of the machine meets them alike.
        """
        order = random.Random(f"{self.seed}/{number}")  # noqa: S311 - an order, not a secret
        due = [cell for cell in self.cells if number % cell.every == 0]
        places = _shuffled(tuple(dict.fromkeys((cell.load, cell.near) for cell in due)), order)
        return tuple(
            Trial(number, cell.method, _shuffled(cell.seats, order), cell.load)
            for place in places
            for cell in _shuffled([cell for cell in due if (cell.load, cell.near) == place], order)
        )

    def arm(self, role: str) -> Arm:
        """Return the first arm in a role."""
        return next(seat.arm for cell in self.cells for seat in cell.seats if seat.role == role)

    def loads(self, method: str) -> tuple[Load, ...]:
        """Return the loads of the trials by one method; empty where there are no such trials."""
        return tuple(dict.fromkeys(cell.load for cell in self.cells if cell.method == method))

    @property
    def variations(self) -> tuple["Plan", ...]:
        """This plan for each kind of load that it has, in the order in which they were asked for."""
        kinds = dict.fromkeys(cell.load.kind for cell in self.cells)
        return tuple(
            replace(self, cells=tuple(cell for cell in self.cells if cell.load.kind == kind)) for kind in kinds
        )

    @property
    def paired(self) -> str:
        """The method of the trials in which a comparison compares: that of several servers, or else SOLO."""
        return next((cell.method for cell in self.cells if cell.method != SOLO), SOLO)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All arms but the controls, in the order in which they were named."""
        seats = [seat for cell in self.cells for seat in cell.seats if seat.role in (A, B)]
        return tuple(dict.fromkeys(seat.arm for seat in seats))

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of virtual users at each server, rising."""
        return tuple(sorted({cell.load.vus for cell in self.cells}))

    @property
    def factor(self) -> str:
        """What the levels of a sweep are of: "rate" where several are offered, else "vus"."""
        return "rate" if len({cell.load.rate for cell in self.cells if cell.method == SOLO}) > 1 else "vus"

    @property
    def vus(self) -> int:
        """The virtual users at each server, of a plan that has one number of them."""
        (vus,) = self.levels
        return vus

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {"schema": SCHEMA_VERSION, **asdict(self)}

    def continuing(self, begun: "Plan") -> "Plan | None":
        """Return the plan by which a run that was begun by `begun` goes on as this one; None where it can't.

        It can where nothing differs; or where a comparison is extended: more budget, or a finer precision.
        """
        old, new = begun.stop, replace(self.stop, looks=begun.stop.looks)
        if replace(begun, stop=self.stop) != self:
            return None
        if new == old:
            return begun
        coarser = new.precision_pct > old.precision_pct > 0 or (old.precision_pct == 0 < new.precision_pct)
        if new.blocks or old.blocks or new.budget_s < old.budget_s or coarser:
            return None
        return replace(self, stop=replace(new, looks=old.looks + 1))

    def difference(self, other: "Plan") -> str:
        """Return the first thing in which `other` is another plan, as "name value there, value"; empty: the same."""
        mine, others = self._summary(), other._summary()
        for name, value in mine.items():
            if others[name] != value:
                return f"{name} {others[name]} there, {value}"
        return "" if self == other else "its cells there, others"

    def _summary(self) -> dict[str, str]:
        values = {
            "arms": [arm.name for arm in self.arms],
            "methods": sorted({cell.method for cell in self.cells}),
            **{
                one.name: list(dict.fromkeys(getattr(cell.load, one.name) for cell in self.cells))
                for one in LOAD_FACTORS
            },
            **{name: [value] for name, value in asdict(self.stop).items()},
            **{name: [getattr(self, name)] for name in ("margin_pct", "share_session", "pin", "seed", "start_s")},
        }
        return {name: ",".join(map(str, several)) for name, several in values.items()}


def _shuffled(things: Sequence[T], order: random.Random) -> tuple[T, ...]:
    return tuple(order.sample(things, len(things)))
