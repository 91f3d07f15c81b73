"""The sweep: all arms at every level of VUs, in blocks, by turns for their ratio and one at a time for latency."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfkit.analysis import contrast, levels, statistics
from perfkit.analysis.levels import CPU, SweepAnswer
from perfkit.checkout import ROOT
from perfkit.design.arms import parse_arms, refuse_mixed, watched
from perfkit.design.paired import one_at_a_time, seats, turns_of
from perfkit.design.parameters import LEVELS, RATES, explained
from perfkit.design.plan import SOLO, TURNS, Cell, Load, Plan, StopRule
from perfkit.design.possible import refuse_impossible
from perfkit.errors import PlanError
from perfkit.record.calls import LEAST_FOR_P99, enough_samples
from perfkit.record.load import load, load_environment, load_plan
from perfkit.service.call import asked
from perfkit.studies.common import campaign
from perfkit.studies.common.study import ONE, Plans, Study

EXAMPLE = ROOT / "data" / "example" / "sweep"

MOST_SOLO = 3
"""Blocks that also have solo trials at most, where arms are compared otherwise: they are for latency."""


def sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    repeats: object = 12,
    method: object = "turns",
    margin_pct: object = 3,
    duration_s: object = 1,
    warmup_s: object = 0.3,
    rate: object = None,
    slo_ms: object = 50,
    keys: object = 1,
    zipf: object = 0,
    read_pct: object = 0,
    server_cpus: object = 1,
    stages: object = False,
    generator: object = "k6",
    connect_per_iteration: object = False,
    workers: object = 10,
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
    """Measure what the parameters of notebooks/sweep.ipynb ask for and return the run folder.

    With `run`, the folder of a stored run, nothing is measured and that folder is returned. An unfinished run of
    the same plan, code and machine is continued. All that can be refused is refused before anything is started,
    with a PerfkitError that names the value and the next step. `show` is called with the folder after each block.
    """
    return campaign.run(STUDY, locals())


def _plans(
    vus: tuple[int, ...],
    arms: object,
    repeats: int,
    method: str,
    margin_pct: float,
    duration_s: float,
    warmup_s: float,
    rate: tuple[int, ...] | None,
    slo_ms: float,
    keys: int,
    zipf: float,
    read_pct: float,
    server_cpus: int,
    stages: bool,
    generator: str,
    connect_per_iteration: bool,
    workers: int,
    pin: bool,
    start_s: float,
    seed: int,
    **service: Any,
) -> Plans:
    subjects, call = parse_arms(arms, workers), asked(**service)
    refuse_mixed(subjects, call)
    if stages:
        subjects = watched(subjects)
    first, *others = subjects
    together = seats(first, *others, alternating=True)
    is_solo = method == SOLO or not others
    if not is_solo:
        closed_only = {"rate": ",".join(map(str, rate or ())), "connect_per_iteration": connect_per_iteration}
        for name, value in closed_only.items():
            if value:
                raise PlanError(f"{name}={value} is of solo trials, and method={method}; say method=solo or leave it")
    turn_ms = turns_of(together) if method == TURNS and not is_solo else 0
    cells: list[Cell] = []
    for level, offered in _levels(vus, rate, duration_s):
        load = Load(
            level, warmup_s, duration_s, offered, connect_per_iteration, generator=generator, call=call, keys=keys,
            zipf=zipf, read_pct=read_pct, server_cpus=server_cpus,
        )  # fmt: skip
        cells += one_at_a_time(subjects, load, every=1 if is_solo else math.ceil(repeats / MOST_SOLO))
        if not is_solo:
            cells.append(Cell(method, together, replace(load, turn_ms=turn_ms)))
    plan = Plan(STUDY.name, tuple(cells), StopRule(repeats), margin_pct, False, pin, seed, start_s, slo_ms)
    return {ONE: refuse_impossible(plan)}


def _levels(vus: tuple[int, ...], rates: tuple[int, ...] | None, duration_s: float) -> list[tuple[int, int | None]]:
    """Return (VUs, offered rate) of each level: of several rates each has as many VUs as there are at most."""
    if rates is None or len(rates) == 1:
        return [(level, rates[0] if rates else None) for level in vus]
    slowest = min(rates)
    if not enough_samples(99, round(slowest * duration_s)):
        least_s = math.ceil(LEAST_FOR_P99 / slowest * 10) / 10
        raise PlanError(
            f"rate={slowest} for duration_s={duration_s:g} gives {slowest * duration_s:.0f} calls, and a 99th "
            f"percentile takes {LEAST_FOR_P99}; say duration_s={least_s:g}, or leave that rate out"
        )
    return [(max(vus), one) for one in sorted(rates)]


def _foretell(plan: Plan) -> str:
    """Say how narrow the intervals will be, if blocks scatter as in the stored example."""
    blocks, looks = plan.stop.blocks, len(plan.levels) * (len(plan.arms) - 1)
    if plan.paired != TURNS or blocks < 2:
        return ""  # the example is of trials by turns
    known = answer(EXAMPLE)
    ((arm, over),) = known.over.items()
    logs = contrast.by_level(known.trials, CPU, arm, known.baseline, [one.levels[0] for one in over[CPU].ratios], "vus")
    half_pct = statistics.standard_errors(blocks - 1, looks) * float(logs.std().median()) / math.sqrt(blocks) * 100
    return (
        f"{blocks} blocks should know CPU per call at each level to ± {half_pct:.1f} %, if they scatter as those of "
        f"{EXAMPLE.relative_to(ROOT)} did ({load_environment(EXAMPLE).cpu_model}).\n"
    )


STUDY = Study(
    "sweep",
    sweep,
    _plans,
    {
        "vus": LEVELS,
        "rate": RATES,
        **explained(
            method="turns: servers take turns on a core, solo trials for latency; joint: all at once; solo: only those"
        ),
    },
    foretell=_foretell,
)


def answer(run: str | Path) -> SweepAnswer:
    """Return what the sweep in this run folder says."""
    folder = STUDY.opened(run)
    plan = load_plan(folder)
    solo = load(folder)
    return levels.answer(plan, solo.iloc[:0] if plan.paired == SOLO else load(folder, plan.paired), solo)
