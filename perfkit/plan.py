"""What to run: trials of one arm or of several at once, and the seeded order in which blocks take them."""

import random
import resource
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, TypeVar

from perfkit import parameters
from perfkit.arms import Arm, parse_arm, parse_arms
from perfkit.errors import PlanError

T = TypeVar("T")

SCHEMA_VERSION = 1
"""Of plan.json and trials.jsonl; a change is an entry in CHANGELOG.md."""

STUDY_LEVELS = (10, 100, 200, 300, 500, 1000)
"""The published study's numbers of VUs."""

K6_SHORTEST_S = 1.0
"""k6 takes no shorter scenario than this."""

FILES_BESIDE_CONNECTIONS = 200
"""Files that k6 or a server holds open beside one for each connection, generously."""

HANDICAP_US = 10
"""CPU time that the handicap control burns in each call, in µs."""

A, AA, HANDICAP, B, YARDSTICK = "a", "aa", "handicap", "b", "yardstick"
"""Roles in a joint trial: an arm; the same again (A/A control); the same with a known burn; the other arm; and, where
`a` is a foreign command that can't be told to burn, perfkit's own arm that the handicap is compared with instead."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server, and how long it is watched."""

    vus: int
    warmup_s: float
    duration_s: float
    rate: int | None = None
    """calls a second offered (open model); None: each VU calls again as soon as it is answered (closed model)"""
    connect_per_iteration: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """An arm in its role in a joint trial."""

    role: str
    arm: Arm


@dataclass(frozen=True, slots=True)
class Trial:
    """One measured window: of one arm alone (solo), or of several at once (joint), each under `load`."""

    block: int
    seats: tuple[Seat, ...]
    """in the order in which servers and scenarios are started"""
    load: Load

    @property
    def is_joint(self) -> bool:
        """Whether several servers run at once."""
        return len(self.seats) > 1

    @property
    def name(self) -> str:
        """What is under test, for people and file names."""
        return "joint" if self.is_joint else self.seats[0].arm.name


