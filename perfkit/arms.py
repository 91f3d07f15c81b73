"""Arms: what can be put under test, and how it is written."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from perfkit import parameters
from perfkit.engines import ENGINES
from perfkit.errors import PlanError

PATTERNS = ("mutex", "inputQ")

ENGINE = next(iter(ENGINES))
"""That of an arm which names none."""

COMMON_OPTIONS = ("hold_us", "burn_us")
"""Options that every engine and pattern takes."""

LOOPS = ("uvloop", "asyncio")
"""Event loops of engine asyncio; the first that is installed where an arm names none."""

FOREIGN = "exec"
"""The engine of an arm that is a command of the user's own."""

EXAMPLE = f"as in {ENGINE}/mutex?workers=4&burn_us=10"


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing under test."""

    engine: str
    pattern: str
    """empty where the engine is `exec`"""
    workers: int = 0
    """threads that handle calls; 0: the engine has none"""
    burn_us: int = 0
    """CPU time that each call burns on purpose, in µs: a known handicap"""
    command: str = ""
    """the user's own, with {port} where the port goes; empty for perfkit's engines"""
    batch: int = 0
    """calls at most that the owner takes from the transport's queue at once; 0: calls reach it by a queue of its own"""
    loop: str = ""
    """event loop, one of LOOPS; empty: the engine has none"""
    hold_us: int = 0
    """time that each call waits inside the critical section on purpose, in µs, as for a slow store"""

    @property
    def name(self) -> str:
        """How the arm is written in full: `threads/inputQ?workers=10`, `exec:./server --port {port}`."""
        if self.is_foreign:
            return f"{FOREIGN}:{self.command}"
        options = (f"{name}={getattr(self, name)}" for name in _OPTIONS if getattr(self, name))
        return f"{self.engine}/{self.pattern}?{'&'.join(options)}".rstrip("?")

    @property
    def is_foreign(self) -> bool:
        """Whether it is a command of the user's own."""
        return self.engine == FOREIGN


_OPTIONS = ("workers", "batch", "loop", *COMMON_OPTIONS)
"""Fields of an Arm that are options, in the order in which its name has them."""


def parse_arm(text: str, workers: int) -> Arm:
    """Return the arm written `engine/pattern?option=value&…`, `pattern`, or `exec:command with {port}`.

    `workers` is for an arm that does not say. Patterns may be written in any case. An engine that is not installed is
    refused with the command that installs it.
    """
    if text.strip().startswith(f"{FOREIGN}:"):
        return _foreign(text.strip().removeprefix(f"{FOREIGN}:").strip())
    subject, _, query = text.strip().partition("?")
    engine, _, pattern = subject.rpartition("/")
    engine = engine or ENGINE
    pattern = {known.lower(): known for known in PATTERNS}.get(pattern.lower(), "")
    given = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
    if engine not in ENGINES or not pattern or set(given) - set(_OPTIONS):
        raise PlanError(
            f"arm {text!r} is unknown; an arm is a pattern ({' or '.join(PATTERNS)}), with an engine "
            f"({', '.join(ENGINES)}) and options ({', '.join(_OPTIONS)}) if wanted, as in {ENGINE}/mutex?workers=4, "
            f"or a command of your own, as in '{FOREIGN}:./server --port {{port}}'"
        )
    own = ENGINES[engine].options[pattern]
    if strange := set(given) - {*own, *COMMON_OPTIONS}:
        raise PlanError(
            f"arm {text!r}: {engine}/{pattern} has no option {min(strange)!r}; it has {', '.join(own + COMMON_OPTIONS)}"
        )
    if {"workers", "batch"} <= set(given):
        raise PlanError(f"arm {text!r}: with batch, one owner does everything, so there are no workers; leave out one")
    if not ENGINES[engine].is_installed:
        raise PlanError(f"arm {text!r}: engine {engine} is not installed; {install(engine)}")

    def whole(option: str, absent: int, least: int) -> int:
        return parameters.whole(f"in arm {text!r}, {option}", given.get(option, absent), least, EXAMPLE)

    return Arm(
        engine,
        pattern,
        workers=whole("workers", workers, least=1) if "workers" in own and "batch" not in given else 0,
        burn_us=whole("burn_us", 0, least=0),
        batch=whole("batch", 1, least=1) if "batch" in given else 0,
        loop=_loop(text, given.get("loop", "")) if "loop" in own else "",
        hold_us=whole("hold_us", 0, least=0),
    )


def install(extra: str) -> str:
    """Return what to type to install an optional part of perfkit."""
    return f"install it: .venv/bin/pip install -e '.[{extra}]'"


def _loop(text: str, asked: str) -> str:
    installed = [loop for loop in LOOPS if find_spec(loop) is not None]
    if (asked or installed[0]) in installed:
        return asked or installed[0]
    if asked in LOOPS:
        raise PlanError(f"arm {text!r}: event loop {asked} is not installed; {install(asked)}")
    raise PlanError(f"arm {text!r}: {asked!r} is no event loop; write {' or '.join(f'loop={name}' for name in LOOPS)}")


def parse_arms(arms: object, workers: int) -> tuple[Arm, ...]:
    """Return several arms, written as a list or with commas between; none twice."""
    names = arms.split(",") if isinstance(arms, str) else arms
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise PlanError(f"arms={arms!r} names no arm; write them as in arms='mutex,inputQ'")
    parsed = tuple(parse_arm(name, workers) for name in names)
    if len(set(parsed)) < len(parsed):
        raise PlanError(f"arms={arms!r} names an arm twice; name each once, and repeats=N for more blocks")
    return parsed


def _foreign(command: str) -> Arm:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlanError(f"arm '{FOREIGN}:{command}' can't be read as a command: {error}") from error
    if not words or not any("{port}" in word for word in words):
        raise PlanError(
            f"arm '{FOREIGN}:{command}' does not say where the port goes; write {{port}} there, "
            f"as in '{FOREIGN}:./server --port {{port}}'"
        )
    return Arm(FOREIGN, "", command=command)
