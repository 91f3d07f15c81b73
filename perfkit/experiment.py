"""The main jobs: a plan is run trial by trial, each result on disk before the next begins."""

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from perfkit import comparison, environment, runner, stopping, store
from perfkit import k6 as load_generator
from perfkit.errors import StoreError
from perfkit.plan import Comparison, Plan, Sweep, plan_compare, plan_sweep
from perfkit.results import TrialResult

_log = logging.getLogger(__name__)


def sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    rate: object = None,
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
    the same plan, on the same machine, is continued. All that can be refused is refused before anything is started,
    with a PerfkitError that names the value and the next step.
    """
    return _done("sweep", **locals())


def compare(
    a: object = "threads/mutex",
    b: object = "threads/inputQ",
    vus: object = 20,
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
    return _done("compare", **locals())


def _done(kind: str, run: object, out: object, k6: object, **parameters: object) -> Path:
    return _stored(run, KINDS[kind]) if run else _measure(PLANNERS[kind](**parameters), k6, out)


def answer(run: str | Path) -> comparison.Answer:
    """Return what the comparison in this run folder says."""
    plan = store.load_plan(_stored(run, Comparison))
    assert isinstance(plan, Comparison)  # noqa: S101 - so says _stored
    return comparison.answer(plan, store.load_joint(run), store.load(run))


PLANNERS: dict[str, Callable[..., Plan]] = {"sweep": plan_sweep, "compare": plan_compare}

KINDS: dict[str, type[Plan]] = {"sweep": Sweep, "compare": Comparison}


def prepare(kind: str, run: object = "", out: object = "", k6: object = "k6", **parameters: object) -> Path:
    """Do all of `sweep` or `compare` but the measuring: refuse what it would refuse, make or find its folder."""
    if run:
        return _stored(run, KINDS[kind])
    plan = PLANNERS[kind](**parameters)
    with _opened(plan, load_generator.find(str(k6)), out) as opened:
        return opened.folder


def is_finished(plan: Plan, results: list[TrialResult]) -> bool:
    """Return whether these trials of complete blocks fulfil their plan."""
    if isinstance(plan, Comparison):
        return stopping.is_decided(plan, results)
    return len({result.trial.block for result in results}) >= plan.repeats


def measured(kind: str, out: Path, k6: object = "k6", **parameters: object) -> Path:
    """Do a `sweep` or `compare` into `out`, or leave it as it is where the same lies there finished."""
    plan = PLANNERS[kind](**parameters)
    if is_stored(out) and store.load_plan(out) == plan:
        return out
    return _measure(plan, k6, out)


def is_stored(folder: Path) -> bool:
    """Return whether a finished run lies there."""
    return (folder / "plan.json").exists() and store.is_fulfilled(folder, is_finished)


def _stored(run: object, kind: type[Plan]) -> Path:
    plan = store.load_plan(str(run))
    if not isinstance(plan, kind):
        raise StoreError(f"run {run} is a {plan.kind}, not a {kind.kind}; draw it with notebooks/{plan.kind}.ipynb")
    return Path(str(run))


def _opened(plan: Plan, generator: load_generator.K6, out: object) -> AbstractContextManager[store.OpenRun]:
    return store.open_run(plan, environment.collect(generator.version), is_finished, str(out))


def _measure(plan: Plan, k6: object, out: object) -> Path:
    """Measure block after block until the plan is fulfilled, showing progress and time left on stderr."""
    generator = load_generator.find(str(k6))
    placement = runner.place(pin=plan.pin, own_sessions=not getattr(plan, "share_session", False))
    with _opened(plan, generator, out) as opened:
        if plan.pin and not placement.server:
            _log.warning("server and k6 are not pinned: that takes Linux and two cores")
        # Not drawn inside a window: whatever else runs sleeps while one is measured.
        with tqdm(**_extent(plan, opened.finished), file=sys.stderr, ncols=100) as progress:
            while not is_finished(plan, opened.finished):
                block, attempt = opened.next_block()
                for trial in plan.block(block):
                    progress.set_description(_told(plan, block, trial.name, trial.load.vus))
                    result, summary = runner.measure(trial, attempt, generator, placement)
                    opened.append(result, summary)
                    progress.update(_step(plan, result))
    return opened.folder


def _extent(plan: Plan, done: list[TrialResult]) -> dict[str, Any]:
    """How far the progress bar goes: a sweep's trials, or a comparison's seconds, which it may not need."""
    total = plan.budget_s if isinstance(plan, Comparison) else plan.repeats * len(plan.block(0))
    unit = "s" if isinstance(plan, Comparison) else "trial"
    return {"total": round(total), "initial": sum(_step(plan, result) for result in done), "unit": unit}


def _step(plan: Plan, result: TrialResult) -> int:
    return round(result.took_s) if isinstance(plan, Comparison) else 1


def _told(plan: Plan, block: int, name: str, vus: int) -> str:
    if isinstance(plan, Comparison):
        return f"block {block + 1}, {name}"
    return f"block {block + 1}/{plan.repeats}, {vus} VUs, {name}"