@dataclass(frozen=True, slots=True)
class Sweep:
    """Blocks of trials over levels: each takes every arm at every level once, alone, and if `joint` at once too."""

    kind: ClassVar[str] = "sweep"

    levels: tuple[int, ...]
    arms: tuple[Arm, ...]
    repeats: int
    warmup_s: float
    duration_s: float
    rate: int | None
    connect_per_iteration: bool
    joint: bool
    """whether each level of a block has a joint trial of the two arms and the controls beside the solo ones"""
    pin: bool
    seed: int

    def block(self, number: int) -> tuple[Trial, ...]:
        """Return the trials of block `number` in their order: levels shuffled, and the arms within each level.

        The arms of a level stay neighbours in time, so that a drift of the machine meets them alike.
        """
        order = _order(self.seed, number)
        trials: list[Trial] = []
        for vus in order.sample(self.levels, len(self.levels)):
            load = Load(vus, self.warmup_s, self.duration_s, self.rate, self.connect_per_iteration)
            at_level = [Trial(number, (Seat(A, arm),), load) for arm in self.arms]
            if self.joint:
                at_level.append(Trial(number, _shuffled(seats(*self.arms), order), load))
            trials += _shuffled(tuple(at_level), order)
        return tuple(trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {"schema": SCHEMA_VERSION, "kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Sweep":
        """Return the plan that `to_dict` made this of."""
        fields = _fields(data)
        return cls(**{**fields, "levels": tuple(data["levels"]), "arms": tuple(Arm(**arm) for arm in data["arms"])})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Blocks of one joint trial each, with its controls in it, and of solo trials beside it if `solo`."""

    kind: ClassVar[str] = "compare"

    a: Arm
    b: Arm
    vus: int
    rate: int | None
    """of the solo trials only: a joint trial is a closed loop, so that its servers are saturated"""
    budget_s: float
    precision_pct: float
    """half the width wanted of the primary interval; 0: as narrow as the budget makes it"""
    margin_pct: float
    """the largest difference that does not matter"""
    solo: bool
    warmup_s: float
    duration_s: float
    share_session: bool
    """put all servers into one session, so that their shares of the core come out unequal: a check of the method"""
    pin: bool
    seed: int

    def block(self, number: int) -> tuple[Trial, ...]:
        """Return the trials of block `number` in random order, each with its servers in random order."""
        order = _order(self.seed, number)
        load = Load(self.vus, self.warmup_s, self.duration_s)
        everyone = seats(self.a, self.b)
        trials = [Trial(number, _shuffled(everyone, order), load)]
        if self.solo:
            alone = Load(self.vus, self.warmup_s, self.duration_s, self.rate)
            trials += [Trial(number, (seat,), alone) for seat in everyone if seat.role != AA]
        return _shuffled(tuple(trials), order)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {"schema": SCHEMA_VERSION, "kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Comparison":
        """Return the plan that `to_dict` made this of."""
        return cls(**{**_fields(data), "a": Arm(**data["a"]), "b": Arm(**data["b"])})


Plan = Sweep | Comparison


def plan_from_dict(data: dict[str, Any]) -> Plan:
    """Return the plan of either kind that `to_dict` made this of."""
    return Comparison.from_dict(data) if data["kind"] == Comparison.kind else Sweep.from_dict(data)


def seats(a: Arm, b: Arm) -> tuple[Seat, ...]:
    """Return who takes part in a joint trial: `a`, its controls, and `b`."""
    controls: tuple[Seat, ...]
    if a.is_foreign:
        yardstick = parse_arm("threads/mutex", workers=10)
        controls = (Seat(YARDSTICK, yardstick), Seat(HANDICAP, replace(yardstick, burn_us=HANDICAP_US)))
    else:
        controls = (Seat(HANDICAP, replace(a, burn_us=a.burn_us + HANDICAP_US)),)
    return (Seat(A, a), Seat(AA, a), *controls, Seat(B, b))


def plan_sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    rate: object = None,
    connect_per_iteration: object = False,
    joint: object = False,
    workers: object = 10,
    pin: object = True,
    seed: object = 1,
) -> Sweep:
    """Return the plan that these parameters of notebooks/sweep.ipynb ask for; a PlanError names what makes none.

    Numbers may come as text, as papermill and a shell hand them on.
    """
    plan = Sweep(
        levels=_levels(vus),
        arms=parse_arms(arms, parameters.whole("workers", workers, least=1)),
        repeats=parameters.whole("repeats", repeats, least=1),
        warmup_s=parameters.seconds("warmup_s", warmup_s, least=0.0),
        duration_s=parameters.seconds("duration_s", duration_s, least=0.1),
        rate=parameters.rate(rate),
        connect_per_iteration=parameters.yes_or_no("connect_per_iteration", connect_per_iteration),
        joint=parameters.yes_or_no("joint", joint),
        pin=parameters.yes_or_no("pin", pin),
        seed=parameters.whole("seed", seed, least=0),
    )
    if plan.joint and len(plan.arms) != 2:
        raise PlanError(f"joint=True compares two arms, and arms={arms!r} names {len(plan.arms)}; name two")
    if plan.joint and plan.rate is not None:
        raise PlanError(f"rate={plan.rate} and joint=True: servers that share a core must be saturated; leave out one")
    servers = max(len(trial.seats) for trial in plan.block(0))
    _refuse_impossible(plan.warmup_s, plan.duration_s, max(plan.levels), servers)
    return plan


def plan_compare(
    a: object = "threads/mutex",
    b: object = "threads/inputQ",
    vus: object = 20,
    rate: object = None,
    budget_s: object = 120,
    precision_pct: object = 1,
    margin_pct: object = 3,
    solo: object = False,
    duration_s: object = 2,
    warmup_s: object = 1,
    workers: object = 10,
    share_session: object = False,
    pin: object = True,
    seed: object = 1,
) -> Comparison:
    """Return the plan that these parameters of notebooks/compare.ipynb ask for; a PlanError names what makes none."""
    threads = parameters.whole("workers", workers, least=1)
    plan = Comparison(
        a=parse_arm(str(a), threads),
        b=parse_arm(str(b), threads),
        vus=parameters.whole("vus", vus, least=1),
        rate=parameters.rate(rate),
        budget_s=parameters.seconds("budget_s", budget_s, least=1),
        precision_pct=parameters.percent("precision_pct", precision_pct),
        margin_pct=parameters.percent("margin_pct", margin_pct),
        solo=parameters.yes_or_no("solo", solo),
        duration_s=parameters.seconds("duration_s", duration_s, least=0.1),
        warmup_s=parameters.seconds("warmup_s", warmup_s, least=0.0),
        share_session=parameters.yes_or_no("share_session", share_session),
        pin=parameters.yes_or_no("pin", pin),
        seed=parameters.whole("seed", seed, least=0),
    )
    if plan.rate is not None and not plan.solo:
        raise PlanError(f"rate={plan.rate} is of solo trials, and solo=False; say solo=True or leave the rate out")
    _refuse_impossible(plan.warmup_s, plan.duration_s, plan.vus, servers=len(seats(plan.a, plan.b)))
    return plan


def _refuse_impossible(warmup_s: float, duration_s: float, vus: int, servers: int) -> None:
    if warmup_s + duration_s < K6_SHORTEST_S:
        raise PlanError(
            f"warmup_s={warmup_s:g} and duration_s={duration_s:g} are {warmup_s + duration_s:g} s "
            f"together, and k6 takes no load shorter than {K6_SHORTEST_S:g} s; make one of them longer"
        )
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files != resource.RLIM_INFINITY and vus * servers + FILES_BESIDE_CONNECTIONS > most_files:
        fit = (most_files - FILES_BESIDE_CONNECTIONS) // servers
        each = f" at each of {servers} servers" if servers > 1 else ""
        raise PlanError(
            f"vus={vus}{each}: each VU is an open connection, and this machine's hard limit is {most_files} open "
            f"files; raise it (ulimit -Hn)" + (f" or stay at {fit} VUs" if fit > 0 else "")
        )


def _levels(vus: object) -> tuple[int, ...]:
    """A number: the study's levels up to and including it. A list, or text with commas: just those."""
    if isinstance(vus, str) and "," in vus:
        vus = [part for part in vus.split(",") if part.strip()]
    if isinstance(vus, list | tuple):
        levels = tuple(parameters.whole("vus", level, least=1) for level in vus)
        if not levels:
            raise PlanError("vus=[] names no level; give at least one, as in vus=[10, 50]")
        if len(set(levels)) < len(levels):
            raise PlanError(f"vus={list(levels)} names a level twice; name each once, and repeats=N for more blocks")
        return tuple(sorted(levels))
    highest = parameters.whole("vus", vus, least=1, example="vus=500, or '10,50' for just those levels")
    return (*(level for level in STUDY_LEVELS if level < highest), highest)


def _order(seed: int, block: int) -> random.Random:
    return random.Random(f"{seed}/{block}")  # noqa: S311 - an order, not a secret


def _shuffled(things: tuple[T, ...], order: random.Random) -> tuple[T, ...]:
    return tuple(order.sample(things, len(things)))


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("schema", "kind")}
