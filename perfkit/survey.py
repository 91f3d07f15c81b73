"""Many arms against one: a comparison each, and all of them one at a time, in a closed loop and at one offered rate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perfkit import experiment, parameters, statistics, store
from perfkit.arms import FOREIGN, PATTERNS, Arm, parse_arm, parse_arms
from perfkit.comparison import Answer
from perfkit.engines import ENGINES
from perfkit.errors import PlanError, StoreError
from perfkit.report import ABSENT, Markdown
from perfkit.statistics import BASELINE, Interval, Ratio, percent

EXAMPLE = Path(__file__).parent.parent / "data" / "example" / "engines"

REFERENCE = "threads/mutex"

MATTERS = 0.03
"""A difference in CPU per call from which on it is said to matter: compare's default margin."""

ARMS = (
    "threads/inputQ,asyncio/mutex,asyncio/mutex?loop=asyncio,asyncio/inputQ,"
    "native/mutex,native/inputQ,native/inputQ?batch=1,native/inputQ?batch=64"
)

Job = tuple[str, Path, dict[str, object]]
"""What to measure: `sweep` or `compare`, the run folder, and parameters."""


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
    cost: dict[Arm, Ratio]
    """CPU per call in joint trials, in the reference's, of each other arm with a trusted answer"""
    queues: dict[Arm, Ratio]
    """CPU per call in joint trials of each `inputQ`, in that of the lock of its own engine, likewise"""
    untrusted: dict[Arm, str]
    """what is said of those without a trusted answer"""
    doubts: dict[Arm, tuple[str, ...]]
    """what limits each comparison, beside what limits all of them"""
    closed: pd.DataFrame
    """solo trials in a closed loop, as `perfkit.load` gives them"""
    offered: pd.DataFrame
    """solo trials at the offered rate"""


def runs(
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
    seed: object = 1,
    out: object = "",
) -> Path:
    """Return the folder of a survey: the stored one, or with `measure`, one measured into `out`, about 13 minutes.

    What is there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/engines.ipynb, and of `sweep` and `compare`; `arms` "" stands for ARMS.
    """
    if not parameters.yes_or_no("measure", measure):
        return EXAMPLE
    if parameters.rate(rate) is None:
        raise PlanError(f"rate={rate!r} offers nothing; name the calls a second offered to each arm, as in rate=2000")
    folder = Path(str(out)) if out else store.RUNS / "engines"
    threads = parameters.whole("workers", workers, least=1)
    everyone = (parse_arm(str(reference), threads), *parse_arms(ARMS if arms == "" else arms, threads))
    shared = {"duration_s": duration_s, "warmup_s": warmup_s, "workers": workers, "seed": seed}
    stop = {"vus": vus, "budget_s": budget_s, "precision_pct": precision_pct}
    alone = {**shared, "vus": [vus], "repeats": repeats, "arms": [arm.name for arm in everyone]}
    pairs = [(everyone[0], arm, "joint") for arm in everyone[1:]]
    pairs += [(lock, arm, "queues") for arm in everyone if (lock := lock_of(arm, everyone)) not in (None, everyone[0])]
    measure_all(
        [
            *(
                ("compare", folder / kind / slug(b), {"a": a.name, "b": b.name, **shared, **stop})
                for a, b, kind in pairs
            ),
            ("sweep", folder / "closed", alone),
            ("sweep", folder / "offered", {**alone, "rate": rate}),
        ],
        k6,
    )
    return folder


