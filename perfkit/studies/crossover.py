"""A map of two factors: where does the queue win? And what owners do for cold keys beside a hot one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from perfkit.analysis import controls, levels
from perfkit.analysis.controls import Control
from perfkit.analysis.curves.grid import Grid, grid
from perfkit.analysis.levels import CPU, THROUGHPUT
from perfkit.checkout import ROOT
from perfkit.design import reading
from perfkit.design.arms import Arm, parse_arm, split_arms, watched
from perfkit.design.engines import COMMON_OPTIONS, ENGINES
from perfkit.design.factors import ARM_FACTORS, FACTORS
from perfkit.design.paired import one_at_a_time, rivals, seats, turns_of
from perfkit.design.parameters import explained
from perfkit.design.plan import AA, HANDICAP, SOLO, TURNS, Cell, Load, Plan, StopRule, some_wait
from perfkit.design.possible import refuse_impossible
from perfkit.errors import PlanError, StoreError
from perfkit.record.load import load, load_plan
from perfkit.studies import sweep
from perfkit.studies.common import campaign
from perfkit.studies.common.study import Plans, Study

EXAMPLE = ROOT / "data" / "example" / "crossover"

MAP, STAGES, SKEW = "map", "stages", "skew"
"""Names of the runs' folders."""

STAGES_LESS = 3
"""How many times fewer blocks those have whose calls are watched: they are for a mean."""

SKEW_S = 1.5
"""Seconds of the windows under skew at least: a cold key is asked for now and then."""


def crossover(
    measure: object = False,
    x: object = "vus",
    y: object = "sync_us",
    x_levels: object = "1,10,100,500",
    y_levels: object = "0,100,1000,10000",
    arms: object = "mutex,inputQ,inputQ?batch=1000,leader",
    method: object = "turns",
    stages_at: object = 1000,
    vus: object = 100,
    keys: object = 16,
    zipf: object = 1,
    hold_us: object = 1000,
    repeats: object = 5,
    duration_s: object = 0.5,
    warmup_s: object = 0.5,
    margin_pct: object = 5,
    workers: object = 10,
    k6: object = "k6",
    cluster: object = "",
    server_on: object = "",
    seed: object = 1,
    out: object = "",
) -> Path:
    """Return the folder of a map's runs: the stored ones, or with `measure`, measured into `out`.

    What is there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/crossover.ipynb, and of `sweep`.
    """
    return campaign.run(STUDY, locals())


