"""The survey of engines: every arm compared with one reference, and all of them one at a time, at two loads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perfkit.analysis import statistics
from perfkit.analysis.comparison import Answer
from perfkit.analysis.contrast import BASELINE
from perfkit.analysis.statistics import Interval, Ratio
from perfkit.checkout import ROOT
from perfkit.design.arms import FOREIGN, RUNNING, Arm, parse_arm, parse_arms
from perfkit.design.engines import ENGINES, PATTERNS
from perfkit.design.factors import H2LOAD
from perfkit.design.parameters import explained
from perfkit.design.plan import SOLO, TURNS
from perfkit.errors import PlanError, StoreError
from perfkit.record.load import load
from perfkit.record.runs import slug
from perfkit.rig.generators import h2load
from perfkit.studies import compare, sweep
from perfkit.studies.common import campaign
from perfkit.studies.common.study import Plans, Study

EXAMPLE = ROOT / "data" / "example" / "engines"

PAIRED, QUEUES = "turns", "queues"
"""Folders of the comparisons: with the reference, and of each queue with the lock of its own engine."""

OF_OLD = "joint"
"""PAIRED in surveys before 0.2."""

REFERENCE = "threads/mutex"

ARMS = (
    "threads/inputQ,asyncio/mutex,asyncio/mutex?loop=asyncio,asyncio/inputQ,"
    "native/mutex,native/inputQ,native/inputQ?batch=1,native/inputQ?batch=64"
)


def engines(
    measure: object = False,
    reference: object = REFERENCE,
    arms: object = "",
    vus: object = 20,
    rate: object = 2000,
    budget_s: object = 40,
    precision_pct: object = 1,
    duration_s: object = 2,
    warmup_s: object = 1,
    repeats: object = 5,
    workers: object = 10,
    k6: object = "k6",
    cluster: object = "",
    server_on: object = "",
    seed: object = 1,
    out: object = "",
) -> Path:
    """Return the folder of a survey: the stored one, or with `measure`, one measured into `out`, about 14 minutes.

    What is there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/engines.ipynb, and of `sweep` and `compare`; `arms` "" stands for ARMS.
    """
    return campaign.run(STUDY, locals())


def _plans(
    reference: object,
    arms: object,
    vus: int,
    rate: int | None,
    budget_s: float,
    precision_pct: float,
    repeats: int,
    workers: int,
    **shared: object,
) -> Plans:
    if rate is None:
        raise PlanError("rate=None offers nothing; name the calls a second offered to each arm, as in rate=2000")
    first = parse_arm(str(reference), workers)
    subjects = parse_arms([first.name, *(arm.name for arm in parse_arms(arms or ARMS, workers))], workers)
    pairs = [(PAIRED, first, arm) for arm in subjects[1:]]
    pairs += [(QUEUES, lock, arm) for arm in subjects if (lock := lock_of(arm, subjects)) not in (None, first)]
    paired = {
        "method": TURNS,
        "vus": vus,
        "budget_s": budget_s,
        "precision_pct": precision_pct,
        "workers": workers,
        **shared,
    }
    arms_alone = [arm.name for arm in subjects]
    alone = {"method": SOLO, "vus": [vus], "arms": arms_alone, "repeats": repeats, "workers": workers, **shared}
    return {
        **{f"{kind}/{slug(b.name)}": compare.STUDY.plan(a=a.name, b=b.name, **paired) for kind, a, b in pairs},
        "closed": sweep.STUDY.plan(**alone),
        "offered": sweep.STUDY.plan(**alone, rate=rate),
        **({"capacity": sweep.STUDY.plan(**alone, generator=H2LOAD)} if h2load.is_installed() else {}),
    }


STUDY = Study(
    "engines",
    engines,
    _plans,
    explained(
        measure="True: measure afresh, about 19 minutes; False: draw the stored survey",
        arms='those others, with commas between; "": every engine and pattern',
        rate="calls a second offered to each arm alone, for latency at equal load",
        budget_s="seconds that each comparison may take",
        repeats="blocks of the solo trials",
        out='the folder of a survey measured afresh, where finished runs are kept; "": data/runs/engines',
    ),
    EXAMPLE,
)


@dataclass(frozen=True, slots=True)
class Survey:
    """What the runs of one survey say."""

    folder: Path
    reference: Arm
    arms: tuple[Arm, ...]
    """all of them, the reference first"""
    vus: int
    rate: int
    """calls a second that each arm was offered in `offered`"""
    answers: dict[Arm, Answer]
    """each other arm against the reference"""
    queues: dict[Arm, Answer]
    """each `inputQ` against the lock of its own engine"""
    closed: pd.DataFrame
    """solo trials in a closed loop, as `perfkit.load` gives them"""
    offered: pd.DataFrame
    """solo trials at the offered rate"""
    capacity: pd.DataFrame
    """solo trials in a closed loop under h2load; empty where that was not installed"""

    @property
    def method(self) -> str:
        """By which arms are compared."""
        return next(iter(self.answers.values())).plan.paired

    @property
    def cost(self) -> dict[Arm, Ratio]:
        """CPU per call in paired trials, in the reference's, of each other arm with a trusted answer."""
        return _trusted(self.answers)

    @property
    def queue_cost(self) -> dict[Arm, Ratio]:
        """CPU per call in paired trials of each `inputQ`, in that of the lock of its own engine, likewise."""
        return _trusted(self.queues)


