"""Results as rows: one a server in a trial, what each column is, with its unit."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfkit.design.engines import STAGES
from perfkit.design.factors import ARM_FACTORS, LOAD_FACTORS
from perfkit.design.plan import SOLO
from perfkit.record.calls import PART_STATISTICS, PARTS, Distribution, Section
from perfkit.record.results import Served, TrialResult, Usage
from perfkit.record.validity import INVALIDATING, flags

PERCENTILES = {"p50": "50", "p90": "90", "p95": "95", "p99": "99", "p999": "99.9"}
"""as in a column's name → as results have it"""


def _durations(prefix: str, percentile: str, what: str) -> dict[str, str]:
    durations = {f"{prefix}avg_ms": f"mean {what}, ms", f"{prefix}min_ms": "shortest, ms"}
    for name, value in PERCENTILES.items():
        least = {"99": "; missing under 662", "99.9": "; missing under 6,620"}.get(value, "")
        durations[f"{percentile}{name}_ms"] = f"{value}th percentile, ms{least}"
    return {**durations, f"{prefix}max_ms": "longest, ms"}


COLUMNS = {
    "block": "block, from 0; the unit of replication",
    "method": "solo: one server at a time; turns: all in turn on one core; joint: all at once on one core",
    "role": "a, aa (a again), handicap (a with a known burn), b (any other arm), or yardstick",
    "position": "place in the order in which the trial's servers were started, from 0",
    "arm": "engine/pattern with its options, or exec:command",
    "engine": "what serves gRPC",
    "pattern": "mutex or inputQ",
    **{factor.name: factor.definition for factor in (*ARM_FACTORS, *LOAD_FACTORS)},
    "started_at": "UTC, ISO 8601",
    "took_s": "seconds from before the first server was started to after the last had ended",
    "attempt": "how often this block had been begun before",
    "complete": "whether the block was finished in this attempt; the others were done anew",
    "valid": "whether the trial counts: complete, not paused, and nothing failed, cut off or lost at any server",
    "flags": "what makes the trial say less, with '; ' between; empty: nothing",
    "acknowledged": "calls that started in the window and were answered OK",
    "failed_total": "calls, and attempts to connect, not answered OK; whole trial",
    "failed_by_status": "those by gRPC status (h2load: http N, broken, trailer), as 'status:calls', with '; ' between",
    "timed_out_total": "of those, calls that ran into the client's time limit (status 4)",
    "cut_off_total": "calls sent that never ended before the generator did; whole trial",
    "dropped_total": "iterations that no VU was free for (open model only); whole trial",
    "throughput_rps": "acknowledged calls per second of the window; by turns, of own_s",
    "own_s": "seconds of the window in which it was this server's turn; without turns all of it",
    **_durations("latency_", "", "latency of acknowledged calls (solo trials only, as all latency)"),
    **{
        f"{part}_{name}_ms": f"{what} of {calls}, ms; missing: not told apart"
        for part, calls in PARTS.items()
        for name, what in PART_STATISTICS.items()
    },
    "percentiles_ms": "latency distribution: percentile as text -> ms, those with enough calls",
    "iterations": "iterations that started in the window and ended",
    **_durations("iteration_", "iteration_", "duration of an iteration, with connecting where it did"),
    "data_sent_bytes": "bytes that k6 sent in the window, HTTP/2 framing included; h2load does not say",
    "data_received_bytes": "bytes that k6 received in the window; h2load does not say",
    "server_cpu_s": "CPU seconds of the server in the window",
    "server_cores": "CPU seconds a second of the server",
    "share": "the part of all servers' CPU time that this one got; solo: 1",
    "cpu_per_call_us": "CPU time of the server per acknowledged call, µs",
    "server_peak_rss_mb": "largest resident memory of the server, MB (10^6 bytes)",
    "generator_cores": "CPU seconds a second of the load generator, of several all together",
    "generator_busy": "the part of its cores that the busiest generator used; by turns, while it was not stopped",
    "generator_peak_rss_mb": "largest resident memory of the generator, of several all together, MB",
    "in_flight": "calls in flight by Little's law: throughput times mean latency",
    "final_count": "by how much the server's count had risen after the last call, warm-up included; missing: not said",
    "held_us": "real length of the wait that hold_us asked for, mean, µs; missing: none was asked for",
    "commit_us": "how long a commit took, median, µs; missing: there was no store",
    "commits": "commits of the store, warm-up included",
    "calls_per_commit": "calls that were committed together, mean",
    **{
        f"stage_{name}_us": f"mean time of a call in the server: {what}, µs; missing: not watched"
        for name, what in STAGES.items()
    },
    "server_cpu_list": "cores that the server was pinned to; empty: none",
    "generator_cpu_list": "cores that the generator was pinned to, of several with '; ' between; empty: none",
    "generator_hosts": "hosts of the generators, with '; ' between; empty: the servers' own",
    "clock_error_ms": "how far the clock of a host may have been off this machine's at most, ms; missing: one machine",
    "start_spread_ms": "how far apart the generators of several hosts began, ms",
    "bracket_pct": "width of the widest bracket of p50 to p99 of several hosts, per cent; missing: one generator",
}  # fmt: skip
"""column → definition with unit, in the order of the table"""


def columns() -> dict[str, str]:
    """Return column → definition with unit, of the table that `perfkit.load` returns."""
    return dict(COLUMNS)


