"""Stored runs, read: plan, environment, trials, and tables of them."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from perfkit.design import stored
from perfkit.design.plan import SOLO, Plan
from perfkit.errors import PlanError, StoreError
from perfkit.record.environment import Environment
from perfkit.record.results import TrialResult
from perfkit.record.rows import COLUMNS, rows

IsFinished = Callable[[Plan, list[TrialResult]], bool]

_log = logging.getLogger(__name__)


def load_plan(run: str | Path) -> Plan:
    """Return the plan of a run; a StoreError where there is none or it is of another schema."""
    data = _read(Path(run) / "plan.json")
    if not isinstance(data, dict):
        raise StoreError(f"{run}/plan.json is no plan; take back what changed it")
    if data.get("schema") not in stored.READABLE:
        raise StoreError(
            f"run {run} is of schema {data.get('schema')!r}, this perfkit reads "
            f"{', '.join(map(str, stored.READABLE))}; draw it with the commit in its environment.json"
        )
    try:
        return stored.plan(data)
    except (TypeError, KeyError, AttributeError, ValueError, PlanError) as error:
        raise StoreError(
            f"{run}/plan.json is no plan ({type(error).__name__}: {error}); take back what changed it"
        ) from error


def load_environment(run: str | Path) -> Environment:
    """Return the environment that a run was measured in."""
    data = _read(Path(run) / "environment.json")
    try:
        return Environment.from_dict(data)
    except (TypeError, AttributeError) as error:
        raise StoreError(f"{run}/environment.json is no environment ({error}); take back what changed it") from error


def load(run: str | Path, method: str = SOLO) -> pd.DataFrame:
    """Return the trials of a run by one method as a tidy table: a row a server in a trial, in the order measured.

    `method` is "solo", one server after the other; "turns"; "joint"; or "" for all of them.

    `perfkit.columns()` gives each column's definition and unit. Rows of blocks that were left unfinished are there,
    with complete = False; `valid` says which rows count. `df.attrs["run"]` is the folder.
    """
    plan, results = load_plan(run), read_results(Path(run), mend=False)
    complete = complete_blocks(plan, results)
    several = [
        row
        for result in results
        if method in ("", result.trial.method)
        for row in rows(result, complete=(result.trial.block, result.attempt) in complete)
    ]
    table = pd.DataFrame(several, columns=list(COLUMNS))
    table = table.astype({"complete": bool, "valid": bool})  # also where there is no row
    table.attrs["run"] = str(run)
    return table


def write_csv(run: str | Path) -> None:
    """Write the table of all trials of a run to trials.csv in its folder, where that can be written."""
    try:
        load(run, "").drop(columns="percentiles_ms").to_csv(Path(run) / "trials.csv", index=False)
    except OSError as error:
        _log.warning("trials.csv can't be written to %s: %s", run, error.strerror)


def load_finished(run: str | Path) -> list[TrialResult]:
    """Return the trials of a run's complete blocks, in the order measured."""
    return finished(load_plan(run), read_results(Path(run), mend=False))


def is_fulfilled(run: str | Path, plan: Plan, is_finished: IsFinished) -> bool:
    """Return whether the trials of a run's complete blocks fulfil a plan, which `is_finished` says of them."""
    return is_finished(plan, load_finished(run))


def finished(plan: Plan, results: list[TrialResult]) -> list[TrialResult]:
    """Return the trials of complete blocks."""
    complete = complete_blocks(plan, results)
    return [result for result in results if (result.trial.block, result.attempt) in complete]


def complete_blocks(plan: Plan, results: list[TrialResult]) -> set[tuple[int, int]]:
    """Return (block, attempt) of each block that has all its trials from one attempt."""
    counts = Counter((result.trial.block, result.attempt) for result in results)
    return {begun for begun, count in counts.items() if count == len(plan.block(begun[0]))}


def read_results(folder: Path, *, mend: bool) -> list[TrialResult]:
    """Return all finished trials on file; a torn last line is left out, and cut off the file where `mend` says so."""
    path = folder / "trials.jsonl"
    if not path.exists():
        return []
    text = path.read_bytes()
    whole, _, torn = text.rpartition(b"\n")
    if torn:
        _log.warning("%s: the last line is torn, so its trial is left out: %r…", path, torn[:40])
        if mend:
            os.truncate(path, len(text) - len(torn))
    return [_result(path, number, line) for number, line in enumerate(whole.splitlines(), start=1)]


def _result(path: Path, number: int, line: bytes) -> TrialResult:
    try:
        return TrialResult.from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path}, line {number} is no trial ({type(error).__name__}: {error}); perfkit only appends whole lines, "
            "so take back what else has changed it"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        if not path.parent.exists():
            raise StoreError(f"there is no folder {path.parent}; name that of a run") from error
        raise StoreError(f"{path.parent} is no run folder: {path.name} can't be read ({error.strerror})") from error
    except ValueError as error:  # also what is no text
        raise StoreError(f"{path} is not JSON ({error}); the run can't be read") from error
    return data