def read(folder: str | Path) -> Survey:
    """Return what the runs of a survey say."""
    home = Path(folder)
    answers, queues = _answers(home / PAIRED) or _answers(home / OF_OLD), _answers(home / QUEUES)
    if not answers:
        raise StoreError(f"{home} holds no survey; measure one with measure=True")
    first, closed, offered = next(iter(answers.values())).plan, load(home / "closed"), load(home / "offered")
    arms = (first.arm("a"), *answers)
    return Survey(
        folder=home,
        reference=arms[0],
        arms=arms,
        vus=first.vus,
        rate=int(offered["rate"].iloc[0]),
        answers=answers,
        queues={arm: answers[arm] for arm in answers if lock_of(arm, arms) == arms[0]} | queues,
        closed=closed,
        offered=offered,
        capacity=load(home / "capacity") if (home / "capacity").exists() else closed.iloc[:0],
    )


def lock_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the first `mutex` on the engine of an `inputQ`; None for what is no `inputQ` or has none."""
    locks = (one for one in arms if (one.engine, one.loop, one.pattern) == (arm.engine, arm.loop, BASELINE))
    return next(locks, None) if arm.pattern not in (BASELINE, "") else None


def alone(trials: pd.DataFrame, arm: Arm, metric: str) -> Interval | None:
    """Return the geometric mean over blocks of a metric of the solo trials that count; None where there is none."""
    values = trials.loc[trials["valid"] & (trials["arm"] == arm.name), metric].dropna().tolist()
    return statistics.mean(values, logarithmic=True) if values else None


def is_limited(trials: pd.DataFrame, arm: Arm) -> bool:
    """Return whether the load generator was the limit in any of an arm's trials."""
    return bool(trials.loc[trials["arm"] == arm.name, "flags"].str.contains("generator limited").any())


def _answers(folder: Path) -> dict[Arm, Answer]:
    answers = [compare.answer(path.parent) for path in folder.glob("*/plan.json")]
    return {answer.plan.arm("b"): answer for answer in sorted(answers, key=lambda one: _place(one.plan.arm("b")))}


def _trusted(answers: dict[Arm, Answer]) -> dict[Arm, Ratio]:
    return {arm: one.cpu_per_call for arm, one in answers.items() if one.is_trusted and one.cpu_per_call}


def _place(arm: Arm) -> tuple[int, int, int, str]:
    """Where an arm stands among others: by engine, then pattern, then batch, then name."""
    return [*ENGINES, FOREIGN, RUNNING].index(arm.engine), [*PATTERNS, ""].index(arm.pattern), arm.batch, arm.name