def lock_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the first `mutex` on the engine of an `inputQ`; None for what is no `inputQ` or has none."""
    locks = (one for one in arms if (one.engine, one.loop, one.pattern) == (arm.engine, arm.loop, BASELINE))
    return next(locks, None) if arm.pattern not in (BASELINE, "") else None


def measure_all(jobs: Sequence[Job], k6: object) -> None:
    """Measure what is not there yet; all that can be refused is refused before the first is begun."""
    for kind, _, asked in jobs:
        experiment.PLANNERS[kind](**asked)
    for kind, folder, asked in jobs:
        experiment.measured(kind, folder, k6, **asked)


def slug(arm: Arm) -> str:
    """Return an arm's name as a folder's."""
    return re.sub(r"[^\w.=-]+", "-", arm.name)[:60]


def read(folder: str | Path) -> Survey:
    """Return what the runs of a survey say."""
    home = Path(folder)
    joint, queues = (_answers(home / kind) for kind in ("joint", "queues"))
    if not joint:
        raise StoreError(f"{home} holds no survey; measure one with measure=True")
    reference, offered = next(iter(joint.values())).plan.a, store.load(home / "offered")
    arms = (reference, *joint)
    queues = {arm: joint[arm] for arm in joint if lock_of(arm, arms) == reference} | queues
    every = [*joint.items(), *queues.items()]
    shared = set.intersection(*(set(answer.caveats) for _, answer in every)) if len(every) > 1 else set()
    return Survey(
        folder=home,
        reference=reference,
        arms=arms,
        vus=next(iter(joint.values())).plan.vus,
        rate=int(offered["rate"].iloc[0]),
        cost={arm: cost for arm, answer in joint.items() if (cost := trusted(answer))},
        queues={arm: cost for arm, answer in queues.items() if (cost := trusted(answer))},
        untrusted={arm: answer.sentence for arm, answer in every if not trusted(answer)},
        doubts={arm: tuple(one for one in answer.caveats if one not in shared) for arm, answer in joint.items()},
        closed=store.load(home / "closed"),
        offered=offered,
    )


def _answers(folder: Path) -> dict[Arm, Answer]:
    found = [experiment.answer(path.parent) for path in sorted(folder.glob("*/plan.json"))]
    return {answer.plan.b: answer for answer in sorted(found, key=lambda answer: _place(answer.plan.b))}


def trusted(answer: Answer) -> Ratio | None:
    """Return b's CPU per call in a's, where the controls passed."""
    return answer.cpu_per_call if all(control.ok for control in answer.controls.values()) else None


def headline(survey: Survey) -> str:
    """Return who needs the least CPU per call, in one sentence."""
    a = survey.reference.name
    faster = {arm: cost for arm, cost in survey.cost.items() if cost.interval[1] < 1}
    if not faster:
        return f"At {survey.vus} VUs an arm, no arm needs surely less CPU per call than {a}."
    fastest, cost = min(faster.items(), key=lambda item: item[1].ratio)
    said = f"At {survey.vus} VUs an arm, {fastest.name} needs the least CPU per call, {_times(cost)} times {a}'s"
    alike = [
        arm.name for arm, other in faster.items() if arm != fastest and not _differs(statistics.quotient(other, cost))
    ]
    return f"{said}; {' and '.join(alike)} can't be told from it." if alike else f"{said}."


def verdict(survey: Survey) -> Markdown:
    """Return what the survey says in plain sentences: who is the fastest, and where lock against queue matters."""
    lines = [f"**{headline(survey)}**", ""]
    for arm, found in survey.queues.items():
        lines.append(
            f"- {arm.name} against mutex on the same engine: {percent(found)} CPU per call: {_matters(found)}."
        )
    lines += [f"- {arm.name}: {sentence}" for arm, sentence in survey.untrusted.items()]
    return Markdown("\n".join(lines))


def _differs(found: Ratio) -> bool:
    low, high = found.interval
    return low > 1 or high < 1


def _matters(found: Ratio) -> str:
    low, high = found.interval
    if low > 1 + MATTERS or high < 1 - MATTERS:
        return "it matters"
    if low > 1 - MATTERS and high < 1 + MATTERS:
        return "it hardly matters"
    return f"whether it matters (by more than {MATTERS * 100:g} %) is not known"


def doubts(survey: Survey) -> Markdown:
    """Return what limits each comparison."""
    lines = [f"- {arm.name}: {' '.join(told)}" for arm, told in survey.doubts.items() if told]
    return Markdown("\n".join(lines) or "Nothing was seen that limits one of the comparisons.")


def table(survey: Survey) -> Markdown:
    """Return a line an arm: joint trials against the reference, and what it did alone."""
    heads = (
        "arm",
        f"CPU per call, times {survey.reference.name}'s",
        "capacity",
        "alone: CPU per call (µs)",
        "alone: throughput (calls/s)",
        f"alone, offered {survey.rate}/s: p99 (ms)",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for arm in survey.arms:
        cost = survey.cost.get(arm)
        joint = ("1", "1") if arm == survey.reference else ("not trusted", ABSENT)
        cells = (
            arm.name,
            *((_times(cost), f"{1 / cost.ratio:.2f}") if cost else joint),
            _mean(survey.closed, arm, "cpu_per_call_us", ".0f"),
            _mean(survey.closed, arm, "throughput_rps", ",.0f"),
            _mean(survey.offered, arm, "p99_ms", ".2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return Markdown("\n".join(lines))


def alone(trials: pd.DataFrame, arm: Arm, metric: str) -> Interval | None:
    """Return the geometric mean over blocks of a metric of the solo trials that count; None where there is none."""
    values = trials.loc[trials["valid"] & (trials["arm"] == arm.name), metric].dropna().tolist()
    return statistics.mean(values, logarithmic=True) if values else None


def is_limited(trials: pd.DataFrame, arm: Arm) -> bool:
    """Return whether k6 was the limit in any of an arm's trials."""
    return bool(trials.loc[trials["arm"] == arm.name, "flags"].str.contains("generator limited").any())


def _mean(trials: pd.DataFrame, arm: Arm, metric: str, form: str) -> str:
    found = alone(trials, arm, metric)
    if found is None:
        return ABSENT
    limited = " (k6 was the limit)" if metric != "cpu_per_call_us" and is_limited(trials, arm) else ""
    spread = "" if found.low is None else f" ({found.low:{form}} to {found.high:{form}})"
    return f"{found.estimate:{form}}{spread}{limited}"


def _times(cost: Ratio) -> str:
    low, high = cost.interval
    return f"{cost.ratio:.3f} ({low:.3f} to {high:.3f})"


def _place(arm: Arm) -> tuple[int, int, int, str]:
    """Where an arm stands among others: by engine, then pattern, then batch, then name."""
    return [*ENGINES, FOREIGN].index(arm.engine), [*PATTERNS, ""].index(arm.pattern), arm.batch, arm.name
