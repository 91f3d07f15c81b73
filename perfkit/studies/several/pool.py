"""Finished comparisons of one question, of several machines and days, as one answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perfkit.analysis import statistics
from perfkit.analysis.comparison import names
from perfkit.analysis.several import pooling
from perfkit.analysis.several.pooling import Pooled, Run
from perfkit.checkout import ROOT
from perfkit.errors import StoreError
from perfkit.studies import compare
from perfkit.studies.several.history import Stored, of_one_question

EXAMPLES = tuple(ROOT / "data" / "example" / name for name in ("compare-joint", "compare-xeon"))
"""Joint trials of one question on two machines."""

COST = "CPU per call"


@dataclass(frozen=True, slots=True)
class Pool:
    """Runs, and what they say together."""

    a: str
    b: str
    """what to call the two arms"""
    margin_pct: float
    pooled: Pooled
    left_out: tuple[Stored, ...]
    """runs that are not trusted"""
    is_simulated: bool = False


def pool(runs: object = "") -> Pool:
    """Return what finished comparisons say together: folders, as a list or with commas between; "": the stored ones.

    A StoreError where they are under two, of two questions, or no comparisons.
    """
    if isinstance(runs, str):
        folders = [Path(part.strip()).expanduser() for part in runs.split(",") if part.strip()] or list(EXAMPLES)
    else:
        folders = [Path(one) for one in runs]  # type: ignore[attr-defined]
    if len({one.resolve() for one in folders}) < len(folders):
        raise StoreError("a run is named twice; each counts once")
    if len(folders) < 2:
        raise StoreError(f"{len(folders)} run makes no pool; name two or more")
    stored = of_one_question(folders)
    if stored[0].plan.study != compare.STUDY.name:
        raise StoreError(f"run {stored[0].folder} is a {stored[0].plan.study}; only comparisons are pooled")
    return _of(stored)


def _of(stored: Sequence[Stored]) -> Pool:
    trusted = [one for one in stored if one.is_trusted and COST in one.ratios]
    if not trusted:
        raise StoreError("none of these runs is trusted, so nothing is pooled; compare again")
    plan = trusted[0].plan
    a, b = names(plan)
    found = pooling.pool([Run(one.name, machine(one), one.ratios[COST]) for one in trusted], plan.margin_pct)
    return Pool(a, b, plan.margin_pct, found, tuple(one for one in stored if one not in trusted))


def machine(run: Stored) -> str:
    """Return what to call the machine of a run: its CPU, and its name."""
    return f"{run.environment.cpu_model}, {run.environment.cores} cores ({run.environment.machine})"


def simulated(
    machines: int = 6, runs: int = 2, ratio: float = 1.03, between_machines: float = 0.02, between_runs: float = 0.005,
    within: float = 0.004, seed: int = 1,
) -> Pool:  # fmt: skip
    """Return a pool of runs that nobody measured, whose true ratio and spreads (of logarithms) are known."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(machines):
        own = np.log(ratio) + random.normal(0, between_machines)
        for run in range(runs):
            blocks = own + random.normal(0, between_runs) + random.normal(0, within * np.sqrt(20), 20)
            made.append(Run(f"simulated run {run + 1}", f"simulated machine {number + 1}",
                            statistics.from_logs("cpu_per_call_us", "b", "a", [], blocks.tolist())))  # fmt: skip
    return Pool("a", "b", 3.0, pooling.pool(made, 3.0), (), is_simulated=True)
