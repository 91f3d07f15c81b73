"""What is known of patterns and engines without importing them: names, options, and what must be installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

PATTERNS = ("mutex", "inputQ", "combining", "leader")

MEMORY = "memory"

STORES = (MEMORY, "sqlite", "append")
"""Where a count is kept: nowhere else, in an embedded database, in a log."""

DURABLE = STORES[1:]

SYNCS = ("full", "normal", "off")
"""How far SQLite waits for the disk: at each commit, now and then, never; only after the first nothing can be lost."""

GUARD, SNAPSHOT = "guard", "snapshot"
"""How reads get their count: as writes do, by the lock or the queue; or from what was last committed, past both."""

STAGES = {
    "worker": "waiting for a worker",
    "reading": "reading the request",
    "waiting": "waiting for the lock, or in the queue",
    "holding": "in the critical section",
    "committing": "committing, or waiting for it",
    "answering": "answering",
}
"""What a call goes through in a server, one after the other: name → in words."""

STAGES_FILE = "stages.csv"
"""In the folder of a server that watches calls: a line a call, when it entered each stage and when it left the last, µs
since the epoch."""

LOOPS = ("uvloop", "asyncio")
"""Event loops of engine asyncio; the first that is installed where an arm names none."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of an engine without importing it."""

    options: Mapping[str, tuple[str, ...]]
    """pattern → options of its arms, apart from COMMON_OPTIONS"""
    lone_owner: tuple[str, ...] = ()
    """patterns that with `batch` take calls off the transport by themselves, so that there are no workers"""
    why_not: str = ""
    """why it has none of the other patterns"""
    module: str = ""
    """of an optional package, which the extra with the engine's name installs; empty: needs none"""

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported here."""
        return not self.module or find_spec(self.module) is not None


GROUPING = {"combining": 1000, "leader": 1000}
"""Patterns that are there to commit for several → `batch` where an arm names none: as many as a connection may have."""

BATCHING = ("inputQ", *GROUPING)
"""Patterns that can commit for several calls at once."""

ENGINES = {
    "threads": EngineFacts({"mutex": ("workers", "stages"), **dict.fromkeys(BATCHING, ("workers", "batch", "stages"))}),
    "asyncio": EngineFacts(
        {"mutex": ("loop",), "inputQ": ("loop", "batch")}, why_not="on one event loop no other thread waits or is free"
    ),
    "native": EngineFacts(
        {"mutex": ("workers",), **dict.fromkeys(BATCHING, ("workers", "batch"))},
        lone_owner=("inputQ",),
        module="pygrpc_native",
    ),
}

DEFAULT_ENGINE = next(iter(ENGINES))
"""That of an arm which names none."""

COMMON_OPTIONS = ("shards", "reads", "store", "sync", "sync_us", "hold_us", "work_us", "burn_us")
"""Options that every engine and pattern has."""


def installed_loops() -> list[str]:
    """Return the event loops that can be imported here, the preferred one first."""
    return [loop for loop in LOOPS if find_spec(loop) is not None]


def install(extra: str) -> str:
    """Return what to type to install an optional part of perfkit."""
    return f"install it: .venv/bin/pip install -e '.[{extra}]'"
