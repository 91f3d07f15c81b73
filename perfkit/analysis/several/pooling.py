"""One question's answers from several machines and days as one: a random-effects meta-analysis of their ratios.

Runs of one machine scatter more than their intervals say, and machines more than their runs. So runs are joined into
an estimate a machine, and machines into one (Paule and Mandel's estimate of the spread, Hartung and Knapp's interval,
never narrower than without their correction). The prediction interval is for a machine that was not measured (Higgins,
Thompson and Spiegelhalter 2009).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfkit.analysis import statistics, verdict
from perfkit.analysis.statistics import CONFIDENCE, Ratio

DEPENDS = "depends on the machine"

FEWEST_MACHINES = 3
"""Under so many, nothing is said of the next one."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found."""

    name: str
    machine: str
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Joined:
    """A ratio with a 95 % interval: of a machine, or of all."""

    name: str
    ratio: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Pooled:
    """What all runs say together."""

    runs: tuple[Run, ...]
    machines: tuple[Joined, ...]
    together: Joined
    spread_runs: float | None
    """standard deviation of the runs of one machine, of logarithms, beyond their own intervals; None: no machine has
    two"""
    spread_machines: float | None
    """the same of machines; None: there is one"""
    differ_p: float | None
    """p-value of "all machines have the same ratio" (Cochran's Q); None: there is one"""
    prediction: tuple[float, float] | None
    """where the ratio of the next machine lies, 19 times out of 20; None: under FEWEST_MACHINES"""
    verdict: str
    """`verdict.judge`'s, or DEPENDS"""


def pool(runs: Sequence[Run], margin_pct: float) -> Pooled:
    """Return what runs of one question say together."""
    by_machine = {one.machine: [other for other in runs if other.machine == one.machine] for one in runs}
    spread_runs = _within(list(by_machine.values()))
    spread2 = (spread_runs or 0.0) ** 2
    machines = [_joined(name, several, spread2) for name, several in by_machine.items()]
    if len(machines) == 1:
        (name, mean, error), several = machines[0], len(runs)
        freedom = several - 1 if several > 1 else runs[0].ratio.blocks - 1
        own = _interval(name, mean, error, freedom, several)
        together = replace(own, name="all")
        return Pooled(tuple(runs), (own,), together, spread_runs, None, None, None, _judge(together, margin_pct))
    mean, error, tau, differ_p = _combined([mean for _, mean, _ in machines], [error for _, _, error in machines])
    count = len(machines)
    together = _interval("all", mean, error, count - 1, len(runs))
    each = tuple(
        _interval(name, own, its_error, _freedom(by_machine[name]), len(by_machine[name]))
        for name, own, its_error in machines
    )
    prediction = None
    if count >= FEWEST_MACHINES:
        reach = statistics.quantile(count - 2) * math.hypot(tau, error)
        prediction = math.exp(mean - reach), math.exp(mean + reach)
    return Pooled(
        tuple(runs), each, together, spread_runs, tau, differ_p, prediction,
        _verdict(together, each, differ_p, prediction, margin_pct),
    )  # fmt: skip


def _freedom(runs: Sequence[Run]) -> int:
    return sum(one.ratio.blocks - 1 for one in runs)


def _joined(machine: str, runs: Sequence[Run], spread2: float) -> tuple[str, float, float]:
    """Return a machine's mean logarithm and its standard error, runs weighted by what they know and their spread."""
    weights = [1 / (one.ratio.standard_error**2 + spread2) for one in runs]
    mean = sum(weight * math.log(one.ratio.ratio) for weight, one in zip(weights, runs, strict=True)) / sum(weights)
    return machine, mean, math.sqrt(1 / sum(weights))


def _within(machines: Sequence[Sequence[Run]]) -> float | None:
    """Return how runs of one machine scatter beyond their intervals, over all machines that have several."""
    several = [runs for runs in machines if len(runs) > 1]
    if not several:
        return None
    squares = []
    for runs in several:
        means, errors = [math.log(one.ratio.ratio) for one in runs], [one.ratio.standard_error for one in runs]
        _, _, spread, _ = _combined(means, errors)
        squares.append((len(runs) - 1) * spread**2)
    return math.sqrt(sum(squares) / sum(len(runs) - 1 for runs in several))


def _combined(means: Sequence[float], errors: Sequence[float]) -> tuple[float, float, float, float]:
    """Return mean, its standard error, the spread beyond the errors, and the p-value of there being none."""
    from statsmodels.stats.meta_analysis import combine_effects  # noqa: PLC0415 - it takes seconds to import

    found = combine_effects(np.array(means), np.array(errors) ** 2, method_re="iterated", use_t=True)
    error = max(float(found.sd_eff_w_re_hksj), float(found.sd_eff_w_re))
    return float(found.mean_effect_re), error, math.sqrt(float(found.tau2)), float(found.test_homogeneity().pvalue)


def _interval(name: str, mean: float, error: float, freedom: int, runs: int) -> Joined:
    reach = statistics.quantile(freedom) * error
    return Joined(name, math.exp(mean), math.exp(mean - reach), math.exp(mean + reach), runs)


def _judge(one: Joined, margin_pct: float) -> str:
    return verdict.judge(Ratio("", "", "", (), one.ratio, one.low, one.high, None, None, one.runs), margin_pct)


def _verdict(
    together: Joined,
    machines: Sequence[Joined],
    differ_p: float,
    prediction: tuple[float, float] | None,
    margin_pct: float,
) -> str:
    """Machines that differ beyond chance, and not all to the same end, leave no answer for all."""
    ends = {_judge(one, margin_pct) for one in machines} - {verdict.NOT_KNOWN}
    if differ_p < 1 - CONFIDENCE:
        if len(ends) > 1:
            return DEPENDS
        if prediction and _judge(Joined("", together.ratio, *prediction, 1), margin_pct) == verdict.NOT_KNOWN:
            return DEPENDS
    return _judge(together, margin_pct)
