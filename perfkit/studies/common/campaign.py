"""The one runner of all studies: plans in folders, each measured, continued, kept where it is finished, or refused."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from perfkit.analysis import stopping
from perfkit.checkout import RUNS
from perfkit.design.paired import Pilot, piloted
from perfkit.design.plan import CONTROL, HANDICAP, SOLO, A, Load, Plan, Seat, Trial
from perfkit.errors import LoadError
from perfkit.record import runs
from perfkit.record.load import is_fulfilled, load_finished
from perfkit.record.results import TrialResult
from perfkit.record.validity import MOMENTARY, flags, is_valid
from perfkit.rig.bench import Bench, Measure
from perfkit.rig.where import having
from perfkit.studies.common.study import ONE, SHOW, WHERE, Plans, Study

PILOT_S = (0.5, 0.8)
"""Seconds of warm-up and window of the trial that says how much a handicap burns."""

PILOTS = 3
"""How often that trial is made at most, where only a moment of the machine's made it void."""

Show = Callable[[Path], None] | None


def run(study: Study, values: Mapping[str, object]) -> Path:
    """Measure what is asked for, or find what is stored; return the folder."""
    return _go(study, values, measuring=True)


def prepare(study: Study, values: Mapping[str, object]) -> Path:
    """Do all of `run` but the measuring: refuse what it would refuse, make or find its folder."""
    return _go(study, values, measuring=False)


def _go(study: Study, values: Mapping[str, object], *, measuring: bool) -> Path:
    settings = study.settings(values)
    if stored := study.stored(settings):
        return stored
    plans = study.built(settings)
    show: Any = values.get(SHOW)
    if ONE in plans:
        with (
            _bench(plans, Path(settings["out"] or RUNS), **_where(settings)) as bench,
            _opened(plans[ONE], bench, settings["out"]) as opened,
        ):
            if measuring:
                warnings = _warnings(bench, opened.folder)
                there = f", where {len(opened.finished)} are: it goes on" if opened.finished else ""
                sys.stderr.write(f"{study.foretell(opened.plan)}Trials go to {opened.folder}{there}.\n")
                _measure(opened, bench, show=show)
                _settle(opened.finished, warnings)
            return opened.folder
    folder = Path(settings["out"]) if settings["out"] else RUNS / study.name
    with _bench(plans, folder, **_where(settings)) as bench:
        if measuring:
            warnings = _warnings(bench, RUNS.parent)
            _settle([one for run in _each(plans, folder, bench) for one in load_finished(run)], warnings)
        else:
            _unfinished(plans, folder, bench)
            folder.mkdir(parents=True, exist_ok=True)
    return folder