def rows(result: TrialResult, *, complete: bool) -> list[dict[str, Any]]:
    """Return a trial as one row a server; `complete` says whether its block was finished in the same attempt."""
    names = flags(result)
    return [_row(result, position, names, complete=complete) for position in range(len(result.served))]


def _row(result: TrialResult, position: int, names: Sequence[str], *, complete: bool) -> dict[str, Any]:
    trial, served = result.trial, result.served[position]
    seat, load, calls, usage = trial.seats[position], trial.load, served.calls, served.usage
    throughput_rps, inside = served.throughput_rps(load), served.section or Section(None, None, {})
    values = {
        "block": trial.block,
        "method": trial.method,
        "role": seat.role,
        "position": position,
        "arm": seat.arm.name,
        "engine": seat.arm.engine,
        "pattern": seat.arm.pattern,
        **{factor.name: getattr(seat.arm, factor.name) for factor in ARM_FACTORS},
        **{factor.name: getattr(load, factor.name) for factor in LOAD_FACTORS},
        "call": load.call.method if load.call and seat.arm.is_foreign else None,
        "started_at": result.started_at,
        "took_s": result.took_s,
        "attempt": result.attempt,
        "complete": complete,
        "valid": complete and INVALIDATING.isdisjoint(names),
        "flags": "; ".join(names),
        "acknowledged": calls.acknowledged,
        "failed_total": calls.failed_total,
        "failed_by_status": "; ".join(f"{status}:{count}" for status, count in calls.failed_by_status.items()),
        "timed_out_total": calls.failed_by_status.get("4", 0),
        "cut_off_total": calls.cut_off_total,
        "dropped_total": calls.dropped_total,
        "throughput_rps": throughput_rps,
        "own_s": load.duration_s if served.own_s is None else served.own_s,
        "iterations": calls.iteration.count,
        "data_sent_bytes": calls.data_sent_bytes,
        "data_received_bytes": calls.data_received_bytes,
        "server_cpu_s": usage and usage.cpu_s,
        "server_cores": usage and usage.cores,
        "share": served.cpu_s / (sum(one.cpu_s for one in result.served) or 1.0),
        "cpu_per_call_us": served.cpu_per_call_us(load),
        "server_peak_rss_mb": usage and usage.peak_rss_bytes / 1e6,
        "generator_cores": sum(one.usage.cores for one in result.generators),
        "generator_busy": result.generator_busy,
        "generator_peak_rss_mb": sum(one.usage.peak_rss_bytes for one in result.generators) / 1e6,
        "final_count": served.final_count,
        "held_us": inside.held_us and inside.held_us.mean,
        "commit_us": inside.commit_us and inside.commit_us.p50,
        "commits": inside.commits,
        "calls_per_commit": inside.calls_per_commit,
        **{
            f"stage_{name}_us": served.stages.each[name].mean_us if served.stages and served.stages.calls else None
            for name in STAGES
        },
        "server_cpu_list": _cores(usage),
        "generator_cpu_list": "; ".join(map(_cores, (one.usage for one in result.generators))),
        "generator_hosts": "; ".join(one.host for one in result.generators),
        "clock_error_ms": max((clock.error_ms for clock in result.clocks), default=None),
        "start_spread_ms": result.start_spread_ms,
        **_latency(served, throughput_rps, is_solo=trial.method == SOLO),
    }
    return {name: values[name] for name in COLUMNS}


def _latency(served: Served, throughput_rps: float, *, is_solo: bool) -> dict[str, Any]:
    """What a server that shares its core would tell are its neighbours' turns: so only a solo trial has latency."""
    nothing = Distribution(0, None, None, None, {})
    latency, iteration = (served.calls.latency, served.calls.iteration) if is_solo else (nothing, nothing)
    return {
        **_statistics(latency, "latency_", ""),
        **_statistics(iteration, "iteration_", "iteration_"),
        **_parts(served.calls.parts if is_solo else {}),
        "percentiles_ms": latency.percentiles_ms,
        "in_flight": None if latency.avg_ms is None else throughput_rps * latency.avg_ms / 1e3,
        "bracket_pct": _widest_pct(latency),
    }


def _parts(parts: Mapping[str, Distribution]) -> dict[str, float | None]:
    nothing = Distribution(0, None, None, None, {})
    return {
        f"{part}_{name}_ms": of.max_ms if name == "max" else of.at(PERCENTILES[name])
        for part in PARTS
        for of in [parts.get(part, nothing)]
        for name in PART_STATISTICS
    }


def _widest_pct(of: Distribution) -> float | None:
    """Return the width of the widest bracket that a table's percentiles to p99 have."""
    widths = [of.bracket(value) for value in PERCENTILES.values() if value != "99.9"]
    return max((width * 100 for width in widths if width is not None), default=None)


def _cores(usage: Usage | None) -> str:
    return ",".join(map(str, usage.cpus)) if usage else ""


def _statistics(of: Distribution, prefix: str, percentile: str) -> dict[str, float | None]:
    return {
        f"{prefix}avg_ms": of.avg_ms,
        f"{prefix}min_ms": of.min_ms,
        **{f"{percentile}{name}_ms": of.at(value) for name, value in PERCENTILES.items()},
        f"{prefix}max_ms": of.max_ms,
    }
