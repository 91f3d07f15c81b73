"""What was counted and timed of the calls to a server: by load generators, and in its own critical section."""

import math
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perfkit.design.engines import STAGES

GROUPS = 64
"""Writes are counted by key modulo this: k6 has a metric for each."""

PARTS = {
    "read": "calls that only read",
    "write": "calls that add",
    "hot": "calls for key 0, the one that is asked for most",
    "cold": "calls for all other keys",
}
"""part of the calls → what it is, in words"""

PART_STATISTICS = {"p50": "median latency", "p99": "99th percentile of latency", "max": "longest latency"}
"""what a table has of each part"""

BINS = 10
"""Bins of a stage's histogram for each power of ten."""

SAMPLES_FOR_TAIL = 6.62
"""A percentile p is given from SAMPLES_FOR_TAIL / (1 - p/100) samples on: p99 from 662, p99.9 from 6,620.

662 is the floor of MLPerf LoadGen's early stopping for p99 (Reddi et al. 2020, arXiv 1911.02549); the same tail
count is asked of every other percentile.
"""


LEAST_FOR_P99 = round(SAMPLES_FOR_TAIL * 100)


def enough_samples(percentile: float, count: int) -> bool:
    """Return whether `count` samples carry this percentile; the largest value (100) they always do."""
    return percentile == 100 or count * (100 - percentile) >= 100 * SAMPLES_FOR_TAIL - 1e-6


@dataclass(frozen=True, slots=True)
class Distribution:
    """Durations of the calls, or iterations, that started in the measured window, in ms."""

    count: int
    avg_ms: float | None
    min_ms: float | None
    max_ms: float | None
    percentiles_ms: dict[str, float]
    """percentile as text ("99.9") → ms, in rising order; only those with enough samples"""
    brackets_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    """percentile → two values between which it lies for certain, of several generators; empty: one saw all samples"""

    def at(self, percentile: str) -> float | None:
        """Return a percentile in ms; None where there were too few samples for it."""
        return self.percentiles_ms.get(percentile)

    def bracket(self, percentile: str) -> float | None:
        """Return how wide a percentile's bracket is, as a part of its lower end; None where it has none."""
        low, high = self.brackets_ms.get(percentile, (0.0, 0.0))
        return high / low - 1 if low else None


@dataclass(frozen=True, slots=True)
class Calls:
    """What the generator counted for one server. A call counts where it starts; the window's counts come first."""

    acknowledged: int
    failed_by_status: dict[str, int]
    """gRPC status code, or "connect" → calls, whole trial with warm-up; "4" are the client's time-outs. Of h2load:
    "http 503" or the like, "broken" for a stream that ended otherwise, "trailer" for a call without a reply"""
    acknowledged_total: int
    sent: int
    sent_total: int
    dropped_total: int
    late_connections: int
    """connections made inside the window although each VU should have had its own before"""
    data_sent_bytes: int | None
    """None: the generator does not say"""
    data_received_bytes: int | None
    latency: Distribution
    """of calls with status 0"""
    iteration: Distribution
    parts: dict[str, Distribution] = field(default_factory=dict)
    """part (PARTS) → latency of these calls; only those that are told apart"""
    writes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """key modulo GROUPS, as text → calls that added and were acknowledged, and that were sent, whole trial; empty: no
    load of several keys or with reads"""

    @property
    def failed_total(self) -> int:
        """Calls, and attempts to connect, that ended otherwise than with status 0."""
        return sum(self.failed_by_status.values())

    @property
    def cut_off_total(self) -> int:
        """Calls that were sent and never ended, either way, before k6 did."""
        return self.sent_total - self.acknowledged_total - self.failed_total + self.failed_by_status.get("connect", 0)


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, µs."""

    mean: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Section:
    """What went on in a server's critical section as long as it lived, warm-up included."""

    held_us: Spread | None
    """real length of the wait that `hold_us` asked for; None: it asked for none"""
    commit_us: Spread | None
    """of a commit; None: it had no store"""
    batches: dict[str, int]
    """calls that were committed together, as text → how many commits"""

    @property
    def commits(self) -> int:
        """How many there were."""
        return sum(self.batches.values())

    @property
    def calls_per_commit(self) -> float | None:
        """The mean; None where nothing was committed."""
        calls = sum(int(calls) * commits for calls, commits in self.batches.items())
        return calls / self.commits if self.commits else None


@dataclass(frozen=True, slots=True)
class Stage:
    """How long watched calls were in one stage."""

    mean_us: float
    p50_us: float
    p99_us: float | None
    """None: too few calls carry it"""
    histogram: dict[str, int]
    """upper end, µs, as text → calls up to it and over the one before; the first is for 0 to 1 µs"""


@dataclass(frozen=True, slots=True)
class Stages:
    """What watched calls that were submitted in the measured window went through in the server."""

    calls: int
    each: dict[str, Stage]
    """name (`design.engines.STAGES`) → how long they were in it; empty where no call was watched"""


def staged(stamps_us: Sequence[Sequence[int]], from_us: int, until_us: int) -> Stages:
    """Return the stages of calls that began in a window; of each call, when it entered each stage and left the last."""
    inside = [one for one in stamps_us if from_us <= one[0] < until_us]
    taken = {
        name: sorted(one[number + 1] - one[number] for one in inside) for number, name in enumerate(STAGES) if inside
    }
    return Stages(len(inside), {name: _stage(rising) for name, rising in taken.items()})


def _stage(rising: Sequence[int]) -> Stage:
    count = len(rising)
    tally = Tally(max(0, math.ceil(BINS * math.log10(one))) if one > 0 else 0 for one in rising)
    p99_us = float(rising[math.ceil(0.99 * count) - 1]) if enough_samples(99, count) else None
    histogram = {f"{10 ** (place / BINS):.4g}": tally[place] for place in sorted(tally)}
    return Stage(sum(rising) / count, float(rising[(count - 1) // 2]), p99_us, histogram)


def stages(data: dict[str, Any] | None) -> Stages | None:
    """Return what a file says of stages."""
    return Stages(data["calls"], {name: Stage(**one) for name, one in data["each"].items()}) if data else None


def section(data: dict[str, Any] | None) -> Section | None:
    """Return what a server, or a file, says of the critical section."""
    if data is None:
        return None
    held, commit = (Spread(**data[name]) if data[name] else None for name in ("held_us", "commit_us"))
    return Section(held, commit, data["batches"])
