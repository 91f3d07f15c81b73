"""Runs on disk: created or continued, and appended to; nothing measured is ever overwritten."""

import contextlib
import fcntl
import gzip
import hashlib
import itertools
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from perfkit.checkout import RUNS
from perfkit.design.paired import Pilot
from perfkit.design.plan import SOLO, Plan
from perfkit.errors import StoreError
from perfkit.record.environment import Environment
from perfkit.record.load import (
    IsFinished,
    complete_blocks,
    finished,
    is_fulfilled,
    load_environment,
    load_plan,
    read_results,
)
from perfkit.record.results import TrialResult

LONGEST = 60
"""Characters of a name that stand in a file's name."""

_log = logging.getLogger(__name__)


class OpenRun:
    """A run folder that this process alone may append to."""

    def __init__(self, folder: Path, plan: Plan, lock: IO[bytes]) -> None:
        self.folder = folder
        self.plan = plan
        self._lock = lock  # held as long as this object lives
        self._results = read_results(folder, mend=True)

    @property
    def finished(self) -> list[TrialResult]:
        """The trials of complete blocks, in the order measured."""
        return finished(self.plan, self._results)

    def next_block(self) -> tuple[int, int]:
        """Return the first block that is not complete, and which attempt at it this is."""
        done = {block for block, _ in complete_blocks(self.plan, self._results)}
        block = next(number for number in itertools.count() if number not in done)
        begun = [result.attempt for result in self._results if result.trial.block == block]
        return block, max(begun, default=-1) + 1

    def raw_summary(self, result: TrialResult) -> Path:
        """Return where k6's summaries of a trial are kept."""
        trial = result.trial
        # With its role: the arms of a comparison may be the same one twice.
        name = slug(f"{trial.seats[0].role}-{trial.name}" if trial.method == SOLO else trial.name)
        return self.folder / "k6" / f"block{trial.block}-attempt{result.attempt}-{trial.load.vus}vus-{name}.json.gz"

    @property
    def pilot(self) -> Pilot | None:
        """What the pilot trial of this run measured; None before there was one."""
        path = self.folder / "pilot.json"
        return Pilot(**json.loads(path.read_text())) if path.exists() else None

    def keep_pilot(self, pilot: Pilot) -> None:
        """Keep what the pilot trial measured, so that a run that is continued has the same handicaps."""
        _write(self.folder / "pilot.json", asdict(pilot))

    def append(self, result: TrialResult, summaries: Sequence[dict[str, Any]] = ()) -> None:
        """Put a finished trial on disk, at once and for good, and the summary of each of its k6 next to it."""
        path = self.folder / "trials.jsonl"
        line = json.dumps(result.to_dict()).encode() + b"\n"
        before = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._results.append(result)
            if summaries:
                _keep(summaries, self.raw_summary(result))
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
    """Open the run folder for this plan: a new one, or one of the same plan and machine to continue or to extend.

    `out` names the folder; "" finds an unfinished one in data/runs or makes one there. A named folder of another plan,
    schema or machine, of a finished run, or in use by another process is refused with a StoreError; one of a comparison
    with less budget or a coarser precision is extended. `is_finished` says of the trials of complete blocks whether a
    plan is fulfilled.
    """
    folder = Path(out) if out else _unfinished(plan, environment, is_finished) or _new_folder(plan)
    with contextlib.ExitStack() as stack:
        try:
            for name in ("", "k6", "figures"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / ".lock").open("wb"))
        except OSError as error:
            raise StoreError(f"can't write to run folder {folder}: {error.strerror}; name another with out=") from error
        if not _is_mine(lock):
            raise StoreError(f"run folder {folder} is in use by another process; wait for it or name another")
        if (folder / "plan.json").exists():
            begun, plan = load_plan(folder), refuse_unlike(folder, plan, environment)
            if is_fulfilled(folder, plan, is_finished):
                raise StoreError(
                    f"run folder {folder} is finished; draw it with run={folder}, or name another for a new run"
                )
            if plan != begun:
                _write(folder / "plan.json", plan.to_dict())
        elif extra := {path.name for path in folder.iterdir() if path.suffix != ".ipynb"} - {"k6", "figures", ".lock"}:
            # An executed notebook may be there: papermill puts it where it was told before the run begins.
            raise StoreError(f"out={folder} holds {min(extra)!r} and no run; name an empty or a new folder")
        else:
            _write(folder / "environment.json", environment.to_dict())
            _write(folder / "plan.json", plan.to_dict())  # last: a folder with a plan is a run
        yield OpenRun(folder, plan, lock)


def refuse_unlike(folder: Path, plan: Plan, environment: Environment) -> Plan:
    """Return the plan by which a run goes on as this one.

    Raises a StoreError where it is of another plan, machine, software or code: what keeps them apart is named.
    """
    other = load_plan(folder)
    if other.study != plan.study:
        raise StoreError(f"run folder {folder} holds a {other.study}, not a {plan.study}; name another folder")
    going_on = plan.continuing(other)
    if going_on is None:
        raise StoreError(
            f"run folder {folder} is of another plan: {plan.difference(other)} asked for; name another folder, or draw "
            "that one with run="
        )
    if difference := load_environment(folder).difference(environment):
        raise StoreError(
            f"run folder {folder} is not of what would be measured now: {difference}; its halves would not compare, so "
            "name another folder, or draw that one with run="
        )
    return going_on


def slug(name: str) -> str:
    """Return the name of an arm or a trial as that of a file or folder, which no other has."""
    short = re.sub(r"[^\w.=-]+", "-", name)
    return short if len(short) <= LONGEST else f"{short[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _unfinished(plan: Plan, environment: Environment, is_finished: IsFinished) -> Path | None:
    """The newest unfinished run of the same plan and machine in data/runs."""
    for folder in sorted(RUNS.glob(f"{plan.study}-*"), reverse=True):
        try:
            begun = load_plan(folder)
            like = plan.continuing(begun) == begun and not load_environment(folder).difference(environment)
            is_mine = like and os.access(folder, os.W_OK)
            if is_mine and not is_fulfilled(folder, begun, is_finished) and not _is_in_use(folder):
                return folder
        except (StoreError, TypeError, KeyError, OSError):
            continue  # not this perfkit's to continue; a new folder is made
    return None


def _is_in_use(folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), (folder / ".lock").open("rb") as lock:
        return not _is_mine(lock)
    return False


def _is_mine(lock: IO[bytes]) -> bool:
    """Lock a file; return whether no other process has it. On a file system without locks nobody is kept out."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.warning("%s can't be locked (%s): start nothing else there", lock.name, error.strerror)
    return True


def _new_folder(plan: Plan) -> Path:
    digest = hashlib.sha256(json.dumps(plan.to_dict(), sort_keys=True).encode()).hexdigest()[:6]
    return RUNS / f"{plan.study}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{digest}"


def _write(path: Path, data: dict[str, Any]) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(data, indent=1) + "\n")
    draft.replace(path)


def _keep(summaries: Sequence[dict[str, Any]], path: Path) -> None:
    """Write k6's summaries, compressed and with their keys in order: k6's own order is random."""
    with gzip.open(path, "wt") as file:
        json.dump(summaries, file, sort_keys=True)
