"""Arms: what can be put under test, and how it is written."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit import parameters
from perfkit.errors import PlanError

ENGINES = ("threads",)
PATTERNS = ("mutex", "inputQ")
OPTIONS = ("workers", "burn_us")

FOREIGN = "exec"
"""The engine of an arm that is a command of the user's own."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing under test."""

    engine: str
    pattern: str
    """empty where the engine is `exec`"""
    workers: int
    burn_us: int = 0
    """CPU time that each call burns on purpose, in µs: a known handicap"""
    command: str = ""
    """the user's own, with {port} where the port goes; empty for perfkit's engines"""

    @property
    def name(self) -> str:
        """How the arm is written in full: `threads/inputQ?workers=10`, `exec:./server --port {port}`."""
        if self.is_foreign:
            return f"{FOREIGN}:{self.command}"
        burn = f"&burn_us={self.burn_us}" if self.burn_us else ""
        return f"{self.engine}/{self.pattern}?workers={self.workers}{burn}"

    @property
    def is_foreign(self) -> bool:
        """Whether it is a command of the user's own."""
        return self.engine == FOREIGN


def parse_arm(text: str, workers: int) -> Arm:
    """Return the arm written `engine/pattern?workers=N&burn_us=N`, `pattern`, or `exec:command with {port}`.

    `workers` is for an arm that does not say. Patterns may be written in any case.
    """
    if text.strip().startswith(f"{FOREIGN}:"):
        return _foreign(text.strip().removeprefix(f"{FOREIGN}:").strip())
    subject, _, query = text.strip().partition("?")
    engine, _, pattern = subject.rpartition("/")
    known = {pattern.lower(): pattern for pattern in PATTERNS}
    options = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
    if (engine or ENGINES[0]) not in ENGINES or pattern.lower() not in known or set(options) - set(OPTIONS):
        raise PlanError(
            f"arm {text!r} is unknown; an arm is a pattern ({' or '.join(PATTERNS)}), with an engine "
            f"({', '.join(ENGINES)}) and options ({', '.join(OPTIONS)}) if wanted, as in {ENGINES[0]}/mutex?workers=4, "
            f"or a command of your own, as in '{FOREIGN}:./server --port {{port}}'"
        )
    example = f"as in {ENGINES[0]}/mutex?workers=4&burn_us=10"
    return Arm(
        engine or ENGINES[0],
        known[pattern.lower()],
        parameters.whole(f"in arm {text!r}, workers", options.get("workers", workers), 1, example),
        parameters.whole(f"in arm {text!r}, burn_us", options.get("burn_us", 0), 0, example),
    )


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
    return Arm(FOREIGN, "", 0, 0, command)
