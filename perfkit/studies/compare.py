"""The comparison: two arms and their controls in each block, at one load, until the answer is known."""

from pathlib import Path

import pandas as pd

from perfkit.analysis import comparison
from perfkit.analysis.comparison import Answer
from perfkit.design.arms import parse_arm
from perfkit.design.paired import refuse_unturnable, turn_for
from perfkit.design.parameters import explained
from perfkit.design.plan import AA, SOLO, TURNS, Cell, Load, Plan, StopRule, refuse_impossible, seats
from perfkit.errors import PlanError
from perfkit.record.load import load, load_plan
from perfkit.studies import campaign
from perfkit.studies.campaign import ONE, Plans, Study


def compare(
    a: object = "threads/mutex",
    b: object = "threads/inputQ",
    vus: object = 20,
    method: object = "turns",
    turn_ms: object = 0,
    rate: object = None,
    budget_s: object = 120,
    precision_pct: object = 1,
    margin_pct: object = 3,
    solo: object = False,
    duration_s: object = 2,
    warmup_s: object = 1,
    workers: object = 10,
    share_session: object = False,
    pin: object = True,
    k6: object = "k6",
    seed: object = 1,
    out: object = "",
    run: object = "",
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
    rate: int | None,
    budget_s: float,
    precision_pct: float,
    margin_pct: float,
    solo: bool,
    duration_s: float,
    warmup_s: float,
    workers: int,
    share_session: bool,
    pin: bool,
    seed: int,
) -> Plans:
    if rate is not None and not (solo or method == SOLO):
        raise PlanError(f"rate={rate} is of solo trials, and solo=False; say solo=True or leave the rate out")
    if turn_ms and method != TURNS:
        raise PlanError(f"turn_ms={turn_ms} is of trials by turns, and method={method}; leave one out")
    all_seats = seats(parse_arm(str(a), workers), parse_arm(str(b), workers))
    alone = Load(vus, warmup_s, duration_s, rate)
    if method == SOLO:
        cells = [Cell(SOLO, (seat,), alone) for seat in all_seats]
    else:
        # The servers of such a trial are in a closed loop, so that they are saturated.
        if method == TURNS:
            turn_ms = turn_ms or turn_for(all_seats)
            refuse_unturnable(all_seats, turn_ms)
        together = Load(vus, warmup_s, duration_s, turn_ms=turn_ms)
        cells = [Cell(method, all_seats, together)]
        if solo:
            cells += [Cell(SOLO, (seat,), alone) for seat in all_seats if seat.role != AA]
    stop = StopRule(budget_s=budget_s, precision_pct=precision_pct)
    return {ONE: refuse_impossible(Plan(STUDY.name, tuple(cells), stop, margin_pct, share_session, pin, seed))}


STUDY = Study(
    "compare",
    compare,
    _plans,
    explained(rate="calls a second that solo trials offer, for latency at an equal rate; None: a closed loop"),
)


def tables(run: str | Path) -> tuple[Plan, pd.DataFrame, pd.DataFrame]:
    """Return the plan of a comparison's run, and the tables of its paired and of its solo trials."""
    folder = campaign.of_study(run, STUDY.name)
    plan = load_plan(folder)
    return plan, load(folder, plan.paired), load(folder)


def answer(run: str | Path) -> Answer:
    """Return what the comparison in this run folder says."""
    return comparison.answer(*tables(run))
