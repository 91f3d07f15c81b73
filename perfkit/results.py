"""What came back: every number of a trial with its definition and unit, and what makes a trial say less or nothing."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, get_type_hints

from perfkit.plan import Arm, Load, Trial

SAMPLES_FOR_TAIL = 6.62
"""A percentile p is given from SAMPLES_FOR_TAIL / (1 - p/100) samples on: p99 from 662, p99.9 from 6,620.

662 is the floor of MLPerf LoadGen's early stopping for p99 (Reddi et al. 2020, arXiv 1911.02549); the same tail
count is asked of every other percentile.
"""

GENERATOR_LIMIT = 0.9
"""k6 using more than this part of its cores is the one that is measured, not the server."""

INVALIDATING = ("failures", "cut off", "lost update")
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
class TrialResult:
    """One finished trial."""

    trial: Trial
    attempt: int
    """how often this block had been begun before: an unfinished block is done anew"""
    started_at: str
    """UTC, ISO 8601"""
    calls: Calls
    final_count: int
    """of the server's counter, after the last call"""
    server: Usage
    k6: Usage
    k6_cores_available: int

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TrialResult":
        """Return the result that `to_dict` made this of."""
        trial, calls = data["trial"], data["calls"]
        return cls(
            **{
                **data,
                "trial": Trial(trial["block"], Arm(**trial["arm"]), Load(**trial["load"])),
                "calls": Calls(
                    **{
                        **calls,
                        "latency": Distribution(**calls["latency"]),
                        "iteration": Distribution(**calls["iteration"]),
                    }
                ),
                "server": Usage(**{**data["server"], "cpus": tuple(data["server"]["cpus"])}),
                "k6": Usage(**{**data["k6"], "cpus": tuple(data["k6"]["cpus"])}),
            }
        )


