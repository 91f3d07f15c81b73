"""A map of two factors: an arm's ratio to the first one in each cell, with its interval, or why there is none."""

from dataclasses import dataclass, replace

import pandas as pd

from perfkit.analysis import contrast, levels, statistics, verdict
from perfkit.analysis.levels import WAITED
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import A, B

INVALID = "trials do not count"
"""Why a cell has no ratio, where no flag says it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One cell of a map, for one arm."""

    arm: str
    """without the map's factors"""
    x: object
    y: object
    ratio: Ratio | None
    """with a 95 % interval of its own; None: there is none"""
    verdict: str
    """`verdict.judge`'s by that interval; a sign only where it holds for the whole map (Holm); else NOT_KNOWN"""
    why: str = ""
    """why nothing is known here; empty: something is"""

    @property
    def is_decided(self) -> bool:
        """Whether something is known here."""
        return self.verdict != verdict.NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Grid:
    """A whole map."""

    x: str
    y: str
    metric: str
    baseline: str
    margin_pct: float
    spots: tuple[Spot, ...]
    trials: pd.DataFrame
    """those compared, arms without the map's factors"""

    def of(self, arm: str) -> tuple[Spot, ...]:
        """Return the cells of an arm."""
        return tuple(one for one in self.spots if one.arm == arm)

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms but the baseline."""
        return tuple(dict.fromkeys(one.arm for one in self.spots))

    def levels(self, axis: str) -> list[object]:
        """Return the levels of an axis, `x` or `y`, rising, as the cells of each arm are."""
        return list(dict.fromkeys(getattr(one, axis) for one in self.spots))


def grid(table: pd.DataFrame, axes: tuple[str, ...], metric: str, margin_pct: float) -> Grid:
    """Return the map of a table of trials in which arms are compared; each block has all cells."""
    x, y = axes
    own = table[table["role"].isin((A, B))]
    trials = own.assign(arm=own["arm"].map(lambda arm: contrast.without(arm, axes)))
    baseline = str(trials.loc[trials["role"] == A, "arm"].iloc[0])
    spots = [
        _spot(cell[cell["arm"].isin((arm, baseline))], metric, arm, baseline, place)
        for arm in sorted(set(trials.loc[trials["role"] == B, "arm"]))
        for place, cell in trials.groupby([x, y], dropna=False, sort=True)
    ]
    ratios = [one.ratio for one in spots if one.ratio]
    corrected = iter(statistics.holm(ratios))
    judged = [_judged(one, next(corrected), margin_pct, len(ratios)) if one.ratio else one for one in spots]
    return Grid(x, y, metric, baseline, margin_pct, tuple(judged), trials)


def _spot(pair: pd.DataFrame, metric: str, arm: str, baseline: str, place: object) -> Spot:
    assert isinstance(place, tuple)  # noqa: S101 - of two columns
    x, y = (_plain(one) for one in place)
    done = pair[pair["complete"]]
    if not len(done) or not done["valid"].all():
        return Spot(arm, x, y, None, verdict.NOT_KNOWN, INVALID)
    if flags := contrast.voided_by(done, metric):
        return Spot(arm, x, y, None, verdict.NOT_KNOWN, ", ".join(flags))
    logs = contrast.log_ratio(done.set_index(["block", "arm"])[metric].unstack(), arm, baseline)
    if not len(logs):
        return Spot(arm, x, y, None, verdict.NOT_KNOWN, INVALID)
    ratio = statistics.from_logs(metric, arm, baseline, [], logs.tolist())
    return Spot(arm, x, y, ratio, verdict.NOT_KNOWN, WAITED if levels.waited(metric, ratio, done) else "")


def _judged(spot: Spot, corrected: Ratio, margin_pct: float, looks: int) -> Spot:
    assert spot.ratio is not None  # noqa: S101 - asked only where there is one
    if spot.why:
        return spot
    said = verdict.judge(spot.ratio, margin_pct)
    if said in (verdict.DEARER, verdict.CHEAPER) and not corrected.differs:
        said = verdict.NOT_KNOWN
    return replace(
        spot, verdict=said, why=_too_wide(spot.ratio, margin_pct, looks) if said == verdict.NOT_KNOWN else ""
    )


def _too_wide(ratio: Ratio, margin_pct: float, looks: int) -> str:
    """Say why a ratio with an interval decides nothing."""
    if ratio.low is None:
        return "one block gives no interval"
    blocks = statistics.blocks_to_tell(ratio, margin_pct, looks)
    about = f"about {blocks}" if blocks < statistics.MANY else f"{statistics.MANY} or more"
    return f"too wide: {about} blocks would tell, {ratio.blocks} were taken"


def _plain(value: object) -> object:
    return value.item() if hasattr(value, "item") else value
