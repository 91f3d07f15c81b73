"""Arms: what can be put under test."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from perfkit.design.engines import DURABLE, ENGINES, GUARD, MEMORY
from perfkit.design.factors import ARM_FACTORS
from perfkit.errors import PlanError

FOREIGN, RUNNING = "exec", "addr"
"""Engines of arms that are the user's own: a command, and a server that runs already."""

FOREIGN_OPTIONS = ("folder", "env")
"""Of a command: where it runs, and a file of its environment."""

RUNNING_OPTIONS = ("ca", "cert", "key", "metadata")
"""Of a server that runs already: PEM files of TLS, and metadata as a file of JSON, or env:NAME."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing under test; what its options mean stands in `design.factors`."""

    engine: str
    pattern: str
    """empty where the engine is `exec` or `addr`"""
    workers: int = 0
    burn_us: int = 0
    command: str = ""
    """the user's own, with {port} where the port goes, or HOST:PORT?options; empty for perfkit's engines"""
    batch: int = 0
    loop: str = ""
    stages: bool = False
    shards: int = 1
    reads: str = GUARD
    hold_us: int = 0
    store: str = MEMORY
    sync: str = ""
    sync_us: int = 0
    work_us: int = 0
    folder: str = ""
    """where a command of the user's own runs; empty: where perfkit does"""
    env: str = ""
    """a file of NAME=value lines for it; empty: this environment"""

    @property
    def name(self) -> str:
        """How the arm is written in full: `threads/inputQ?workers=10`, `exec:./server --port {port}`."""
        if self.is_foreign:
            own = "&".join(f"{name}={getattr(self, name)}" for name in FOREIGN_OPTIONS if getattr(self, name))
            return f"{self.engine}{'?' if own else ''}{own}:{self.command}"
        options = (f"{name}={getattr(self, name)}" for name in OPTIONS if getattr(self, name) != DEFAULTS[name])
        return f"{self.engine}/{self.pattern}?{'&'.join(options)}".rstrip("?")

    @property
    def subject(self) -> str:
        """What a command is known by: itself, and where and in which environment it runs."""
        return self.name.removeprefix(f"{self.engine}:")

    @property
    def is_foreign(self) -> bool:
        """Whether it is the user's own: a command, or a server that runs already."""
        return self.engine in (FOREIGN, RUNNING)

    @property
    def runs_already(self) -> bool:
        """Whether it is loaded, and not started."""
        return self.engine == RUNNING

    @property
    def address(self) -> str:
        """Where a server that runs already listens, with its options; empty: not one."""
        return self.command if self.runs_already else ""

    @property
    def is_durable(self) -> bool:
        """Whether it keeps its count on a disk."""
        return self.store in DURABLE

    @property
    def has_files(self) -> bool:
        """Whether its server needs a folder."""
        return self.is_durable or self.stages

    @property
    def waits(self) -> bool:
        """Whether its critical section waits for something else than the core."""
        return bool(self.hold_us or self.sync_us or self.is_durable)


DEFAULTS = {one.name: one.default for one in fields(Arm)}
"""What an arm's name does not say."""

OPTIONS = tuple(factor.name for factor in ARM_FACTORS)
"""Fields of an Arm that are options, in the order in which its name has them."""


def refuse_mixed(arms: Sequence[Arm], call: object) -> None:
    """Raise a PlanError where a method of one's own is to be called of perfkit's servers, which only count."""
    own = [arm for arm in arms if not arm.is_foreign]
    if call and own:
        raise PlanError(
            f"arm {own[0].name} serves the counter, and call={call}; name commands of your own, as in "
            f"'{FOREIGN}:./server --port {{port}}', or leave call out"
        )


def watched(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Return the same arms, their calls watched through their stages; a PlanError where that can't be."""
    for arm in arms:
        if "stages" not in (ENGINES[arm.engine].options[arm.pattern] if arm.engine in ENGINES else ()):
            raise PlanError(f"stages=True: arm {arm.name} can't be watched, only engine threads can; leave it out")
    return tuple(replace(arm, stages=True) for arm in arms)


def told_apart(a: Arm, b: Arm) -> tuple[str, str]:
    """Return what to call two arms: their patterns where only those differ, of two commands the words that differ."""
    if a == b:
        return a.name, "the same again"
    if not a.is_foreign and replace(a, pattern=b.pattern) == b:
        return a.pattern, b.pattern
    if a.is_foreign and b.is_foreign:
        its, others = ([one.folder, one.env, *one.command.split()] for one in (a, b))
        own = [word for word in its if word not in others]
        theirs = [word for word in others if word not in its]
        if own and theirs:
            return f"{a.engine}:{' '.join(own)}", f"{b.engine}:{' '.join(theirs)}"
        if own or theirs:  # one has words more
            having, lacking = (f"{FOREIGN} {how} {' '.join(own or theirs)}" for how in ("with", "without"))
            return (having, lacking) if own else (lacking, having)
    return a.name, b.name
