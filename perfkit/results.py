"""What came back: every number of a trial with its definition and unit, and what makes a trial say less or nothing."""

from dataclasses import asdict, dataclass
from typing import Any

from perfkit.arms import Arm
from perfkit.plan import Load, Seat, Trial

SAMPLES_FOR_TAIL = 6.62
"""A percentile p is given from SAMPLES_FOR_TAIL / (1 - p/100) samples on: p99 from 662, p99.9 from 6,620.

662 is the floor of MLPerf LoadGen's early stopping for p99 (Reddi et al. 2020, arXiv 1911.02549); the same tail
count is asked of every other percentile.
"""

GENERATOR_LIMIT = 0.9
"""k6 using more than this part of its cores is the one that is measured, not the server."""

EQUAL_SHARES = 0.05
"""How much more CPU time one server of a joint trial may have got than another."""

SATURATED = 0.9
"""Cores that the servers of a joint trial use together, of the one they share, from which on they are saturated."""

PUNCTUAL = 0.05
"""How far, as a part of the window, its clock readings may lie apart from its length."""

INVALIDATING = ("failures", "cut off", "lost update", "paused")
"""Flags with which nothing of a trial counts."""


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

    def at(self, percentile: str) -> float | None:
        """Return a percentile in ms; None where there were too few samples for it."""
        return self.percentiles_ms.get(percentile)


@dataclass(frozen=True, slots=True)
class Calls:
    """What k6 counted for one server. A call counts where it starts; the window's counts come first."""

    acknowledged: int
    failed_by_status: dict[str, int]
    """gRPC status code, or "connect" → calls, whole trial with warm-up; "4" are the client's time-outs"""
    acknowledged_total: int
    sent: int
    sent_total: int
    dropped_total: int
    late_connections: int
    """connections made inside the window although each VU should have had its own before"""
    data_sent_bytes: int
    data_received_bytes: int
    latency: Distribution
    """of calls with status 0"""
    iteration: Distribution

    @property
    def failed_total(self) -> int:
        """Calls, and attempts to connect, that ended otherwise than with status 0."""
        return sum(self.failed_by_status.values())

    @property
    def cut_off_total(self) -> int:
        """Calls that were sent and never ended, either way, before k6 did."""
        return self.sent_total - self.acknowledged_total - self.failed_total + self.failed_by_status.get("connect", 0)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used, read from outside at both ends of the window."""

    cpu_s: float
    window_s: float
    """between the two readings; a little more or less than the window itself"""
    cpus: tuple[int, ...]
    """the cores that it was pinned to; empty: none in particular"""
    peak_rss_bytes: int

    @property
    def cores(self) -> float:
        """CPU seconds a second."""
        return self.cpu_s / self.window_s


@dataclass(frozen=True, slots=True)
class Served:
    """What one server did in a trial."""

    calls: Calls
    final_count: int
    """of the server's counter, after the last call"""
    usage: Usage

    def cpu_per_call_us(self, load: Load) -> float | None:
        """Return the CPU time per acknowledged call of the window, in µs; None where none was acknowledged."""
        # The clocks are read a little beside the window's ends, so rates are divided, not sums.
        calls = self.calls.acknowledged
        return self.usage.cores / (calls / load.duration_s) * 1e6 if calls else None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One finished trial."""

    trial: Trial
    attempt: int
    """how often this block had been begun before: an unfinished block is done anew"""
    started_at: str
    """UTC, ISO 8601"""
    took_s: float
    """from before the first server was started to after the last had ended"""
    served: tuple[Served, ...]
    """in the order of the trial's seats"""
    k6: Usage
    k6_cores_available: int

    @property
    def k6_busy(self) -> float:
        """The part of its cores that k6 used."""
        return self.k6.cores / self.k6_cores_available

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrialResult":
        """Return the result that `to_dict` made this of."""
        trial = data["trial"]
        seats = tuple(Seat(seat["role"], Arm(**seat["arm"])) for seat in trial["seats"])
        return cls(
            **{
                **data,
                "trial": Trial(trial["block"], seats, Load(**trial["load"])),
                "served": tuple(_served(one) for one in data["served"]),
                "k6": _usage(data["k6"]),
            }
        )


def _served(data: dict[str, Any]) -> Served:
    calls = data["calls"]
    durations = {name: Distribution(**calls[name]) for name in ("latency", "iteration")}
    return Served(Calls(**{**calls, **durations}), data["final_count"], _usage(data["usage"]))


def _usage(data: dict[str, Any]) -> Usage:
    return Usage(**{**data, "cpus": tuple(data["cpus"])})


def flags(result: TrialResult) -> tuple[str, ...]:
    """Return what makes this trial say less than it seems to, worst first; INVALIDATING ones make it say nothing."""
    load = result.trial.load
    found = {
        "lost update": not all(_applied_as_told(one) for one in result.served),
        "failures": any(one.calls.failed_total > 0 or one.calls.acknowledged == 0 for one in result.served),
        "cut off": any(one.calls.cut_off_total > 0 for one in result.served),
        "paused": abs(result.k6.window_s - load.duration_s) > PUNCTUAL * load.duration_s,
        "generator limited": result.k6_busy > GENERATOR_LIMIT,
        "dropped iterations": any(one.calls.dropped_total > 0 for one in result.served),
        "warm-up too short": any(one.calls.late_connections > 0 for one in result.served)
        and not load.connect_per_iteration,
        "unequal shares": result.trial.is_joint and not _shares_are_equal(result),
        "unsaturated": result.trial.is_joint and sum(one.usage.cores for one in result.served) < SATURATED,
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


def _applied_as_told(one: Served) -> bool:
    calls = one.calls
    uncertain = calls.cut_off_total + calls.failed_total - calls.failed_by_status.get("connect", 0)
    return calls.acknowledged_total <= one.final_count <= calls.acknowledged_total + uncertain


def _shares_are_equal(result: TrialResult) -> bool:
    used = [one.usage.cpu_s for one in result.served]
    return max(used) <= (1 + EQUAL_SHARES) * min(used)
