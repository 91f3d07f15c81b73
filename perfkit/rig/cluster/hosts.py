"""The hosts of a cluster, as a coordinator speaks to their agents: each answer in time, or an error with its name."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfkit.clock import Clock, wait_until
from perfkit.errors import LoadError, PerfkitError
from perfkit.rig.cluster.clock import Exchange, Offset, offset

EXCHANGES = 16
"""How often a host is asked for its time; the quickest answer counts."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a coordinator waits."""

    answer_s: float = 5.0
    """for a host that has nothing to wait for itself"""
    after_s: float = 30.0
    """how long calls and summaries may take after the window (as rig.trial.here has it); then a host ends by itself"""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the cluster."""

    name: str
    worker: str
    """the address of its Dask worker"""
    agent: Any
    """the Dask Actor of an `agent.Agent`, whose methods give futures"""

    @property
    def address(self) -> str:
        """Where other hosts reach it."""
        return address_of(self.worker)


@dataclass(frozen=True, slots=True)
class Call:
    """Something that a host was told to do."""

    host: Host
    what: str
    future: Any

    def result(self, within_s: float) -> Any:
        """Return the answer; a PerfkitError names the host where it fails, is late, or is lost."""
        try:
            return self.future.result(timeout=within_s)
        except PerfkitError as error:
            raise type(error)(f"host {self.host.name}: {error}") from error
        except TimeoutError as error:
            raise _silent(self, within_s) from error
        except (OSError, RuntimeError) as error:
            raise LoadError(f"host {self.host.name} was lost ({error})") from error


class Hosts:
    """The hosts of a session."""

    def __init__(
        self, client: Any, server: Host, generators: Sequence[Host], patience: Patience, clock: Clock = time
    ) -> None:
        self.server = server
        self.generators = tuple(generators)
        self.patience = patience
        self._client = client
        self._clock = clock

    @property
    def all(self) -> tuple[Host, ...]:
        """All of them, the servers' first."""
        return self.server, *self.generators

    def call(self, host: Host, method: str, *arguments: Any, **named: Any) -> Call:
        """Tell a host to do something."""
        try:
            return Call(host, method, getattr(host.agent, method)(*arguments, **named))
        except RuntimeError as error:  # Dask knows that the worker is gone
            raise LoadError(f"host {host.name} was lost ({error})") from error

    def ask(self, host: Host, method: str, *arguments: Any, **named: Any) -> Any:
        """Tell a host to do something that takes no time, and return the answer."""
        return self.call(host, method, *arguments, **named).result(self.patience.answer_s)

    def ask_all(self, method: str, *arguments: Any, **named: Any) -> list[Any]:
        """Ask all hosts, the servers' first."""
        calls = [self.call(one, method, *arguments, **named) for one in self.all]
        return self.wait(calls, self.patience.answer_s)

    def wait(self, calls: Sequence[Call], within_s: float) -> list[Any]:
        """Return all answers, or raise what the first failure is, as soon as it is known."""

        def raise_failures() -> None:
            for one in calls:
                if one.future.done():
                    one.result(1.0)

        if not wait_until(lambda: all(one.future.done() for one in calls), within_s, self._clock, raise_failures):
            raise _silent(next(one for one in calls if not one.future.done()), within_s)
        return [one.result(1.0) for one in calls]

    def clocks(self) -> Mapping[Host, Offset]:
        """Ask each host for its time, several times."""
        return {one: offset(self._exchange(one) for _ in range(EXCHANGES)) for one in self.all}

    def _exchange(self, host: Host) -> Exchange:
        asked_s = self._clock.time()
        told_s = self.ask(host, "now")
        return Exchange(asked_s, told_s, self._clock.time())

    def tick(self) -> None:
        """Let each host do a task: Dask counts only these as use, and an idle cluster may end itself."""
        for one in self.all:
            self._client.submit(tick, workers=[one.worker], allow_other_workers=False, pure=False)

    def tell_all(self, method: str) -> list[str]:
        """Tell all hosts something at once; return the names of those that did not confirm it."""
        silent = []
        calls = []
        for one in self.all:
            try:
                calls.append(self.call(one, method))
            except LoadError:
                silent.append(one.name)
        until_s = self._clock.monotonic() + self.patience.answer_s
        for call in calls:
            try:
                call.result(max(0.05, until_s - self._clock.monotonic()))
            except LoadError:
                silent.append(call.host.name)
        return silent


def _silent(call: Call, within_s: float) -> LoadError:
    return LoadError(
        f"host {call.host.name} does not answer ({call.what} took more than {within_s:.1f} s): it is off the network, "
        "it or its Dask worker has stopped, or the scheduler has"
    )


def address_of(worker: str) -> str:
    """Return the host in the address of a Dask worker, as in tcp://10.0.0.1:4567."""
    return worker.rpartition("://")[2].rpartition(":")[0].strip("[]")


async def tick() -> None:
    """Do nothing: as a task, it tells Dask that the cluster is in use."""
    await asyncio.sleep(0)
