"""The sweep: every arm at every level of VUs, one server at a time, in blocks."""

from pathlib import Path

from perfkit.design.arms import parse_arms
from perfkit.design.parameters import LEVELS
from perfkit.design.plan import JOINT, Cell, Load, Plan, StopRule, refuse_impossible, seats, solo_cells
from perfkit.errors import PlanError
from perfkit.studies import campaign
from perfkit.studies.campaign import ONE, Plans, Study


def sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    rate: object = None,
    generator: object = "k6",
    connect_per_iteration: object = False,
    joint: object = False,
    workers: object = 10,
    pin: object = True,
    k6: object = "k6",
    seed: object = 1,
    out: object = "",
    run: object = "",
) -> Path:
    """Measure what the parameters of notebooks/sweep.ipynb ask for and return the run folder.

    With `run`, the folder of a stored run, nothing is measured and that folder is returned. An unfinished run of
    the same plan, code and machine is continued. All that can be refused is refused before anything is started,
    with a PerfkitError that names the value and the next step.
    """
    return campaign.run(STUDY, locals())


def _plans(
    vus: tuple[int, ...],
    arms: object,
    duration_s: float,
    warmup_s: float,
    repeats: int,
    rate: int | None,
    generator: str,
    connect_per_iteration: bool,
    joint: bool,
    workers: int,
    pin: bool,
    seed: int,
) -> Plans:
    subjects = parse_arms(arms, workers)
    if joint and len(subjects) != 2:
        raise PlanError(f"joint=True compares two arms, and arms={arms!r} names {len(subjects)}; name two")
    if joint and rate is not None:
        raise PlanError(f"rate={rate} and joint=True: servers that share a core must be saturated; leave out one")
    cells: list[Cell] = []
    for level in vus:
        load = Load(level, warmup_s, duration_s, rate, connect_per_iteration, generator=generator)
        cells += solo_cells(subjects, load)
        if joint:
            cells.append(Cell(JOINT, seats(*subjects), load))
    plan = Plan(STUDY.name, tuple(cells), StopRule(repeats), margin_pct=0, share_session=False, pin=pin, seed=seed)
    return {ONE: refuse_impossible(plan)}


STUDY = Study("sweep", sweep, _plans, {"vus": LEVELS})
