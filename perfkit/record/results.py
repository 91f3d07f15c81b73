"""What came back: every number of a trial, with its definition and unit."""

from dataclasses import asdict, dataclass
from typing import Any

from perfkit.design import stored
from perfkit.design.plan import Load, Trial

BEFORE_02 = {"k6": "generator", "k6_cores_available": "generator_cores_available"}
"""what fields of a trial were called when there was one generator → their names"""

SAMPLES_FOR_TAIL = 6.62
"""A percentile p is given from SAMPLES_FOR_TAIL / (1 - p/100) samples on: p99 from 662, p99.9 from 6,620.

662 is the floor of MLPerf LoadGen's early stopping for p99 (Reddi et al. 2020, arXiv 1911.02549); the same tail
count is asked of every other percentile.
"""


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
class Served:
    """What one server did in a trial."""

    calls: Calls
    final_count: int
    """by how much the server's counter was raised, after the last call"""
    usage: Usage
    own_s: float | None = None
    """of the window, in which it was this server's turn; None: all of it"""
    section: Section | None = None
    """None: a command of the user's own, which does not say; or before 0.2"""

    def throughput_rps(self, load: Load) -> float:
        """Return acknowledged calls per second of the window, or of the server's own part of it; 0 if it had none."""
        own_s = load.duration_s if self.own_s is None else self.own_s
        return self.calls.acknowledged / own_s if own_s else 0.0

    def cpu_per_call_us(self, load: Load) -> float | None:
        """Return the CPU time per acknowledged call of the window, in µs; None where none was acknowledged."""
        # The clocks are read a little beside the window's ends, so rates are divided, not sums.
        calls = self.calls.acknowledged
        return self.usage.cores / (calls / load.duration_s) * 1e6 if calls else None


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
    generator: Usage
    generator_cores_available: int
    turns: Turns | None = None
    """None: not a trial by turns"""
    late_ms: tuple[float, float] | None = None
    """how late the clocks were read at the window's two ends; None: not kept, before 0.2"""
    alike: bool | None = None
    """whether the servers' memory was laid out alike, of those that were to be; None: none were, or not known"""
    machine: Machine | None = None
    """None: not known, not pinned, or before 0.2"""

    @property
    def generator_busy(self) -> float:
        """The part of its cores that the generator used; by turns, while it was not stopped."""
        own_s = [one.own_s for one in self.served if one.own_s is not None]
        return self.generator.cpu_s / (sum(own_s) or self.generator.window_s) / self.generator_cores_available

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrialResult":
        """Return the result that `to_dict` made this of."""
        data = {BEFORE_02.get(name, name): value for name, value in data.items()}
        return cls(
            **{
                **data,
                "trial": stored.trial(data["trial"]),
                "served": tuple(_served(one) for one in data["served"]),
                "generator": _usage(data["generator"]),
                "turns": Turns(**data["turns"]) if data.get("turns") else None,
                "machine": Machine(**data["machine"]) if data.get("machine") else None,
                "late_ms": tuple(data["late_ms"]) if data.get("late_ms") else None,
            }
        )


def _served(data: dict[str, Any]) -> Served:
    calls = data["calls"]
    durations = {name: Distribution(**calls[name]) for name in ("latency", "iteration")}
    return Served(
        Calls(**{**calls, **durations}), data["final_count"], _usage(data["usage"]), data.get("own_s"),
        section(data.get("section")),
    )  # fmt: skip


def section(data: dict[str, Any] | None) -> Section | None:
    """Return what a server, or a file, says of the critical section."""
    if data is None:
        return None
    held, commit = (Spread(**data[name]) if data[name] else None for name in ("held_us", "commit_us"))
    return Section(held, commit, data["batches"])


def _usage(data: dict[str, Any]) -> Usage:
    return Usage(**{**data, "cpus": tuple(data["cpus"])})
