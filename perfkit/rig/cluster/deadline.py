"""What ends a host's part of a trial whose agent, or whose coordinator, is gone or has stopped."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfkit.errors import LoadError

PROGRAM = Path(__file__).parent.parent / "programs" / "deadline.py"


class Held:
    """That a coordinator still wants the trial."""

    def __init__(self, agent: object) -> None:
        from distributed import get_worker  # noqa: PLC0415 - where there is an agent, there is Dask

        self.is_over = self.is_gone = False
        self._agent_id = id(agent)
        self._actors = get_worker().state.actors
        self._was_there = False

    def check(self) -> None:
        """Raise a LoadError if it was told to end, or if Dask has dropped the agent: whoever held it is gone."""
        is_there = any(id(one) == self._agent_id for one in list(self._actors.values()))
        self.is_gone = self._was_there and not is_there
        if self.is_over or self.is_gone:
            raise LoadError("the coordinator has ended the trial, or is gone")
        self._was_there = is_there


class Deadline:
    """When the processes of a trial end at the latest: a process keeps it, which does not stop with the agent."""

    def __init__(self, process: subprocess.Popen[bytes], owner: int) -> None:
        self._process = process
        self._owner = owner
        self._groups: tuple[int, ...] = ()

    def keep(self, groups: Iterable[int], within_s: float) -> None:
        """Let these process groups, and those named before, live so long; a LoadError where nobody would end them."""
        self._groups += tuple(groups)
        if self._process.poll() is not None:
            raise LoadError("the deadline of this host is over, or what kept it was killed")
        self._say(within_s)

    def now(self) -> None:
        """End all of them."""
        self._say(0.0)

    def forget(self) -> None:
        """Let what is left live: the agent has ended it in order."""
        self._groups = ()
        self._say(0.0)

    def _say(self, within_s: float) -> None:
        assert self._process.stdin is not None  # noqa: S101 - so says the call in `deadline`
        line = {"groups": self._groups, "within_s": within_s, "owner": self._owner}
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()


@contextmanager
def deadline(owner: int = 0) -> Iterator[Deadline]:
    """Have such a process; `owner` is the one that it kills too if that has stopped when time is over, 0: none."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROGRAM)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Deadline(process, owner)
    finally:
        process.communicate()
