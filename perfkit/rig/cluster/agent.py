"""perfkit on one host of a cluster: it starts, watches and ends this host's part of a trial, as a coordinator says."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.design.factors import K6
from perfkit.design.plan import TURNS, Load, Plan, Trial
from perfkit.errors import LoadError, PerfkitError
from perfkit.record.environment import Environment
from perfkit.record.results import Usage
from perfkit.rig import doctor, family, generators, host, process
from perfkit.rig.cluster.deadline import Deadline, Held, deadline
from perfkit.rig.cluster.told import Loaded, LoadSeen, ServersSeen
from perfkit.rig.doctor import Finding
from perfkit.rig.generators.contract import Part, RunningLoad, Target, Window
from perfkit.rig.generators.k6 import RunningK6
from perfkit.rig.servers.asking import refuse_unreadable, settings
from perfkit.rig.servers.rehearsal import rehearse
from perfkit.rig.trial.observing import observe, sleep_until
from perfkit.rig.trial.placement import Placement, place
from perfkit.rig.trial.serving import Ended, Methods, Servers, servers, taking_turns
from perfkit.rig.trial.turns import Team
from perfkit.subject.stores.disk import refuse_memory


class Agent:
    """This host's part of a session: a Dask Actor, whose plain methods run in one lasting thread, one at a time.

    Meanwhile its coroutines are answered. All times are by the host's own clock.
    """

    def __init__(self, *, ends_stopped: bool = False) -> None:
        self._ends_stopped = ends_stopped
        self._session, self._trial = ExitStack(), ExitStack()
        self._placement = Placement()
        self._deadline: Deadline | None = None
        self._programs: generators.Programs = {}
        self._methods: Methods = {}
        self._servers: Servers | None = None
        self._load: RunningLoad | None = None
        self._asked: Trial | None = None
        self._part: tuple[Sequence[Target], Load, Part] | None = None
        self._held = Held(self)

    async def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return time.time()

    async def machine(self) -> str:
        """Return what tells this machine from others, as long as it is up: containers of one are one."""
        return host.boot_id()

    async def abort(self) -> None:
        """End all processes of the trial at once."""
        self._held.is_over = True
        if self._deadline:
            self._deadline.now()

    async def take_servers(self, *, pin: bool, own_sessions: bool, start_s: float, address: str) -> None:
        """Have this host for serving until `close`; a LoadError where another perfkit measures on it."""
        self._take()
        folder = Path(self._session.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
        self._placement = place(pin=pin, own_sessions=own_sessions, start_s=start_s, folder=folder, address=address)
        if self._placement.server:
            self._session.callback(_move_this_process, host.usable_cpus())
            _move_this_process(self._placement.generator)

    async def take_load(self, loads: Sequence[Load], k6: str, *, pin: bool) -> None:
        """Have this host for loading until `close`, likewise."""
        self._take()
        self._programs = generators.find(loads, k6)
        self._placement = Placement(generator=host.usable_cpus() if pin and process.CAN_PIN else ())

    def _take(self) -> None:
        self._session.enter_context(host.alone())
        self._deadline = self._session.enter_context(deadline(os.getpid() if self._ends_stopped else 0))

    def refuse(self, plans: Sequence[Plan], hosts: int, methods: Methods, address: str) -> None:
        """Raise a PerfkitError where these can't be served or, on so many `hosts`, loaded here."""
        for plan in plans:
            host.refuse_connections(plan.cells, hosts or 1)
            refuse_unreadable(plan.cells)
            if not hosts:
                host.refuse_cores(plan.cells)
            for arm in plan.arms if not hosts else ():
                if arm.is_durable:
                    refuse_memory(Path(tempfile.gettempdir()), f"arm {arm.name}")
        self._methods = rehearse(plans, methods, address) if not hosts else {}

    def describe(self, loads: Sequence[Load], k6: str, arms: Sequence[Arm], *, serves: bool) -> Environment:
        """Return what this host is; a LoadError where it is to load and has no generator for that."""
        found = {} if serves else generators.find(loads, k6)
        versions = {K6: "", **{name: program.version for name, program in found.items()}}
        return host.collect(versions, arms if serves else ())

    def examine(self, k6: str) -> list[Finding]:
        """Return what can and can't be measured on this host."""
        return doctor.examine(k6, Path(tempfile.gettempdir()))

    def serve(self, trial: Trial, within_s: float) -> list[Target]:
        """Start the trial's servers, to end after so long at the latest; return where they are."""
        self._begin(trial)
        self._servers = self._trial.enter_context(servers(trial, self._placement_of(trial), self._methods))
        self._keep((one.pid for one in self._servers.all if one.pid), within_s)
        return self._servers.targets

    def ready(self) -> bool | None:
        """Wait until the servers accept calls; return whether their memory is laid out alike, None: not known."""
        assert self._servers is not None  # noqa: S101 - a coordinator's fault
        self._servers.ready()
        return self._servers.are_alike()

    def load(self, trial: Trial, targets: Sequence[Target], lead_s: float, part: Part, within_s: float) -> None:
        """Have this host's part of the load ready to begin; the window will open `lead_s` after it has."""
        self._begin(trial)
        self._part = targets, replace(trial.load, warmup_s=lead_s), part
        if trial.load.generator == K6:
            self._start_load()
            assert isinstance(self._load, RunningK6)  # noqa: S101 - as asked for
            self._keep([self._load.pid], within_s)
            self._load.ready()

    def watch_servers(self, window: Window, turns_at_ms: float, attempt: int, within_s: float) -> ServersSeen:
        """Watch the servers over the window; by turns, let them take turns from then on."""
        with self._as_long_as_held():
            return self._watch_servers(window, turns_at_ms, attempt, within_s)

    def watch_load(self, begin_ms: float, window: Window, turns_at_ms: float, within_s: float) -> LoadSeen:
        """Let the load begin at the appointed time, and watch it over the window."""
        with self._as_long_as_held():
            return self._watch_load(begin_ms, window, turns_at_ms, within_s)

    @contextmanager
    def _as_long_as_held(self) -> Iterator[None]:
        try:
            yield
        except LoadError:
            # The error's own traceback keeps this object alive then.
            if self._held.is_gone:
                self.close()
            raise

    def _watch_servers(self, window: Window, turns_at_ms: float, attempt: int, within_s: float) -> ServersSeen:
        assert self._servers is not None  # noqa: S101 - a coordinator's fault
        assert self._asked is not None  # noqa: S101
        trial, families, placement = self._asked, self._servers.all, self._placement_of(self._asked)
        self._keep((), within_s)
        cpus = (*placement.server, *placement.generator) if placement.server else ()
        if trial.method != TURNS:
            observed = observe(families, window, cpus, [self._held])
            return ServersSeen(observed, None, (None,) * len(families))
        sleep_until(turns_at_ms, [*families, self._held])
        teams = [Team((one.members(),), one.stopped) for one in families]
        watchdog = self._trial.enter_context(taking_turns(trial, attempt, window, teams, placement))
        self._keep([watchdog.pid], within_s)
        observed = observe(families, window, cpus, [watchdog, self._held], [watchdog.pid])
        took, own_s = watchdog.end()
        return ServersSeen(observed, took, tuple(own_s))

    def _placement_of(self, trial: Trial) -> Placement:
        return self._placement.with_servers_on(trial.load.server_cpus)

    def _watch_load(self, begin_ms: float, window: Window, turns_at_ms: float, within_s: float) -> LoadSeen:
        self._keep((), within_s)
        sleep_until(begin_ms, [*([self._load] if self._load else []), self._held])
        late_ms = time.time() * 1e3 - begin_ms
        if isinstance(self._load, RunningK6):
            self._load.begin(window)
        else:
            self._start_load(window.from_ms)
        load, missing = self._load, 0
        assert load is not None  # noqa: S101 - just begun
        self._keep([load.pid], within_s)
        assert self._asked is not None  # noqa: S101 - `load` says
        assert self._part is not None  # noqa: S101
        if self._asked.method == TURNS:
            sleep_until(turns_at_ms, [load, self._held])
            _, asked, part = self._part
            missing = part.share(asked.vus) * len(self._asked.seats) - load.answered()
        cpus = self._placement.generator
        observed = observe([load], window, cpus, [self._held])
        (cpu_s,) = observed.used_s
        usage = Usage(cpu_s, observed.window_s, cpus, family.peak_rss_bytes(load.members()))
        return LoadSeen(observed, usage, len(cpus) or len(host.usable_cpus()), late_ms, missing)

    def finish(self, patience_s: float) -> Loaded:
        """Wait for the last calls to end; return what was counted."""
        assert self._load is not None  # noqa: S101 - a coordinator's fault
        summary = self._load.finish(patience_s)
        return Loaded(tuple(map(self._load.calls, self._load.numbers)), self._load.reply_bytes, summary)

    def stop(self, window: Window) -> list[Ended]:
        """Let the servers drain and end."""
        assert self._servers is not None  # noqa: S101 - a coordinator's fault
        return self._servers.stop(window)

    def end(self) -> None:
        """End this host's part of the trial; what still runs is killed."""
        self._trial.close()
        self._servers = self._load = self._asked = self._part = None
        if self._deadline:
            self._deadline.forget()

    def close(self) -> None:
        """Give the host back."""
        self.end()
        self._session.close()
        self._deadline = None

    def __del__(self) -> None:
        # Whoever held this actor is gone; where a worker ends, so do its children.
        with suppress(PerfkitError, OSError, RuntimeError):
            self.close()

    def _begin(self, trial: Trial) -> None:
        self.end()
        self._held.is_over = False
        self._asked = trial

    def _start_load(self, opens_at_ms: int | None = None) -> None:
        assert self._part is not None  # noqa: S101 - `load` says
        assert self._asked is not None  # noqa: S101
        targets, load, part = self._part
        place, ways = process.Place(self._placement.generator), settings(self._asked.seats)
        self._load = self._trial.enter_context(
            generators.running(self._programs, targets, load, place, opens_at_ms, part, ways)
        )

    def _keep(self, groups: Iterable[int], within_s: float) -> None:
        assert self._deadline is not None  # noqa: S101 - `take` comes first
        self._deadline.keep(groups, within_s)


def _move_this_process(cpus: Sequence[int]) -> None:
    """Put all threads of this process, and those that they will start, on other cores."""
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - names, not paths
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(int(task), cpus)
