"""Runs on disk: created or continued, appended to, loaded; nothing measured is ever overwritten."""

import contextlib
import fcntl
import hashlib
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pandas as pd

from perfkit import k6
from perfkit.arms import Arm
from perfkit.environment import Environment
from perfkit.errors import StoreError
from perfkit.plan import SCHEMA_VERSION, Plan, plan_from_dict
from perfkit.results import TrialResult
from perfkit.rows import JointRow, Row, columns, joint_rows, row

RUNS = Path(__file__).parent.parent / "data" / "runs"
"""Where runs go that are not told where."""

EXECUTED_NOTEBOOKS = {"sweep.ipynb", "compare.ipynb"}
"""What papermill may have put in the folder before the run begins in it."""

IsFinished = Callable[[Plan, list[TrialResult]], bool]

_log = logging.getLogger(__name__)


class OpenRun:
    """A run folder that this process alone may append to."""

    def __init__(self, folder: Path, plan: Plan, lock: IO[bytes]) -> None:
        self.folder = folder
        self.plan = plan
        self._lock = lock  # held as long as this object lives
        self._results = _results(folder, mend=True)

    @property
    def finished(self) -> list[TrialResult]:
        """The trials of complete blocks, in the order measured."""
        complete = _complete_blocks(self.plan, self._results)
        return [result for result in self._results if (result.trial.block, result.attempt) in complete]

    def next_block(self) -> tuple[int, int]:
        """Return the first block that is not complete, and which attempt at it this is."""
        done = {block for block, _ in _complete_blocks(self.plan, self._results)}
        block = next(number for number in itertools.count() if number not in done)
        begun = [result.attempt for result in self._results if result.trial.block == block]
        return block, max(begun, default=-1) + 1

    def raw_summary(self, result: TrialResult) -> Path:
        """Return where k6's summary of a trial is kept."""
        trial = result.trial
        # With its role: the arms of a comparison may be the same one twice.
        name = re.sub(r"[^\w.=-]+", "-", trial.name if trial.is_joint else f"{trial.seats[0].role}-{trial.name}")[:60]
        return self.folder / "k6" / f"block{trial.block}-attempt{result.attempt}-{trial.load.vus}vus-{name}.json.gz"

    def append(self, result: TrialResult, summary: dict[str, Any] | None = None) -> None:
        """Put a finished trial on disk, at once and for good, and k6's summary of it beside it."""
        path = self.folder / "trials.jsonl"
        line = json.dumps(result.to_dict()).encode() + b"\n"
        before = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._results.append(result)
            if summary is not None:
                k6.keep(summary, self.raw_summary(result))
        except OSError as error:
            if self._results[-1:] != [result]:  # half a line must not be what the next one is appended to
                with contextlib.suppress(OSError):
                    os.truncate(path, before)
            raise StoreError(
                f"can't write to run folder {self.folder}: {error.strerror}. Finished trials are kept: make room and "
                "start the same again to continue"
            ) from error


@contextlib.contextmanager
def open_run(plan: Plan, environment: Environment, is_finished: IsFinished, out: str | Path = "") -> Iterator[OpenRun]:
    """Open the run folder for this plan: a new one, or an unfinished one of the same plan and machine to continue.

    `out` names the folder; "" finds one in data/runs or makes one there. A named folder of another plan, schema or
    machine, of a finished run, or in use by another process is refused with a StoreError. `is_finished` says of the
    trials of complete blocks whether the plan is fulfilled.
    """
    folder = Path(out) if out else _unfinished(plan, environment, is_finished) or _new_folder(plan)
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
            _refuse_unlike(folder, plan, environment, is_finished)
        elif extra := {path.name for path in folder.iterdir()} - {"k6", "figures", ".lock"} - EXECUTED_NOTEBOOKS:
            raise StoreError(f"out={folder} holds {min(extra)!r} and no run; name an empty or a new folder")
        else:
            _write(folder / "environment.json", environment.to_dict())
            _write(folder / "plan.json", plan.to_dict())  # last: a folder with a plan is a run
        yield OpenRun(folder, plan, lock)


