"""Results as flat rows: what each column of the tables is, with its unit."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

from perfkit.plan import Seat
from perfkit.results import INVALIDATING, Served, TrialResult, flags

# What both tables have, in places of their own in each.
Block = Annotated[int, "block, from 0; the unit of replication"]
StartedAt = Annotated[str, "UTC, ISO 8601"]
Attempt = Annotated[int, "how often this block had been begun before"]
Complete = Annotated[bool, "whether the block was finished in this attempt; the others were done anew"]
Acknowledged = Annotated[int, "calls that started in the window and were answered OK"]
CpuPerCall = Annotated[float | None, "CPU time of the server per acknowledged call, µs"]
ServerCores = Annotated[float, "CPU seconds a second of the server"]
K6Busy = Annotated[float, "the part of its cores that k6 used"]
FinalCount = Annotated[int, "the server's count after the last call, warm-up included"]


@dataclass(frozen=True, slots=True)
class Row:
    """One trial as `perfkit.load` gives it, a column a field."""

    block: Block
    role: Annotated[str, "in a comparison: a, handicap, b, or yardstick; in a sweep always a"]
    arm: Annotated[str, "engine/pattern with its options"]
    engine: Annotated[str, "what serves gRPC"]
    pattern: Annotated[str, "mutex or inputQ"]
    workers: Annotated[int, "worker threads of the server"]
    vus: Annotated[int, "virtual users of k6"]
    rate: Annotated[int | None, "calls offered a second (open model); missing: closed model"]
    connect_per_iteration: Annotated[bool, "whether each iteration connected and closed"]
    warmup_s: Annotated[float, "seconds of load before the window"]
    duration_s: Annotated[float, "seconds that the window was open"]
    started_at: StartedAt
    took_s: Annotated[float, "seconds from before the server was started to after it had ended"]
    attempt: Attempt
    complete: Complete
    valid: Annotated[
        bool, "whether the trial counts: complete, no failure, no call cut off, no lost update, not paused"
    ]
    flags: Annotated[str, "what makes it say less, with '; ' between; empty: nothing"]
    acknowledged: Acknowledged
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
    server_cores: ServerCores
    cpu_per_call_us: CpuPerCall
    server_peak_rss_mb: Annotated[float, "largest resident memory of the server, MB (10^6 bytes)"]
    k6_cores: Annotated[float, "CPU seconds a second of k6"]
    k6_busy: K6Busy
    k6_peak_rss_mb: Annotated[float, "largest resident memory of k6, MB"]
    in_flight: Annotated[float | None, "calls in flight by Little's law: throughput times mean latency"]
    final_count: FinalCount
    server_cpus: Annotated[str, "cores that the server was pinned to; empty: none"]
    k6_cpus: Annotated[str, "cores that k6 was pinned to; empty: none"]


@dataclass(frozen=True, slots=True)
class JointRow:
    """One server of a joint trial as `perfkit.load_joint` gives it, a column a field."""

    block: Block
    role: Annotated[str, "a, aa (a again), handicap (a with a known burn), b, or yardstick"]
    arm: Annotated[str, "engine/pattern with its options, or exec:command"]
    vus: Annotated[int, "virtual users of k6 at this server"]
    position: Annotated[int, "place in the order in which servers and scenarios were started, from 0"]
    started_at: StartedAt
    took_s: Annotated[float, "seconds from before the first server was started to after the last had ended"]
    attempt: Attempt
    complete: Complete
    valid: Annotated[
        bool, "whether the trial counts: complete, not paused, and nothing failed, cut off or lost at any server"
    ]
    flags: Annotated[str, "what makes the trial say less, with '; ' between; empty: nothing"]
    acknowledged: Acknowledged
    cpu_per_call_us: CpuPerCall
    server_cores: ServerCores
    share: Annotated[float, "the part of all servers' CPU time that this one got"]
    k6_busy: K6Busy
    final_count: FinalCount


def columns(of: type[Row] | type[JointRow] = Row) -> dict[str, str]:
    """Return column → definition with unit, for the table of `perfkit.load` or, with JointRow, of `load_joint`."""
    hints = get_type_hints(of, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(of)}


def _common(result: TrialResult, seat: Seat, served: Served, *, complete: bool) -> dict[str, Any]:
    """Return what both kinds of row have, of one server of a trial."""
    found = flags(result)
    return {
        "block": result.trial.block,
        "role": seat.role,
        "arm": seat.arm.name,
        "vus": result.trial.load.vus,
        "started_at": result.started_at,
        "took_s": result.took_s,
        "attempt": result.attempt,
        "complete": complete,
        "valid": complete and not set(found) & set(INVALIDATING),
        "flags": "; ".join(found),
        "acknowledged": served.calls.acknowledged,
        "cpu_per_call_us": served.cpu_per_call_us(result.trial.load),
        "server_cores": served.usage.cores,
        "k6_busy": result.k6_busy,
        "final_count": served.final_count,
    }


def joint_rows(result: TrialResult, *, complete: bool) -> list[JointRow]:
    """Return a joint trial as one row a server."""
    used_s = sum(served.usage.cpu_s for served in result.served)
    return [
        JointRow(
            **_common(result, seat, served, complete=complete),
            position=position,
            share=served.usage.cpu_s / used_s,
        )
        for position, (seat, served) in enumerate(zip(result.trial.seats, result.served, strict=True))
    ]


def row(result: TrialResult, *, complete: bool) -> Row:
    """Return a solo trial as one flat row; `complete` says whether its block was finished in the same attempt."""
    (served,), (seat,) = result.served, result.trial.seats
    calls, load, arm = served.calls, result.trial.load, seat.arm
    latency, iteration = calls.latency, calls.iteration
    throughput_rps = calls.acknowledged / load.duration_s
    return Row(
        **_common(result, seat, served, complete=complete),
        engine=arm.engine,
        pattern=arm.pattern,
        workers=arm.workers,
        rate=load.rate,
        connect_per_iteration=load.connect_per_iteration,
        warmup_s=load.warmup_s,
        duration_s=load.duration_s,
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
        server_cpu_s=served.usage.cpu_s,
        server_peak_rss_mb=served.usage.peak_rss_bytes / 1e6,
        k6_cores=result.k6.cores,
        k6_peak_rss_mb=result.k6.peak_rss_bytes / 1e6,
        in_flight=None if latency.avg_ms is None else throughput_rps * latency.avg_ms / 1e3,
        server_cpus=",".join(map(str, served.usage.cpus)),
        k6_cpus=",".join(map(str, result.k6.cpus)),
    )
