"""The knee: the highest offered rate that is served within a limit on the 99th percentile, and without a drop."""

from dataclasses import dataclass

import pandas as pd

from perfkit.analysis import contrast, statistics
from perfkit.analysis.statistics import Interval

P99 = "p99_ms"


@dataclass(frozen=True, slots=True)
class Level:
    """What an arm did at one offered rate."""

    rate: int
    p99_ms: Interval | None
    """geometric mean over blocks; all intervals hold together; None: a trial carries none, or k6 was the limit"""
    dropped: int
    """blocks in which k6 had no free VU for some calls"""
    blocks: int


@dataclass(frozen=True, slots=True)
class Knee:
    """How far an arm gets."""

    arm: str
    slo_ms: float
    levels: tuple[Level, ...]
    """rising"""
    rate: int | None
    """the highest rate up to which p99 is within the limit and nothing was dropped; None: not even the lowest is"""
    low: int | None
    """the same, surely: by the upper ends of intervals"""
    high: int | None
    """the lowest rate that is surely too much: by the lower end, or by drops in every block; None: none is"""


def knees(table: pd.DataFrame, slo_ms: float) -> list[Knee]:
    """Return the knee of each arm, of solo trials at several rates."""
    counted = table[table["complete"] & table["valid"]]
    arms, rates = contrast.arms(counted), sorted(map(int, counted["rate"].dropna().unique()))
    usable = contrast.usable_levels(table, P99, "rate")
    return [
        _knee(
            arm,
            slo_ms,
            [_level(counted[counted["arm"] == arm], rate, usable, len(arms) * len(rates)) for rate in rates],
        )
        for arm in arms
    ]


def _level(trials: pd.DataFrame, rate: int, usable: tuple[int, ...], looks: int) -> Level:
    own = trials[trials["rate"] == rate]
    values = own[P99].dropna().astype(float).tolist()
    known = rate in usable and values and len(values) == len(own)
    found = statistics.mean(values, logarithmic=True, looks=looks) if known else None
    return Level(rate, found, int((own["dropped_total"] > 0).sum()), len(own))


def _knee(arm: str, slo_ms: float, levels: list[Level]) -> Knee:
    def passes(level: Level, end: str) -> bool:
        value = getattr(level.p99_ms, end, None)
        return value is not None and value <= slo_ms and not level.dropped

    def fails(level: Level) -> bool:
        low = level.p99_ms.low if level.p99_ms else None
        return (low is not None and low > slo_ms) or 0 < level.blocks == level.dropped

    def up_to(end: str) -> int | None:
        reached = None
        for level in levels:
            if not passes(level, end):
                break
            reached = level.rate
        return reached

    high = next((level.rate for level in levels if fails(level)), None)
    return Knee(arm, slo_ms, tuple(levels), up_to("estimate"), up_to("high"), high)