def load_plan(run: str | Path) -> Plan:
    """Return the plan of a run; a StoreError where there is none or it is of another schema."""
    data = _read(Path(run) / "plan.json")
    if data.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            f"run {run} is of schema {data.get('schema')!r}, this perfkit reads {SCHEMA_VERSION}; "
            "draw it with the commit in its environment.json"
        )
    return plan_from_dict(data)


def load_environment(run: str | Path) -> Environment:
    """Return the environment that a run was measured in."""
    return Environment(**_read(Path(run) / "environment.json"))


def load(run: str | Path) -> pd.DataFrame:
    """Return the solo trials of a run as a tidy table: one row a trial, in the order measured.

    `perfkit.columns()` gives each column's definition and unit. Rows of blocks that were left unfinished are there,
    with complete = False; `valid` says which rows count. `df.attrs["run"]` is the folder.
    """
    plan, results = load_plan(run), _results(Path(run), mend=False)
    complete = _complete_blocks(plan, results)
    rows = [
        row(result, complete=(result.trial.block, result.attempt) in complete)
        for result in results
        if not result.trial.is_joint
    ]
    return _table(run, rows, Row)


def load_joint(run: str | Path) -> pd.DataFrame:
    """Return the joint trials of a run as a tidy table: one row a server in a trial, otherwise like `load`."""
    plan, results = load_plan(run), _results(Path(run), mend=False)
    complete = _complete_blocks(plan, results)
    rows = [
        one
        for result in results
        if result.trial.is_joint
        for one in joint_rows(result, complete=(result.trial.block, result.attempt) in complete)
    ]
    return _table(run, rows, JointRow)


def _table(run: str | Path, rows: Sequence[Row | JointRow], of: type[Row] | type[JointRow]) -> pd.DataFrame:
    table = pd.DataFrame([asdict(one) for one in rows], columns=list(columns(of)))
    table = table.astype({"complete": bool, "valid": bool})  # also where there is no row
    table.attrs["run"] = str(run)
    return table


def _refuse_unlike(folder: Path, plan: Plan, environment: Environment, is_finished: IsFinished) -> None:
    stored = load_plan(folder)
    if stored.kind != plan.kind:
        raise StoreError(f"run folder {folder} holds a {stored.kind}, not a {plan.kind}; name another folder")
    for name in plan.__slots__:
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
    if is_fulfilled(folder, is_finished):
        raise StoreError(f"run folder {folder} is finished; draw it with run={folder}, or name another for a new run")


def is_fulfilled(run: str | Path, is_finished: IsFinished) -> bool:
    """Return whether the trials of a run's complete blocks fulfil its plan, which `is_finished` says of them."""
    folder, plan = Path(run), load_plan(run)
    results = _results(folder, mend=False)
    complete = _complete_blocks(plan, results)
    return is_finished(plan, [one for one in results if (one.trial.block, one.attempt) in complete])


def _unfinished(plan: Plan, environment: Environment, is_finished: IsFinished) -> Path | None:
    """The newest unfinished run of the same plan and machine in data/runs."""
    for folder in sorted(RUNS.glob(f"{plan.kind}-*"), reverse=True):
        try:
            like = load_plan(folder) == plan and not load_environment(folder).difference(environment)
            if like and not is_fulfilled(folder, is_finished) and not _is_in_use(folder):
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
    return RUNS / f"{plan.kind}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{digest}"


def _complete_blocks(plan: Plan, results: list[TrialResult]) -> set[tuple[int, int]]:
    """(block, attempt) of each block that has all its trials from one attempt."""
    counts = Counter((result.trial.block, result.attempt) for result in results)
    return {begun for begun, count in counts.items() if count == len(plan.block(begun[0]))}


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
    return [_result(path, number, line) for number, line in enumerate(whole.splitlines(), start=1)]


def _result(path: Path, number: int, line: bytes) -> TrialResult:
    try:
        return TrialResult.from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path}, line {number} is no trial ({type(error).__name__}: {error}); perfkit only appends whole lines, "
            "so take back what else has changed it"
        ) from error


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
        return ",".join(map(_short, value))
    return value.name if isinstance(value, Arm) else repr(value)
