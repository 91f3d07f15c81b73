"""Distributions that several load generators have seen, as one: what is exact, and brackets that hold for certain."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from perfkit.record.calls import Calls, Distribution, enough_samples

SLACK = 1e-9
"""A percentile's place among samples is computed with rounding: it may be so much to either side."""

GRID = (
    *(f"{number / 10:g}" for number in range(901)),
    *(f"{100 - 10 * 1.02**-step:.8g}" for step in range(1, 468)),
)
"""Percentiles to ask each generator for, so that brackets are narrow: steps of 0.1 to 90, then 2 % of the rest each."""


def merged(several: Sequence[Distribution], percentiles: Sequence[str]) -> Distribution:
    """Return the distribution of all samples of several, with these percentiles, of those that they carry.

    Count, mean, least and largest are exact; percentiles are estimates inside their brackets.

    A percentile is a value at place p·(n-1) among n sorted samples, interpolated between its neighbours, as k6 and
    numpy have it. So each one that a generator tells bounds how many of its samples lie below and above it; the sums
    of these bounds bound the places among all samples.
    """
    counted = [one for one in several if one.count]
    total = sum(one.count for one in counted)
    if not total:
        return Distribution(0, None, None, None, {})
    curves = [_curve(one) for one in counted]
    candidates = np.unique(np.concatenate([values for values, _, _ in curves]))
    at_most_below = sum(_at_most_below(curve, candidates) for curve in curves)
    at_least_within = sum(_at_least_within(curve, candidates) for curve in curves)
    reached = sum(_reached(curve, candidates) for curve in curves)
    brackets: dict[str, tuple[float, float]] = {}
    estimates: dict[str, float] = {}
    for percentile in percentiles:
        if enough_samples(float(percentile), total):
            place = float(percentile) / 100 * (total - 1)
            first, last = math.floor(place - SLACK), math.ceil(place + SLACK)
            low = candidates[np.flatnonzero(at_most_below <= max(first, 0))[-1]]
            high = candidates[np.flatnonzero(at_least_within >= min(last + 1, total))[0]]
            brackets[percentile] = float(low), float(high)
            estimates[percentile] = float(np.clip(np.interp(place + 0.5, reached, candidates), low, high))
    return Distribution(
        total,
        sum((one.avg_ms or 0.0) * one.count for one in counted) / total,
        float(candidates[0]),
        float(candidates[-1]),
        estimates,
        brackets,
    )


def merged_calls(several: Sequence[Calls], percentiles: Sequence[str]) -> Calls:
    """Return what several generators counted of one server, as one: counts are sums, distributions are merged."""
    statuses = dict.fromkeys(status for one in several for status in one.failed_by_status)
    return Calls(
        acknowledged=sum(one.acknowledged for one in several),
        failed_by_status={status: sum(one.failed_by_status.get(status, 0) for one in several) for status in statuses},
        acknowledged_total=sum(one.acknowledged_total for one in several),
        sent=sum(one.sent for one in several),
        sent_total=sum(one.sent_total for one in several),
        dropped_total=sum(one.dropped_total for one in several),
        late_connections=sum(one.late_connections for one in several),
        data_sent_bytes=_sum(one.data_sent_bytes for one in several),
        data_received_bytes=_sum(one.data_received_bytes for one in several),
        latency=merged([one.latency for one in several], percentiles),
        iteration=merged([one.iteration for one in several], percentiles),
        parts={part: merged([one.parts[part] for one in several], percentiles) for part in several[0].parts},
        writes=_writes(several),
    )


def _writes(several: Sequence[Calls]) -> dict[str, tuple[int, int]]:
    groups = dict.fromkeys(group for one in several for group in one.writes)
    counts = {group: [one.writes.get(group, (0, 0)) for one in several] for group in groups}
    return {group: (sum(acked for acked, _ in each), sum(sent for _, sent in each)) for group, each in counts.items()}


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


_Curve = tuple["np.ndarray", "np.ndarray", "np.ndarray"]
"""values of one generator, rising; of each, how many samples lie below it at most, and at or below it at least"""


def _curve(one: Distribution) -> _Curve:
    assert one.min_ms is not None  # noqa: S101 - so has every distribution with a sample
    assert one.max_ms is not None  # noqa: S101
    places = {float(text) / 100 * (one.count - 1): value for text, value in one.percentiles_ms.items()}
    places |= {0.0: one.min_ms, float(one.count - 1): one.max_ms}
    rising = sorted(places.items())
    values = np.maximum.accumulate(np.array([value for _, value in rising]))
    below = np.array([min(one.count, math.ceil(place + SLACK)) for place, _ in rising])
    within = np.array([max(0, math.floor(place - SLACK)) + 1 for place, _ in rising])
    below[0], within[-1] = 0, one.count
    return values, below, within


def _at_most_below(curve: _Curve, candidates: np.ndarray) -> np.ndarray:
    """Of each candidate, how many of a generator's samples can be less: no more than are less than its next value."""
    values, below, within = curve
    following = np.searchsorted(values, candidates, side="left")
    return np.where(following < len(values), below[np.minimum(following, len(values) - 1)], within[-1])


def _at_least_within(curve: _Curve, candidates: np.ndarray) -> np.ndarray:
    """Of each candidate, how many of a generator's samples must be no more: as many as are within its last value."""
    values, _, within = curve
    last = np.searchsorted(values, candidates, side="right") - 1
    return np.where(last >= 0, within[np.maximum(last, 0)], 0)


def _reached(curve: _Curve, candidates: np.ndarray) -> np.ndarray:
    """Of each candidate, about how many of a generator's samples are no more: straight between what is known."""
    values, below, within = curve
    places: np.ndarray = np.interp(candidates, values, (below + within) / 2, left=0, right=within[-1])
    return places