def _where(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that are of the bench, and not of what is measured there."""
    return {name: settings[name] for name in WHERE if name in settings}


def measure(plans: Plans, folder: Path, **where: Any) -> Iterator[Path]:
    """Measure plans into `folder`, and give each run's folder when it is finished.

    A run that is there finished is kept, an unfinished one continued. One of another plan, machine, software or code is
    refused with a StoreError, before the first is begun. `where` are parameters of WHERE.
    """
    with _bench(plans, folder, **where) as bench:
        yield from _each(plans, folder, bench)


def _each(plans: Plans, folder: Path, bench: Bench) -> Iterator[Path]:
    todo = _unfinished(plans, folder, bench)
    for name, plan in plans.items():
        if name in todo:
            with _opened(plan, bench, folder / name) as opened:
                _measure(opened, bench, f"{name}: ")
        yield folder / name


@contextmanager
def _bench(plans: Plans, folder: Path, **where: Any) -> Iterator[Bench]:
    """Have where plans are measured; refuse what can't be measured there, or kept in `folder`."""
    with having((cell.load for plan in plans.values() for cell in plan.cells), **where) as bench:
        bench.refuse(tuple(plans.values()), folder)
        yield bench


def _unfinished(plans: Plans, folder: Path, bench: Bench) -> set[str]:
    todo = set()
    for name, plan in plans.items():
        if (folder / name / "plan.json").exists():
            going_on = runs.refuse_unlike(folder / name, plan, bench.environment(plan.arms))
            if is_fulfilled(folder / name, going_on, stopping.is_over):
                continue
        todo.add(name)
    return todo


def _opened(plan: Plan, bench: Bench, out: str | Path) -> AbstractContextManager[runs.OpenRun]:
    return runs.open_run(plan, bench.environment(plan.arms), stopping.is_over, out)


def _measure(opened: runs.OpenRun, bench: Bench, prefix: str = "", show: Show = None) -> None:
    """Measure block after block until the plan's stop rule ends it, showing progress and time left on stderr."""
    plan = opened.plan
    # Not drawn inside a window: whatever else runs sleeps while one is measured.
    with (
        bench.session(plan, opened.folder) as measured,
        tqdm(**_extent(plan, opened.finished), file=sys.stderr, ncols=100) as progress,
    ):
        pilot = _pilot(opened, measured)
        while not stopping.is_over(plan, opened.finished):
            block, attempt = opened.next_block()
            for planned in plan.block(block):
                one = piloted(planned, pilot) if pilot else planned
                progress.set_description(f"{prefix}{_position(plan, block)}, {one.load.vus} VUs, {one.name}")
                result, summaries = measured(one, attempt)
                opened.append(result, summaries)
                progress.update(_step(plan, result))
            if show:
                show(opened.folder)


def _is_in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


def _warnings(bench: Bench, folder: Path) -> str:
    """In a notebook, show the doctor's warnings, and return them."""
    if not _is_in_notebook():
        return ""
    warnings = "".join(f"{finding.line()}\n" for finding in bench.examine(folder) if not finding.ok)
    sys.stderr.write(warnings)
    return warnings


def _settle(results: Sequence[TrialResult], warnings: str) -> None:
    """In a notebook, put quiet lines where progress was shown: the executed file keeps what a cell shows last."""
    if _is_in_notebook():
        sys.modules["IPython"].display.clear_output()
        seconds = sum(result.took_s for result in results)
        sys.stdout.write(f"{warnings}{len(results)} trials in {seconds:.0f} s\n")


def _pilot(opened: runs.OpenRun, measured: Measure) -> Pilot | None:
    """Return what a trial of the handicap's reference alone said at the run's begin; None without a handicap."""
    seated = ((cell.load.vus, seat) for cell in opened.plan.cells for seat in cell.seats)
    vus, arm = next(((vus, seat.arm) for vus, seat in seated if seat.role in (HANDICAP, CONTROL)), (0, None))
    if arm is None:
        return None
    if pilot := opened.pilot:
        return pilot
    load = Load(vus, *PILOT_S)
    for attempt in range(PILOTS):
        result, _ = measured(Trial(0, SOLO, (Seat(A, arm),), load), attempt)
        if MOMENTARY.isdisjoint(flags(result)):
            break
    cost_us = result.served[0].cpu_per_call_us(load)
    if cost_us is None or not is_valid(result):
        raise LoadError(f"the pilot trial of {arm.name} does not count: {', '.join(flags(result))}")
    pilot = Pilot(cost_us)
    opened.keep_pilot(pilot)
    return pilot


def _extent(plan: Plan, done: list[TrialResult]) -> dict[str, Any]:
    """How far the progress bar goes: a number of trials, or the budget's seconds, which it may not need."""
    trials = sum(len(plan.block(number)) for number in range(plan.stop.blocks))
    total = trials or round(plan.stop.budget_s)
    unit = "trial" if plan.stop.blocks else "s"
    return {"total": total, "initial": sum(_step(plan, result) for result in done), "unit": unit}


def _step(plan: Plan, result: TrialResult) -> int:
    return 1 if plan.stop.blocks else round(result.took_s)


def _position(plan: Plan, block: int) -> str:
    return f"block {block + 1}/{plan.stop.blocks}" if plan.stop.blocks else f"block {block + 1}"
