"""Runs on disk: created or continued, appended to, loaded; nothing measured is ever overwritten."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pandas as pd

from perfkit.environment import Environment
from perfkit.errors import StoreError
from perfkit.plan import SCHEMA_VERSION, Plan
from perfkit.results import TrialResult, columns, row

RUNS = Path(__file__).parent.parent / "data" / "runs"
"""Where runs go that are not told where."""

_log = logging.getLogger(__name__)


class OpenRun:
    """A run folder that this process alone may append to."""

    def __init__(self, folder: Path, plan: Plan, lock: IO[bytes]) -> None:
        self.folder = folder
        self.plan = plan
        self._lock = lock  # held as long as this object lives
        self._results = _results(folder, mend=True)

    def next_block(self) -> tuple[int, int] | None:
        """Return the first block that is not complete and which attempt at it this is; None when all are."""
        for block in range(self.plan.repeats):
            attempts = _attempts(self._results, block)
            if not any(_is_complete(self.plan, attempt) for attempt in attempts.values()):
                return block, max(attempts, default=-1) + 1
        return None

    def raw_summary(self, result: TrialResult) -> Path:
        """Return where k6's summary of a trial is kept."""
        trial = result.trial
        arm = trial.arm.name.replace("/", "-").replace("?", "-")
        return self.folder / "k6" / f"block{trial.block}-attempt{result.attempt}-{trial.load.vus}vus-{arm}.json.gz"

    def append(self, result: TrialResult) -> None:
        """Put a finished trial on disk, at once and for good."""
        with (self.folder / "trials.jsonl").open("a") as file:
            file.write(json.dumps(result.to_dict()) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._results.append(result)


@contextlib.contextmanager
def open_run(plan: Plan, environment: Environment, out: str | Path = "") -> Iterator[OpenRun]:
    """Open the run folder for this plan: a new one, or an unfinished one of the same plan and machine to continue.

    `out` names the folder; "" finds one in data/runs or makes one there. A named folder of another plan, schema or
    machine, of a finished run, or in use by another process is refused with a StoreError.
    """
    folder = Path(out) if out else _unfinished(plan, environment) or _new_folder(plan)
    with contextlib.ExitStack() as stack:
        try:
            for name in ("", "k6", "figures"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / ".lock").open("wb"))
        except OSError as error:
            raise StoreError(f"can't write to run folder {folder}: {error.strerror}; name another with out=") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"run folder {folder} is in use by another process; wait for it or name another"
            ) from error
        if (folder / "plan.json").exists():
            _refuse_unlike(folder, plan, environment)
        elif extra := {path.name for path in folder.iterdir()} - {"k6", "figures", ".lock"} - EXECUTED_NOTEBOOKS:
            raise StoreError(f"out={folder} holds {min(extra)!r} and no run; name an empty or a new folder")
        else:
            _write(folder / "environment.json", environment.to_dict())
            _write(folder / "plan.json", plan.to_dict())  # last: a folder with a plan is a run
        yield OpenRun(folder, plan, lock)


EXECUTED_NOTEBOOKS = {"sweep.ipynb"}
"""What papermill may have put in the folder before the run begins in it."""


def load_plan(run: str | Path) -> Plan:
    """Return the plan of a run; a StoreError where there is none or it is of another schema."""
    data = _read(Path(run) / "plan.json")
    if data.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"run {run} is of schema {data.get('schema')!r}, this perfkit reads {SCHEMA_VERSION}; "
            "draw it with the commit in its environment.json"
        )
    return Plan.from_dict(data)


def load_environment(run: str | Path) -> Environment:
    """Return the environment that a run was measured in."""
    return Environment(**_read(Path(run) / "environment.json"))


