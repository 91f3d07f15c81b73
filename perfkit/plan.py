"""What to run: arms, load levels, trials, and the seeded order in which blocks take them."""

import math
import random
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perfkit.errors import PlanError

SCHEMA_VERSION = 1
"""Of plan.json and trials.jsonl; a change is an entry in CHANGELOG.md."""

STUDY_LEVELS = (10, 100, 200, 300, 500, 1000)
"""The published study's numbers of VUs."""

ENGINES = ("threads",)
PATTERNS = ("mutex", "inputQ")

K6_SHORTEST_S = 1.0
"""k6 takes no shorter scenario than this."""

FILES_BESIDE_CONNECTIONS = 200
"""Files that k6 or a server holds open beside one for each connection, generously."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing under test."""

    engine: str
    pattern: str
    workers: int
    burn_us: int = 0
    """CPU time that each call burns on purpose, in µs: a known handicap"""

    @property
    def name(self) -> str:
        """engine/pattern with its options: `threads/inputQ?workers=10`."""
        burn = f"&burn_us={self.burn_us}" if self.burn_us else ""
        return f"{self.engine}/{self.pattern}?workers={self.workers}{burn}"


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
class Trial:
    """One measured window of one arm alone."""

    block: int
    arm: Arm
    load: Load


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks of solo trials: each block takes every arm at every level once."""

    levels: tuple[int, ...]
    arms: tuple[Arm, ...]
    repeats: int
    warmup_s: float
    duration_s: float
    rate: int | None
    connect_per_iteration: bool
    pin: bool
    seed: int

    def block(self, number: int) -> tuple[Trial, ...]:
        """Return the trials of block `number` in their order: levels shuffled, and the arms within each level.

        The arms of a level stay neighbours in time, so that a drift of the machine meets them alike.
        """
        order = random.Random(f"{self.seed}/{number}")  # noqa: S311 - an order, not a secret
        trials = []
        for vus in order.sample(self.levels, len(self.levels)):
            load = Load(vus, self.warmup_s, self.duration_s, self.rate, self.connect_per_iteration)
            trials += [Trial(number, arm, load) for arm in order.sample(self.arms, len(self.arms))]
        return tuple(trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {"schema": SCHEMA_VERSION, "kind": "sweep", **asdict(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Plan":
        """Return the plan that `to_dict` made this of."""
        fields = {name: value for name, value in data.items() if name not in ("schema", "kind")}
        fields["levels"] = tuple(data["levels"])
        fields["arms"] = tuple(Arm(**arm) for arm in data["arms"])
        return cls(**fields)


def plan_sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    rate: object = None,
    connect_per_iteration: object = False,
    workers: object = 10,
    pin: object = True,
    seed: object = 1,
) -> Plan:
    """Return the plan that these parameters of notebooks/sweep.ipynb ask for; a PlanError names what makes none.

    Numbers may come as text, as papermill and a shell hand them on.
    """
    plan = Plan(
        levels=_levels(vus),
        arms=_arms(arms, _whole("workers", workers, least=1)),
        repeats=_whole("repeats", repeats, least=1),
        warmup_s=_seconds("warmup_s", warmup_s, least=0.0),
        duration_s=_seconds("duration_s", duration_s, least=0.1),
        rate=None if rate in (None, "", "None") else _whole("rate", rate, least=1),
        connect_per_iteration=_yes_or_no("connect_per_iteration", connect_per_iteration),
        pin=_yes_or_no("pin", pin),
        seed=_whole("seed", seed, least=0),
    )
    if plan.warmup_s + plan.duration_s < K6_SHORTEST_S:
        raise PlanError(
            f"warmup_s={plan.warmup_s:g} and duration_s={plan.duration_s:g} are {plan.warmup_s + plan.duration_s:g} s "
            f"together, and k6 takes no load shorter than {K6_SHORTEST_S:g} s; make one of them longer"
        )
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(plan.levels)
    if most_files != resource.RLIM_INFINITY and highest + FILES_BESIDE_CONNECTIONS > most_files:
        raise PlanError(
            f"vus={highest}: each VU is an open connection, and this machine's hard limit is {most_files} open files; "
            f"raise it (ulimit -Hn) or stay at {most_files - FILES_BESIDE_CONNECTIONS} VUs"
        )
    return plan


def parse_arm(text: str, workers: int) -> Arm:
    """Return the arm written `engine/pattern?workers=N&burn_us=N`, `engine/pattern` or `pattern`.

    `workers` is for an arm that does not say. Patterns may be written in any case.
    """
    subject, _, query = text.strip().partition("?")
    engine, _, pattern = subject.rpartition("/")
    known = {pattern.lower(): pattern for pattern in PATTERNS}
    options = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
    if (engine or ENGINES[0]) not in ENGINES or pattern.lower() not in known or set(options) - {"workers", "burn_us"}:
        raise PlanError(
            f"arm {text!r} is unknown; an arm is a pattern ({' or '.join(PATTERNS)}), with an engine "
            f"({', '.join(ENGINES)}) and options (workers, burn_us) if wanted: {ENGINES[0]}/mutex?workers=4"
        )
    return Arm(
        engine or ENGINES[0],
        known[pattern.lower()],
        _whole(f"workers of arm {text!r}", options.get("workers", workers), least=1),
        _whole(f"burn_us of arm {text!r}", options.get("burn_us", 0), least=0),
    )


def _levels(vus: object) -> tuple[int, ...]:
    """A number: the study's levels up to and including it. A list, or text with commas: just those."""
    if isinstance(vus, str) and "," in vus:
        vus = [part for part in vus.split(",") if part.strip()]
    if isinstance(vus, list | tuple):
        levels = tuple(_whole("vus", level, least=1) for level in vus)
        if not levels:
            raise PlanError("vus=[] names no level; give at least one, as in vus=[10, 50]")
        if len(set(levels)) < len(levels):
            raise PlanError(f"vus={list(levels)} names a level twice; name each once, and repeats=N for more blocks")
        return tuple(sorted(levels))
    highest = _whole("vus", vus, least=1, example="vus=500, or '10,50' for just those levels")
    return (*(level for level in STUDY_LEVELS if level < highest), highest)


def _arms(arms: object, workers: int) -> tuple[Arm, ...]:
    names = arms.split(",") if isinstance(arms, str) else arms
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise PlanError(f"arms={arms!r} names no arm; write them as in arms='mutex,inputQ'")
    parsed = tuple(parse_arm(name, workers) for name in names)
    if len(set(parsed)) < len(parsed):
        raise PlanError(f"arms={arms!r} names an arm twice; name each once, and repeats=N for more blocks")
    return parsed


def _whole(name: str, value: object, least: int, example: str = "") -> int:
    number = _number(value)
    if number is None or not number.is_integer() or number < least:
        raise PlanError(
            f"{name}={value!r} is no whole number from {least}; {example or f'e.g. {name}={max(least, 10)}'}"
        )
    return int(number)


def _seconds(name: str, value: object, least: float) -> float:
    number = _number(value)
    if number is None or number < least:
        raise PlanError(f"{name}={value!r} is no number of seconds from {least:g}; e.g. {name}=5")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _yes_or_no(name: str, value: object) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    if str(value).lower() not in words:
        raise PlanError(f"{name}={value!r} is neither True nor False; say {name}=True or {name}=False")
    return words[str(value).lower()]
