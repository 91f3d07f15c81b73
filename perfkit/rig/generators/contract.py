"""What a load generator is to a trial: a program at work, its measured window, and what it counted in the end."""

import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import IO, Any

from perfkit.clock import Clock
from perfkit.design.plan import Load
from perfkit.errors import LoadError
from perfkit.record.calls import Calls
from perfkit.rig import family
from perfkit.rig.process import written_to
from perfkit.service.called import Called

OPENING_S, OPENING_VU_S = 0.6, 0.004
"""What each of several servers and generators may take until all VUs are there, connected and answered: so much, and so
much a VU."""

SPARE_S = 0.2
"""What is added where it is known how long that took before."""

LONGER = 1.25
"""How many times as long as of late it may take until all VUs are answered."""

AFTER_S = 0.3
"""How long calls go on after an appointed window, so that nobody is gone before all clocks were read, and no call that
starts in it is cut off."""

PERCENTILES = (
    *map(str, range(1, 100)),
    *(f"99.{tenth}" for tenth in range(1, 10)),
    *(f"99.9{hundredth}" for hundredth in range(1, 10)),
)
"""Dense enough for a curve to p99.99, in rising order."""


@dataclass(frozen=True, slots=True)
class Program:
    """A load generator that may be used."""

    name: str
    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Target:
    """A server to be loaded."""

    address: str
    called: Called | None = None
    """what is called there; None: the counter"""


@dataclass(frozen=True, slots=True)
class Window:
    """The measured window, in ms since the epoch."""

    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one of several generators, each on a host of its own, has of a load whose window is appointed later."""

    number: int
    of: int
    percentiles: tuple[str, ...]
    """those to ask for, so that distributions of all can be merged"""

    def share(self, whole: int) -> int:
        """Return its part of so many VUs, as k6's execution segments divide them."""
        return whole // self.of + (self.number < whole % self.of)


def said_by(path: str, argument: str, name: str, install: str) -> str:
    """Return what a generator says when it is asked for its version; a LoadError where it does not run."""
    try:
        return subprocess.run([path, argument], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadError(f"{name} does not run ({error}); {install}") from error


class RunningLoad(ABC):
    """A generator at work on one or several servers."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: IO[bytes], servers: int, *, is_script: bool = False
    ) -> None:
        self.pid = process.pid
        self.name = name
        self.numbers = range(servers)
        """of its servers, by which `calls` asks for them"""
        self._is_script = is_script
        self._process = process
        self._log = log

    def members(self) -> tuple[int, ...]:
        """Return its processes: several where a script has started the real one."""
        return family.members(self.pid) if self._is_script else (self.pid,)

    @abstractmethod
    def window(self) -> Window:
        """Wait until the load has begun, or will by itself, and return when the window opens and closes."""

    @abstractmethod
    def answered(self) -> int:
        """Return how many VUs have had their first answer, of a load with an appointed window."""

    @abstractmethod
    def finish(self, patience_s: float) -> dict[str, Any]:
        """Wait for the last calls to end; return all that the generator itself says of the trial.

        A LoadError if they don't end within that, or the result is no good.
        """

    @abstractmethod
    def calls(self, server: int) -> Calls:
        """Return what was counted of a server, after the end."""

    @property
    def reply_bytes(self) -> int | None:
        """The length of all replies, of a generator that sees no gRPC status; else None."""
        return None

    def check(self) -> None:
        """Raise a LoadError if the generator has ended before its time."""
        if self._process.poll() == 0:
            raise LoadError(
                f"{self.name} was at its end before the window was, by this machine's clock, which may have been set "
                f"back; it said: {self._output()[-500:]!r}"
            )
        if self._process.poll() is not None:
            raise LoadError(f"{self.name} {self._how_it_ended()} in mid-trial; it said: {self._output()[-500:]!r}")

    def _wait(self, patience_s: float) -> None:
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"{self.name} did not end within {patience_s:g} s of its window") from error
        if self._process.returncode != 0:
            self._refuse_result()

    def _refuse_result(self) -> None:
        raise LoadError(f"{self.name} {self._how_it_ended()} without a good result; it said: {self._output()[-500:]!r}")

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _output(self) -> str:
        return written_to(self._log).decode(errors="replace")


def opening(load: Load, several: int, took_s: float | None = None, waits_s: float = 0.0, clock: Clock = time) -> int:
    """Return when `several` generators, started now on the same cores, can open a window together, in epoch ms.

    `took_s` is how long it took before until all their VUs were answered; None: not known. `waits_s` is
    for how long a VU waits besides then, at most.
    """
    wait_s = several * (OPENING_S + OPENING_VU_S * load.vus) + waits_s if took_s is None else SPARE_S + LONGER * took_s
    return round((clock.time() + wait_s + load.warmup_s) * 1e3)