def load(run: str | Path) -> pd.DataFrame:
    """Return a run as a tidy table: one row a trial, in the order measured.

    `perfkit.columns()` gives each column's definition and unit. Rows of blocks that were left unfinished are there,
    with complete = False; `valid` says which rows count. `df.attrs["run"]` is the folder.
    """
    folder = Path(run)
    plan = load_plan(folder)
    results = _results(folder, mend=False)
    complete = {
        (block, attempt)
        for block in range(plan.repeats)
        for attempt, trials in _attempts(results, block).items()
        if _is_complete(plan, trials)
    }
    rows = [row(result, complete=(result.trial.block, result.attempt) in complete) for result in results]
    table = pd.DataFrame([asdict(one) for one in rows], columns=list(columns()))
    table.attrs["run"] = str(folder)
    return table


def is_finished(run: str | Path) -> bool:
    """Return whether every block of a run is complete."""
    return _is_finished(Path(run), load_plan(run))


def _is_finished(folder: Path, plan: Plan) -> bool:
    results = _results(folder, mend=False)
    return all(
        any(_is_complete(plan, attempt) for attempt in _attempts(results, block).values())
        for block in range(plan.repeats)
    )


def _refuse_unlike(folder: Path, plan: Plan, environment: Environment) -> None:
    stored = load_plan(folder)
    for name in Plan.__slots__:
        if getattr(stored, name) != getattr(plan, name):
            raise StoreError(
                f"run folder {folder} is of another plan: {name} {_short(getattr(stored, name))} there, "
                f"{_short(getattr(plan, name))} asked for; name another folder, or draw that one with run="
            )
    difference = load_environment(folder).difference(environment)
    if difference:
        raise StoreError(
            f"run folder {folder} was measured elsewhere: {difference} here; its halves would not compare, "
            "so name another folder"
        )
    if _is_finished(folder, plan):
        raise StoreError(f"run folder {folder} is finished; draw it with run={folder}, or name another for a new run")


def _unfinished(plan: Plan, environment: Environment) -> Path | None:
    """The newest unfinished run of the same plan and machine in data/runs."""
    for folder in sorted(RUNS.glob("sweep-*"), reverse=True):
        try:
            like = load_plan(folder) == plan and not load_environment(folder).difference(environment)
            if like and not _is_finished(folder, plan) and not _is_in_use(folder):
                return folder
        except (StoreError, TypeError, KeyError):
            continue  # not this perfkit's to continue; a new folder is made
    return None


def _is_in_use(folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), (folder / ".lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _new_folder(plan: Plan) -> Path:
    digest = hashlib.sha256(json.dumps(plan.to_dict(), sort_keys=True).encode()).hexdigest()[:6]
    return RUNS / f"sweep-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{digest}"


def _attempts(results: list[TrialResult], block: int) -> dict[int, list[TrialResult]]:
    attempts: dict[int, list[TrialResult]] = {}
    for result in results:
        if result.trial.block == block:
            attempts.setdefault(result.attempt, []).append(result)
    return attempts


def _is_complete(plan: Plan, attempt: list[TrialResult]) -> bool:
    return len(attempt) == len(plan.levels) * len(plan.arms)


def _results(folder: Path, *, mend: bool) -> list[TrialResult]:
    """All finished trials on file; a torn last line is left out, and cut off the file where `mend` says so."""
    path = folder / "trials.jsonl"
    if not path.exists():
        return []
    text = path.read_bytes()
    whole, _, torn = text.rpartition(b"\n")
    if torn:
        _log.warning("%s: the last line is torn, so its trial is left out: %r…", path, torn[:40])
        if mend:
            os.truncate(path, len(text) - len(torn))
    return [TrialResult.from_dict(json.loads(line)) for line in whole.splitlines()]


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise StoreError(f"{path.parent} is no run folder: {path.name} can't be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise StoreError(f"{path} is not JSON ({error}); the run can't be read") from error
    return data


def _write(path: Path, data: dict[str, Any]) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(data, indent=1) + "\n")
    draft.replace(path)


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(getattr(part, "name", str(part)) for part in value)
    return repr(value)