def flags(result: TrialResult) -> tuple[str, ...]:
    """Return what makes this trial say less than it seems to, worst first; INVALIDATING ones make it say nothing."""
    calls, load = result.calls, result.trial.load
    uncertain = calls.cut_off_total + calls.failed_total - calls.failed_by_status.get("connect", 0)
    applied_as_told = calls.acknowledged_total <= result.final_count <= calls.acknowledged_total + uncertain
    found = {
        "lost update": not applied_as_told,
        "failures": calls.failed_total > 0 or calls.acknowledged == 0,
        "cut off": calls.cut_off_total > 0,
        "generator limited": result.k6.cores > GENERATOR_LIMIT * result.k6_cores_available,
        "dropped iterations": calls.dropped_total > 0,
        "warm-up too short": calls.late_connections > 0 and not load.connect_per_iteration,
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


@dataclass(frozen=True, slots=True)
class Row:
    """One trial as `perfkit.load` gives it, a column a field."""

    block: Annotated[int, "block, from 0; the unit of replication"]
    arm: Annotated[str, "engine/pattern with its options"]
    engine: Annotated[str, "what serves gRPC"]
    pattern: Annotated[str, "mutex or inputQ"]
    workers: Annotated[int, "worker threads of the server"]
    vus: Annotated[int, "virtual users of k6"]
    rate: Annotated[int | None, "calls offered a second (open model); missing: closed model"]
    connect_per_iteration: Annotated[bool, "whether each iteration connected and closed"]
    warmup_s: Annotated[float, "seconds of load before the window"]
    duration_s: Annotated[float, "seconds that the window was open"]
    started_at: Annotated[str, "UTC, ISO 8601"]
    attempt: Annotated[int, "how often this block had been begun before"]
    complete: Annotated[bool, "whether the block was finished in this attempt; the others were done anew"]
    valid: Annotated[bool, "whether the trial counts: complete, no failure, no call cut off, no lost update"]
    flags: Annotated[str, "what makes it say less, with '; ' between; empty: nothing"]
    acknowledged: Annotated[int, "calls that started in the window and were answered OK"]
    failed_total: Annotated[int, "calls, and attempts to connect, not answered OK; whole trial"]
    failed_by_status: Annotated[str, "those by gRPC status, as 'status:calls', with '; ' between"]
    timed_out_total: Annotated[int, "of those, calls that ran into the client's time limit (status 4)"]
    cut_off_total: Annotated[int, "calls sent that never ended before k6 did; whole trial"]
    dropped_total: Annotated[int, "iterations that no VU was free for (open model only); whole trial"]
    throughput_rps: Annotated[float, "acknowledged calls per second of the window"]
    latency_avg_ms: Annotated[float | None, "mean latency of acknowledged calls, ms"]
    latency_min_ms: Annotated[float | None, "shortest, ms"]
    p50_ms: Annotated[float | None, "median latency, ms"]
    p90_ms: Annotated[float | None, "90th percentile, ms"]
    p95_ms: Annotated[float | None, "95th percentile, ms"]
    p99_ms: Annotated[float | None, "99th percentile, ms; missing under 662 calls"]
    p999_ms: Annotated[float | None, "99.9th percentile, ms; missing under 6,620 calls"]
    latency_max_ms: Annotated[float | None, "longest, ms"]
    percentiles_ms: Annotated[
        dict[str, float], "latency distribution: percentile as text -> ms, those with enough calls"
    ]
    iterations: Annotated[int, "iterations that started in the window and ended"]
    iteration_avg_ms: Annotated[float | None, "mean duration of an iteration, with connecting where it did, ms"]
    iteration_min_ms: Annotated[float | None, "shortest, ms"]
    iteration_p50_ms: Annotated[float | None, "median, ms"]
    iteration_p90_ms: Annotated[float | None, "90th percentile, ms"]
    iteration_p95_ms: Annotated[float | None, "95th percentile, ms"]
    iteration_p99_ms: Annotated[float | None, "99th percentile, ms; missing under 662 iterations"]
    iteration_p999_ms: Annotated[float | None, "99.9th percentile, ms; missing under 6,620 iterations"]
    iteration_max_ms: Annotated[float | None, "longest, ms"]
    data_sent_bytes: Annotated[int, "bytes that k6 sent in the window, HTTP/2 framing included"]
    data_received_bytes: Annotated[int, "bytes that k6 received in the window"]
    server_cpu_s: Annotated[float, "CPU seconds of the server in the window"]
    server_cores: Annotated[float, "CPU seconds a second of the server"]
    cpu_per_call_us: Annotated[float | None, "CPU time of the server per acknowledged call, µs"]
    server_peak_rss_mb: Annotated[float, "largest resident memory of the server, MB (10^6 bytes)"]
    k6_cores: Annotated[float, "CPU seconds a second of k6"]
    k6_busy: Annotated[float, "the part of its cores that k6 used"]
    k6_peak_rss_mb: Annotated[float, "largest resident memory of k6, MB"]
    in_flight: Annotated[float | None, "calls in flight by Little's law: throughput times mean latency"]
    final_count: Annotated[int, "the server's count after the last call, warm-up included"]
    server_cpus: Annotated[str, "cores that the server was pinned to; empty: none"]
    k6_cpus: Annotated[str, "cores that k6 was pinned to; empty: none"]


def columns() -> dict[str, str]:
    """Return column → definition with unit, for the table that `perfkit.load` returns."""
    hints = get_type_hints(Row, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(Row)}


def row(result: TrialResult, *, complete: bool) -> Row:
    """Return a trial as one flat row; `complete` says whether its block was finished in the same attempt."""
    calls, load, arm = result.calls, result.trial.load, result.trial.arm
    latency, iteration = calls.latency, calls.iteration
    throughput_rps = calls.acknowledged / load.duration_s
    found = flags(result)
    return Row(
        block=result.trial.block,
        arm=arm.name,
        engine=arm.engine,
        pattern=arm.pattern,
        workers=arm.workers,
        vus=load.vus,
        rate=load.rate,
        connect_per_iteration=load.connect_per_iteration,
        warmup_s=load.warmup_s,
        duration_s=load.duration_s,
        started_at=result.started_at,
        attempt=result.attempt,
        complete=complete,
        valid=complete and not set(found) & set(INVALIDATING),
        flags="; ".join(found),
        acknowledged=calls.acknowledged,
        failed_total=calls.failed_total,
        failed_by_status="; ".join(f"{status}:{count}" for status, count in calls.failed_by_status.items()),
        timed_out_total=calls.failed_by_status.get("4", 0),
        cut_off_total=calls.cut_off_total,
        dropped_total=calls.dropped_total,
        throughput_rps=throughput_rps,
        latency_avg_ms=latency.avg_ms,
        latency_min_ms=latency.min_ms,
        p50_ms=latency.at("50"),
        p90_ms=latency.at("90"),
        p95_ms=latency.at("95"),
        p99_ms=latency.at("99"),
        p999_ms=latency.at("99.9"),
        latency_max_ms=latency.max_ms,
        percentiles_ms=latency.percentiles_ms,
        iterations=iteration.count,
        iteration_avg_ms=iteration.avg_ms,
        iteration_min_ms=iteration.min_ms,
        iteration_p50_ms=iteration.at("50"),
        iteration_p90_ms=iteration.at("90"),
        iteration_p95_ms=iteration.at("95"),
        iteration_p99_ms=iteration.at("99"),
        iteration_p999_ms=iteration.at("99.9"),
        iteration_max_ms=iteration.max_ms,
        data_sent_bytes=calls.data_sent_bytes,
        data_received_bytes=calls.data_received_bytes,
        server_cpu_s=result.server.cpu_s,
        server_cores=result.server.cores,
        cpu_per_call_us=result.server.cores / throughput_rps * 1e6 if throughput_rps else None,
        server_peak_rss_mb=result.server.peak_rss_bytes / 1e6,
        k6_cores=result.k6.cores,
        k6_busy=result.k6.cores / result.k6_cores_available,
        k6_peak_rss_mb=result.k6.peak_rss_bytes / 1e6,
        in_flight=None if latency.avg_ms is None else throughput_rps * latency.avg_ms / 1e3,
        final_count=result.final_count,
        server_cpus=",".join(map(str, result.server.cpus)),
        k6_cpus=",".join(map(str, result.k6.cpus)),
    )
