"""What the agents of a trial tell its coordinator."""

from dataclasses import dataclass
from typing import Any

from perfkit.record.calls import Calls
from perfkit.record.results import Turns, Usage
from perfkit.rig.trial.observing import Observed


@dataclass(frozen=True, slots=True)
class ServersSeen:
    """What the servers' host says of the window."""

    observed: Observed
    turns: Turns | None
    own_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """What a generator's host says of the window."""

    observed: Observed
    usage: Usage
    cores_available: int
    late_start_ms: float
    missing: int
    """VUs that had no answer yet when the servers began to take turns; 0 without turns"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a generator counted of each server."""

    calls: tuple[Calls, ...]
    reply_bytes: int | None
    summary: dict[str, Any]