def _plans(
    x: str,
    y: str,
    x_levels: object,
    y_levels: object,
    arms: object,
    method: str,
    stages_at: object,
    vus: int,
    keys: int,
    zipf: float,
    hold_us: int,
    repeats: int,
    duration_s: float,
    warmup_s: float,
    margin_pct: float,
    workers: int,
    seed: int,
) -> Plans:
    if x == y:
        raise PlanError(f"x={x} and y={y}: a map has two factors; name another")
    if method not in (SOLO, TURNS):
        raise PlanError(f"method={method} has no maps; say method={SOLO}, or method={TURNS}")
    xs, ys = (_levels(*one) for one in (("x_levels", x, x_levels), ("y_levels", y, y_levels)))
    texts = tuple(arms) if isinstance(arms, list | tuple) else tuple(split_arms(str(arms)))
    if len(texts) < 2:
        raise PlanError(f"arms={arms!r}: a map compares arms with the first one; name two at least")
    at = Load(vus, warmup_s, duration_s)
    shared: dict[str, Any] = {"workers": workers, "margin_pct": margin_pct, "seed": seed}
    plans = {MAP: _map(((x, xs), (y, ys)), texts, at, method, repeats=repeats, **shared)}
    if stages_at not in (None, ""):
        (row,) = _levels("stages_at", y, [stages_at])
        plans[STAGES] = _map(
            ((x, xs), (y, (row,))), texts, at, SOLO, repeats=max(1, repeats // STAGES_LESS), watching=True, **shared
        )
    plans[SKEW] = sweep.STUDY.plan(
        method=SOLO, vus=[vus], keys=keys, zipf=zipf, repeats=repeats, duration_s=max(duration_s, SKEW_S),
        warmup_s=warmup_s, margin_pct=margin_pct, workers=workers, seed=seed,
        arms=[f"{one}shards={keys}&hold_us={hold_us}" for one in ("mutex?", f"mutex?workers={vus}&", "inputQ?")],
    )  # fmt: skip
    return plans


def _levels(name: str, factor: str, given: object) -> tuple[Any, ...]:
    found: tuple[Any, ...] = reading.several(FACTORS[factor].read)(name, given)
    return found


def _map(
    axes: tuple[tuple[str, tuple[Any, ...]], ...],
    arms: Sequence[str],
    at: Load,
    method: str,
    *,
    repeats: int,
    workers: int,
    margin_pct: float,
    seed: int,
    watching: bool = False,
) -> Plan:
    cells: list[Cell] = []
    names = tuple(name for name, _ in axes)
    for number, place in enumerate(product(*(found for _, found in axes))):
        values = dict(zip(names, place, strict=True))
        load = replace(at, **{name: value for name, value in values.items() if name not in _OPTIONS})
        options = {name: value for name, value in values.items() if name in _OPTIONS}
        subjects = tuple(_with(text, options, workers) for text in arms)
        cells += _cells(watched(subjects) if watching else subjects, load, method, number)
    plan = Plan("sweep", tuple(cells), StopRule(repeats), margin_pct, False, True, seed, axes=names)
    return refuse_impossible(plan)


_OPTIONS = frozenset(factor.name for factor in ARM_FACTORS)


def _with(text: str, options: dict[str, Any], workers: int) -> Arm:
    """Return an arm at a place of the map; one that can't have an option stays as it is."""
    plain = parse_arm(text, workers)
    if plain.is_foreign:
        return plain
    its = (*ENGINES[plain.engine].options[plain.pattern], *COMMON_OPTIONS)
    for name in options:
        if f"{name}=" in text:
            raise PlanError(f"arm {text!r} says {name}, which is an axis of the map; leave one of them out")
    own = "&".join(f"{name}={value}" for name, value in options.items() if name in its)
    return parse_arm(f"{text}{'&' if '?' in text else '?'}{own}".rstrip("?&"), workers)


def _cells(subjects: tuple[Arm, ...], load: Load, method: str, near: int) -> list[Cell]:
    if method == SOLO:
        return one_at_a_time(subjects, load, near=near)
    # What a burn adds is hidden where arms wait: controls are where none does.
    alone = rivals(subjects)
    together = alone if some_wait(alone) else seats(*subjects, alternating=True)
    window_s = load.duration_s * len(together)
    return [Cell(TURNS, together, replace(load, duration_s=window_s, turn_ms=turns_of(together)), near=near)]


STUDY = Study(
    "crossover",
    crossover,
    _plans,
    explained(
        measure="True: measure afresh, about 12 minutes; False: draw the stored runs",
        method="turns: servers take turns; solo: one server after the other",
        duration_s="seconds that each server is measured in a trial",
        vus="virtual users at each server, where no axis says; of the second picture too",
        keys="keys of the second picture, each with a lock or an owner of its own",
        zipf="their skew: key k is asked for in proportion to 1/(k+1)^zipf",
        hold_us="microseconds that each of its calls waits inside the critical section",
        out='the folder of runs measured afresh, where finished ones are kept; "": data/runs/crossover',
    ),
    EXAMPLE,
)


@dataclass(frozen=True, slots=True)
class Crossover:
    """All that the runs of a map say."""

    plan: Plan
    grid: Grid
    controls: dict[str, Control]
    """over all cells that have them; empty where none has"""
    stages: pd.DataFrame
    """trials whose calls were watched; empty: none were"""
    skew: pd.DataFrame


def _metric(plan: Plan) -> str:
    """Return what is compared: CPU per call, which turns know best, where that is all that a server can run out of."""
    return CPU if plan.paired != SOLO and not any(arm.waits for arm in plan.arms) else THROUGHPUT


def read(folder: str | Path) -> Crossover:
    """Return what the runs of a map say; a StoreError where a folder holds none."""
    home = Path(folder)
    if not (home / MAP).exists():
        raise StoreError(f"{home} holds no map; measure one with measure=True")
    plan = load_plan(home / MAP)
    table = load(home / MAP, plan.paired)
    controlled = table.groupby(["block", *plan.axes])["role"].transform(lambda roles: roles.isin((AA, HANDICAP)).any())
    together = levels.pooled(table[controlled.astype(bool)])
    enough = len(together) and together["block"].nunique() > 1
    skew = load(home / SKEW)
    return Crossover(
        plan,
        grid(table, plan.axes, _metric(plan), plan.margin_pct),
        controls.judge(plan, together, table.iloc[:0]) if enough else {},
        load(home / STAGES) if (home / STAGES).exists() else skew.iloc[:0],
        skew,
    )
