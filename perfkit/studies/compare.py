"""The comparison: two arms and their controls in each block, at one load, until the answer is known."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer
from perfkit.analysis.several import robust
from perfkit.analysis.several.robust import Robustness
from perfkit.design.arms import parse_arm, refuse_mixed
from perfkit.design.factors import H2LOAD, K6, KIND
from perfkit.design.paired import seats, turns_of
from perfkit.design.parameters import explained
from perfkit.design.plan import AA, SOLO, TURNS, Cell, Load, Plan, StopRule
from perfkit.design.possible import refuse_impossible
from perfkit.errors import PlanError
from perfkit.record.load import load, load_plan
from perfkit.service.call import asked
from perfkit.studies.common import campaign
from perfkit.studies.common.study import ONE, Plans, Study

ROBUST_VUS = (10, 100)
"""Numbers of VUs that an answer must hold at to be called robust."""


def compare(
    a: object = "threads/mutex",
    b: object = "threads/inputQ",
    vus: object = 20,
    method: object = "turns",
    turn_ms: object = 0,
    generators: object = "k6",
    robust: object = False,
    rate: object = None,
    keys: object = 1,
    zipf: object = 0,
    read_pct: object = 0,
    server_cpus: object = 1,
    budget_s: object = 120,
    precision_pct: object = 1,
    margin_pct: object = 3,
    solo: object = False,
    duration_s: object = 2,
    warmup_s: object = 1,
    workers: object = 10,
    share_session: object = False,
    pin: object = True,
    start_s: object = 30,
    call: object = "",
    proto: object = "",
    request: object = "",
    random_requests: object = False,
    metadata: object = "",
    expect: object = "",
    k6: object = "k6",
    cluster: object = "",
    server_on: object = "",
    seed: object = 1,
    out: object = "",
    run: object = "",
    show: Callable[[Path], None] | None = None,
) -> Path:
    """Compare two arms as the parameters of notebooks/compare.ipynb ask for and return the run folder.

    Otherwise like `sweep`; `perfkit.answer(folder)` says what came of it.
    """
    return campaign.run(STUDY, locals())


def _plans(
    a: object,
    b: object,
    vus: int,
    method: str,
    turn_ms: int,
    generators: tuple[str, ...],
    robust: bool,
    rate: int | None,
    keys: int,
    zipf: float,
    read_pct: float,
    server_cpus: int,
    budget_s: float,
    precision_pct: float,
    margin_pct: float,
    solo: bool,
    duration_s: float,
    warmup_s: float,
    workers: int,
    share_session: bool,
    pin: bool,
    start_s: float,
    seed: int,
    **service: Any,
) -> Plans:
    if rate is not None and not (solo or method == SOLO):
        raise PlanError(f"rate={rate} is of solo trials, and solo=False; say solo=True or leave the rate out")
    if turn_ms and method != TURNS:
        raise PlanError(f"turn_ms={turn_ms} is of trials by turns, and method={method}; leave one out")
    both, call = (parse_arm(str(a), workers), parse_arm(str(b), workers)), asked(**service)
    refuse_mixed(both, call)
    all_seats = seats(*both)
    if method == TURNS:
        turn_ms = turns_of(all_seats, turn_ms)
    cells: list[Cell] = []
    for generator, level in product((K6, H2LOAD) if robust else generators, ROBUST_VUS if robust else (vus,)):
        alone = Load(
            level, warmup_s, duration_s, rate, generator=generator, call=call, keys=keys, zipf=zipf, read_pct=read_pct,
            server_cpus=server_cpus,
        )  # fmt: skip
        if method == SOLO:  # laid out at random in any case
            cells += [Cell(SOLO, (seat,), alone) for seat in all_seats]
            continue
        # The servers of such a trial are in a closed loop, so that they are saturated.
        together = replace(alone, rate=None, turn_ms=turn_ms)
        cells += [
            Cell(method, all_seats, replace(together, random_layout=at_random))
            for at_random in ((False, True) if robust else (False,))
        ]
        if solo:
            cells += [Cell(SOLO, (seat,), alone) for seat in all_seats if seat.role != AA]
    stop = StopRule(budget_s=budget_s, precision_pct=precision_pct)
    return {ONE: refuse_impossible(Plan(STUDY.name, tuple(cells), stop, margin_pct, share_session, pin, seed, start_s))}


STUDY = Study(
    "compare",
    compare,
    _plans,
    explained(rate="calls a second that solo trials offer, for latency at an equal rate; None: a closed loop"),
)


Tables = tuple[Plan, pd.DataFrame, pd.DataFrame]
"""a plan, and the tables of its paired and of its solo trials"""


def variations(run: str | Path) -> list[Tables]:
    """Return what a comparison's run has under each kind of load, that which was asked for first at the beginning."""
    folder = STUDY.opened(run)
    plan = load_plan(folder)
    paired, solo = load(folder, plan.paired), load(folder)
    return [(one, _of_kind(paired, one.cells[0].load), _of_kind(solo, one.cells[0].load)) for one in plan.variations]


def tables(run: str | Path) -> Tables:
    """Return what a comparison's run has under the first kind of load."""
    return variations(run)[0]


def answer(run: str | Path) -> Answer:
    """Return what the comparison in this run folder says, under the first kind of load."""
    return comparison.answer(*tables(run))


def robustness(run: str | Path) -> Robustness:
    """Return whether what the comparison says holds under all kinds of load that it was measured under."""
    return robust.judge([(comparison.answer(*one), one[1]) for one in variations(run)])


def _of_kind(table: pd.DataFrame, load: Load) -> pd.DataFrame:
    return table[(table[list(KIND)] == list(load.kind)).all(axis=1)]
