"""Where trials are measured. Plans, their order, the stop rule, folders and figures know nothing more of it."""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from perfkit.design.arms import Arm
from perfkit.design.plan import Load, Plan, Trial
from perfkit.record.environment import Environment
from perfkit.rig import doctor, generators, host, trial
from perfkit.rig.doctor import Finding
from perfkit.rig.servers import STORE, rehearsal
from perfkit.rig.servers.asking import refuse_unreadable
from perfkit.rig.trial import Measured
from perfkit.rig.trial.serving import Methods
from perfkit.subject.stores.disk import refuse_memory

Measure = Callable[[Trial, int], Measured]
"""(trial, attempt) → what came of it; a PerfkitError where it is broken"""

_log = logging.getLogger(__name__)


class Bench(Protocol):
    """One machine or several, with all that trials need beside perfkit."""

    def refuse(self, plans: Sequence[Plan], folder: Path) -> None:
        """Raise a PerfkitError where plans can't be measured here, with a run folder like this."""

    def environment(self, arms: Sequence[Arm]) -> Environment:
        """Return what would be measured, and on what; a run goes on only where that is the same."""

    def examine(self, folder: Path) -> list[Finding]:
        """Return what can and can't be measured here, for runs below a folder."""

    def session(self, plan: Plan, folder: Path) -> AbstractContextManager[Measure]:
        """Have all of it for the trials of a plan and for nobody else, until the end; give what measures one."""


class Here:
    """This machine."""

    def __init__(self, loads: Iterable[Load] = (), k6: str = "k6") -> None:
        self._k6, self._loads = k6, tuple(loads)
        self._methods: Methods = {}

    @cached_property
    def _programs(self) -> generators.Programs:
        return generators.find(self._loads, self._k6)

    def refuse(self, plans: Sequence[Plan], folder: Path) -> None:  # noqa: D102
        for plan in plans:
            host.refuse_connections(plan.cells)
            host.refuse_cores(plan.cells)
            refuse_unreadable(plan.cells)
            for arm in plan.arms:
                if arm.is_durable:
                    refuse_memory(folder, f"arm {arm.name}")
        _ = self._programs  # or a LoadError
        self._methods = rehearsal.rehearse(plans, rehearsal.read(plans))

    def environment(self, arms: Sequence[Arm]) -> Environment:  # noqa: D102
        return host.collect({name: program.version for name, program in self._programs.items()}, arms)

    def examine(self, folder: Path) -> list[Finding]:  # noqa: D102
        return doctor.examine(self._k6, folder)

    @contextmanager
    def session(self, plan: Plan, folder: Path) -> Iterator[Measure]:  # noqa: D102
        placement = trial.place(pin=plan.pin, own_sessions=not plan.share_session, start_s=plan.start_s, folder=folder)
        if plan.pin and not placement.server:
            _log.warning("server and k6 are not pinned: that takes Linux and two cores")
        for left in folder.glob(f"{STORE}*"):  # by one that was killed
            shutil.rmtree(left)
        with host.alone():
            yield lambda one, attempt: trial.measure(one, attempt, self._programs, placement, self._methods)
