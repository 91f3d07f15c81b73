"""What came back: every number of a trial, with its definition and unit."""

from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perfkit.design import stored
from perfkit.design.plan import Load, Trial
from perfkit.record.calls import GROUPS, Calls, Distribution, Section, Stages, section, stages

BEFORE_02 = {"k6": "generator", "k6_cores_available": "generator_cores_available"}
"""what fields of a trial were called when k6 was the only generator → their names in 0.2"""


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
class Clock:
    """Another machine's clock, as it was seen before the window and after it."""

    offset_ms: float
    """how much later it was there"""
    error_ms: float
    """how far that can be wrong, its change until after the window included"""


@dataclass(frozen=True, slots=True)
class Generating:
    """What a load generator used; of several, each on a host of its own."""

    usage: Usage
    cores_available: int
    host: str = ""
    """its name in the cluster; empty: it ran beside the servers"""
    clock: Clock | None = None
    """None: it was this machine's"""
    late_start_ms: float | None = None
    """how long after the appointed time its load began, by its own clock; None: no time was appointed"""
    p50_ms: tuple[float | None, ...] = ()
    """median latency that it saw of each server; empty: it saw all that there was to see"""


@dataclass(frozen=True, slots=True)
class Served:
    """What one server did in a trial."""

    calls: Calls
    final_count: int | None
    """by how much the server's counter was raised, after the last call; None: it did not say"""
    usage: Usage | None
    """None: a server that ran already, whose process can't be seen from here"""
    own_s: float | None = None
    """of the window, in which it was this server's turn; None: all of it"""
    final_by_key: dict[str, int] | None = None
    """the same by key, as text; only of loads of several keys or with reads"""
    stages: Stages | None = None
    """of a solo trial of an arm that watches calls"""
    section: Section | None = None
    """None: a command of the user's own, which does not say; or before 0.2"""

    @property
    def is_count_wrong(self) -> bool:
        """Whether the final count contradicts what was acknowledged: less than that, or more than was sent."""
        calls = self.calls
        if self.final_count is None:
            return False
        if self.final_by_key is not None:
            return self._is_a_key_wrong(self.final_by_key)
        uncertain = calls.cut_off_total + calls.failed_total - calls.failed_by_status.get("connect", 0)
        return not calls.acknowledged_total <= self.final_count <= calls.acknowledged_total + uncertain

    def _is_a_key_wrong(self, final_by_key: Mapping[str, int]) -> bool:
        """Judge key by key: an update that went to another key would not show in the sum. Reads are none."""
        final: Tally[int] = Tally()
        for key, count in final_by_key.items():
            final[int(key) % GROUPS] += count
        writes = {int(group): counts for group, counts in self.calls.writes.items()}
        return any(
            not acknowledged <= final[group] <= sent
            for group, (acknowledged, sent) in ((group, writes.get(group, (0, 0))) for group in {*writes, *final})
        )

    def throughput_rps(self, load: Load) -> float:
        """Return acknowledged calls per second of the window, or of the server's own part of it; 0 if it had none."""
        own_s = load.duration_s if self.own_s is None else self.own_s
        return self.calls.acknowledged / own_s if own_s else 0.0

    def cpu_per_call_us(self, load: Load) -> float | None:
        """Return the CPU time per acknowledged call of the window, in µs; None where either is not known."""
        # The clocks are read a little beside the window's ends, so rates are divided, not sums.
        calls = self.calls.acknowledged
        return self.usage.cores / (calls / load.duration_s) * 1e6 if calls and self.usage else None

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the window; 0 where they are not known."""
        return self.usage.cpu_s if self.usage else 0.0


@dataclass(frozen=True, slots=True)
class Turns:
    """How punctually servers took turns, in the window; quantiles by name: p50, p95, max."""

    count: int
    late_ms: dict[str, float]
    """how much longer than meant a turn was"""
    switch_ms: dict[str, float]
    """from the end of a turn until the server had stopped"""
    woken: int
    """turns before which the server was running already: somebody else continued it"""
    missing: int
    """VUs that had no answer yet when the turns began"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What others took of the measured cores, in cores: CPU seconds a second of the window."""

    others: float
    """processes that are not the trial's"""
    stolen: float
    """the hypervisor"""
    throttled: float
    """a quota: how long processes were kept from running"""


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
    generators: tuple[Generating, ...]
    """one a host"""
    turns: Turns | None = None
    """None: not a trial by turns"""
    late_ms: tuple[float, float] | None = None
    """how late the clocks were read at the window's two ends; None: not kept, before 0.2"""
    alike: bool | None = None
    """whether the servers' memory was laid out alike, of those that were to be; None: none were, or not known"""
    machine: Machine | None = None
    """None: not known, not pinned, or before 0.2"""

    server_clock: Clock | None = None
    """of the servers' host, where that is another machine"""

    @property
    def generator_busy(self) -> float:
        """The part of its cores that a generator used, the busiest; by turns, while it was not stopped."""
        return max(map(self._busy, self.generators))

    def _busy(self, one: Generating) -> float:
        own_s = sum(served.own_s or 0 for served in self.served) if not one.host else 0.0
        return one.usage.cpu_s / (own_s or one.usage.window_s) / one.cores_available

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """Of all hosts but this machine."""
        return tuple(clock for clock in (self.server_clock, *(one.clock for one in self.generators)) if clock)

    @property
    def start_spread_ms(self) -> float | None:
        """How far apart generators began; None where no time was appointed."""
        late_ms = [one.late_start_ms for one in self.generators if one.late_start_ms is not None]
        return max(late_ms) - min(late_ms) if late_ms else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrialResult":
        """Return the result that `to_dict` made this of."""
        data = {BEFORE_02.get(name, name): value for name, value in data.items()}
        if "generator" in data:  # before there were several
            data["generators"] = [
                {"usage": data.pop("generator"), "cores_available": data.pop("generator_cores_available")}
            ]
        return cls(
            **{
                **data,
                "trial": stored.trial(data["trial"]),
                "served": tuple(_served(one) for one in data["served"]),
                "generators": tuple(_generating(one) for one in data["generators"]),
                "turns": Turns(**data["turns"]) if data.get("turns") else None,
                "machine": Machine(**data["machine"]) if data.get("machine") else None,
                "late_ms": tuple(data["late_ms"]) if data.get("late_ms") else None,
                "server_clock": _clock(data.get("server_clock")),
            }
        )


