"""The main job: a plan is run trial by trial, each result on disk before the next begins."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

from perfkit import environment, runner, store
from perfkit import k6 as load_generator
from perfkit.plan import plan_sweep

_log = logging.getLogger(__name__)


def sweep(
    vus: object = 500,
    arms: object = "mutex,inputQ",
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    rate: object = None,
    connect_per_iteration: object = False,
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
    if run:
        store.load_plan(str(run))
        return Path(str(run))
    plan = plan_sweep(vus, arms, duration_s, warmup_s, repeats, rate, connect_per_iteration, workers, pin, seed)
    generator = load_generator.find(str(k6))
    with store.open_run(plan, environment.collect(generator.version), str(out)) as opened:
        _measure(opened, generator)
    return opened.folder


def prepare(run: object = "", out: object = "", k6: object = "k6", **parameters: object) -> Path:
    """Do all of `sweep` but the measuring: refuse what it would refuse, make or find its folder and return it."""
    if run:
        return sweep(run=run)
    plan = plan_sweep(**parameters)
    with store.open_run(plan, environment.collect(load_generator.find(str(k6)).version), str(out)) as opened:
        return opened.folder


def _measure(opened: store.OpenRun, generator: load_generator.K6) -> None:
    """Measure every block that is not complete on disk, showing progress and time left on stderr."""
    plan = opened.plan
    placement = runner.place(pin=plan.pin)
    if plan.pin and not placement.server:
        _log.warning("server and k6 are not pinned: that takes Linux and two cores")
    per_block = len(plan.levels) * len(plan.arms)
    begun = opened.next_block()
    done = plan.repeats * per_block if begun is None else begun[0] * per_block
    # Not drawn inside a window: whatever else runs sleeps while one is measured.
    with tqdm(total=plan.repeats * per_block, initial=done, unit="trial", file=sys.stderr, ncols=100) as progress:
        while begun is not None:
            block, attempt = begun
            for trial in plan.block(block):
                progress.set_description(f"block {block + 1}/{plan.repeats}, {trial.load.vus} VUs, {trial.arm.pattern}")
                result, summary = runner.measure(trial, attempt, generator, placement)
                load_generator.keep(summary, opened.raw_summary(result))
                opened.append(result)
                progress.update()
            begun = opened.next_block()
