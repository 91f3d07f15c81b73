"""Several stored runs of one question: what changed from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perfkit.analysis import statistics
from perfkit.analysis.comparison import Answer
from perfkit.analysis.levels import CPU, SweepAnswer
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import Plan, StopRule
from perfkit.errors import StoreError
from perfkit.record.environment import Environment
from perfkit.record.load import load_environment, load_finished, load_plan
from perfkit.studies import compare, sweep

TOLD = ("git_commit", "code", "programs", "packages", "python", "kernel", "k6", "h2load")
"""Fields of an environment that may differ between runs of one question, and are said then."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored run, read."""

    folder: Path
    plan: Plan
    environment: Environment
    started_at: str
    """of its first trial, UTC, ISO 8601"""
    ratios: dict[str, Ratio]
    """what is compared → how many times the baseline's it is"""
    is_trusted: bool

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.resolve().name


def read(folder: Path) -> Stored:
    """Return a stored run; a StoreError where it is no comparison or sweep, or has no trials."""
    plan = load_plan(folder)
    if plan.study not in (compare.STUDY.name, sweep.STUDY.name):
        raise StoreError(f"run {folder} is of study {plan.study}; name runs of `compare` or of `sweep`")
    results = load_finished(folder)
    if not results:
        raise StoreError(f"run {folder} has no finished block; name another, or continue it first")
    found: Answer | SweepAnswer
    if plan.study == compare.STUDY.name:
        found = compare.answer(folder)
        ratios = {"CPU per call": found.cpu_per_call} if found.cpu_per_call else {}
    else:
        found = sweep.answer(folder)
        ratios = {
            f"CPU per call of {arm} at {one.levels[0]} VUs": one
            for arm, over in found.over.items()
            for one in over[CPU].ratios
        }
    known = {name: one for name, one in ratios.items() if one.low is not None}
    return Stored(
        Path(folder), plan, load_environment(folder), min(one.started_at for one in results), known, found.is_trusted
    )


def read_all(folders: Sequence[Path]) -> list[Stored]:
    """Return stored runs of one question on one machine, in order of time; a StoreError says what keeps them apart."""
    several = of_one_question(folders)
    first = several[0]
    for one in several[1:]:
        for name in ("machine", "cpu_model", "cores"):
            there, here = getattr(first.environment, name), getattr(one.environment, name)
            if there != here:
                raise StoreError(
                    f"runs {first.folder} and {one.folder} are of two machines ({name} {there!r}, {here!r}), which "
                    "differ in more than what changed; several machines are pooled, not subtracted: perfkit pool"
                )
    return several


def of_one_question(folders: Sequence[Path]) -> list[Stored]:
    """Return stored runs of one question, of whatever machine, in order of time; a StoreError names another."""
    several = sorted(map(read, folders), key=lambda one: one.started_at)
    first = several[0]
    for one in several[1:]:
        asked, other = _question(first.plan), _question(one.plan)
        if asked != other:
            raise StoreError(
                f"runs {first.folder} and {one.folder} are of two questions: {other.difference(asked)} here; name runs "
                "that differ in nothing but what was built, where, and when"
            )
    return several


def changes(old: Stored, new: Stored) -> dict[str, Ratio]:
    """Return how many times the old run's ratio the new one's is, for all that both know."""
    return {name: statistics.quotient(one, old.ratios[name]) for name, one in new.ratios.items() if name in old.ratios}


def differences(old: Environment, new: Environment) -> list[str]:
    """Return what else is not the same, a line each."""
    found = []
    for name in TOLD:
        there, here = getattr(old, name), getattr(new, name)
        if isinstance(there, dict) and there != here:
            keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
            found += [f"{name}: {key}: {there.get(key, 'none')} → {here.get(key, 'none')}" for key in keys]
        elif there != here:
            found.append(f"{name}: {there or 'none'} → {here or 'none'}")
    return found


def _question(plan: Plan) -> Plan:
    """Return a plan without what says only how long and in which order it was measured."""
    return replace(plan, stop=StopRule(), seed=0, start_s=0)
