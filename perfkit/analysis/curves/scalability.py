"""How an arm scales: the universal scalability law (Gunther 1993), fitted to solo throughput over numbers of VUs.

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): sigma is contention, the part of a call that only one caller
can be in; kappa is coherency, what callers cost each other pairwise. N/X is linear in (1, sigma, kappa)/lambda with
none of them negative, so the fit is a non-negative least-squares one (Lawson and Hanson 1974), of relative errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from perfkit.analysis import contrast, statistics

FEWEST_LEVELS, FEWEST_BLOCKS = 5, 5

RESAMPLES = 1000
"""of blocks, for the intervals (Efron 1979)"""

SEED = 1

NORMAL = 1.96
"""Standard errors that an interval reaches where the spread is known."""

THROUGHPUT = "throughput_rps"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def is_there(self) -> bool:
        """Whether it is shown to be over 0."""
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Scalability:
    """What the law says of an arm."""

    arm: str
    levels: tuple[int, ...]
    rate_rps: Estimate
    """lambda: calls a second of one VU"""
    contention: Estimate
    coherency: Estimate
    curve: tuple[Estimate, ...]
    """fitted calls a second at each level"""
    worst: float
    """the largest difference of a level's mean from the fit, as a part of it"""

    @property
    def peak_vus(self) -> float | None:
        """The number of VUs with the most throughput; None where the law has no peak."""
        sigma, kappa = self.contention.value, self.coherency.value
        return math.sqrt((1 - sigma) / kappa) if kappa > 0 and sigma < 1 else None

    @property
    def is_told_apart(self) -> bool:
        """Whether contention or coherency is shown to be there, apart from the other."""
        return self.contention.is_there or self.coherency.is_there


def scalability(table: pd.DataFrame) -> list[Scalability]:
    """Return what the law says of each arm; empty where levels or blocks are too few for it.

    `table` has solo trials. A level at which the load generator was the limit is left out.
    """
    counted = fitted_to(table)
    return [_of(arm, counted[counted["arm"] == arm]) for arm in contrast.arms(counted)]


def fitted_to(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that the law is fitted to; none where levels or blocks are too few for it."""
    closed = table[table["rate"].isna()]
    levels = contrast.usable_levels(closed, THROUGHPUT)
    counted = closed[closed["valid"] & closed["vus"].isin(levels)]
    enough = len(levels) >= FEWEST_LEVELS and counted["block"].nunique() >= FEWEST_BLOCKS
    return counted if enough else counted.iloc[:0]


def _of(arm: str, trials: pd.DataFrame) -> Scalability:
    wide = trials.pivot_table(index="block", columns="vus", values=THROUGHPUT).dropna()
    vus, logs = np.array(wide.columns, dtype=float), np.log(wide.to_numpy(dtype=float))
    middle = fit(vus, np.exp(logs.mean(axis=0)))
    drawn = np.random.default_rng(SEED).integers(len(logs), size=(RESAMPLES, len(logs)))
    # Resampled means of n blocks scatter less than such means do, by n - 1 in n, and their spread is known from few.
    wider = math.sqrt(len(logs) / (len(logs) - 1)) * statistics.quantile(len(logs) - 1) / NORMAL
    means = logs.mean(axis=0) + wider * (logs[drawn].mean(axis=1) - logs.mean(axis=0))
    resampled = np.array([fit(vus, np.exp(one)) for one in means])
    curves = np.array([law(vus, *one) for one in resampled])
    fitted = law(vus, *middle)
    rate_rps, contention, coherency = _estimates(middle, resampled)
    worst = float(np.abs(np.exp(logs.mean(axis=0)) / fitted - 1).max())
    return Scalability(arm, tuple(map(int, vus)), rate_rps, contention, coherency, _estimates(fitted, curves), worst)


def _estimates(middle: Sequence[float] | np.ndarray, resampled: np.ndarray) -> tuple[Estimate, ...]:
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return tuple(Estimate(float(a), float(b), float(c)) for a, b, c in zip(middle, low, high, strict=True))


def fit(vus: np.ndarray, rps: np.ndarray) -> tuple[float, float, float]:
    """Return lambda (calls/s), sigma and kappa of throughputs at numbers of VUs."""
    weights = rps / vus
    terms = np.column_stack([np.ones_like(vus), vus - 1, vus * (vus - 1)])
    (inverse, contention, coherency), _ = nnls(terms * weights[:, None], np.ones_like(vus))
    return 1 / inverse, contention / inverse, coherency / inverse


def law(vus: np.ndarray, rate_rps: float, contention: float, coherency: float) -> np.ndarray:
    """Return calls/s at numbers of VUs."""
    found: np.ndarray = rate_rps * vus / (1 + contention * (vus - 1) + coherency * vus * (vus - 1))
    return found