def _served(data: dict[str, Any]) -> Served:
    calls = data["calls"]
    durations = {name: _distribution(calls[name]) for name in ("latency", "iteration")}
    parts = {part: _distribution(one) for part, one in calls.get("parts", {}).items()}
    writes = {group: (acknowledged, sent) for group, (acknowledged, sent) in calls.get("writes", {}).items()}
    usage = _usage(data["usage"]) if data["usage"] else None
    told = data.get("own_s"), data.get("final_by_key"), stages(data.get("stages")), section(data.get("section"))
    return Served(Calls(**{**calls, **durations, "parts": parts, "writes": writes}), data["final_count"], usage, *told)


def _usage(data: dict[str, Any]) -> Usage:
    return Usage(**{**data, "cpus": tuple(data["cpus"])})


def _distribution(data: dict[str, Any]) -> Distribution:
    brackets_ms = {percentile: (low, high) for percentile, (low, high) in data.get("brackets_ms", {}).items()}
    return Distribution(**{**data, "brackets_ms": brackets_ms})


def _generating(data: dict[str, Any]) -> Generating:
    seen = {"clock": _clock(data.get("clock")), "p50_ms": tuple(data.get("p50_ms", ()))}
    return Generating(**{**data, "usage": _usage(data["usage"]), **seen})


def _clock(data: dict[str, Any] | None) -> Clock | None:
    return Clock(**data) if data else None
