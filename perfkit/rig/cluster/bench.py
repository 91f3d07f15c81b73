"""A cluster as a bench: servers on one host, load generators on all others."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.design.plan import Load, Plan
from perfkit.errors import LoadError, PerfkitError, PlanError
from perfkit.record.environment import Environment
from perfkit.rig import host
from perfkit.rig.bench import Measure
from perfkit.rig.cluster import trial
from perfkit.rig.cluster.hosts import Hosts
from perfkit.rig.doctor import Finding
from perfkit.rig.servers import rehearsal

DESCRIBED_S = 30.0
"""How long a host may take to look at itself."""


class Cluster:
    """Hosts of a Dask cluster, with an agent on each."""

    def __init__(self, hosts: Hosts, loads: Iterable[Load] = (), k6: str = "k6") -> None:
        self._hosts, self._k6 = hosts, k6
        self._loads = tuple(dict.fromkeys(loads))
        self._described: dict[tuple[Arm, ...], Environment] = {}

    def refuse(self, plans: Sequence[Plan], folder: Path) -> None:  # noqa: ARG002, D102 - servers keep files on their host
        hosts, several = self._hosts, len(self._hosts.generators)
        fewest = min(cell.load.vus for plan in plans for cell in plan.cells)
        if fewest < several:
            raise PlanError(
                f"vus={fewest} are fewer than the {several} hosts that load, and each needs one at least; ask for more "
                "VUs, or name fewer hosts"
            )
        methods = rehearsal.read(plans)
        starting_s = sum(plan.start_s * len(plan.arms) for plan in plans)
        for one in hosts.all:
            share = 0 if one is hosts.server else several
            told = hosts.call(one, "refuse", tuple(plans), share, methods, hosts.server.address)
            told.result(hosts.patience.answer_s + (starting_s if methods and not share else 0.0))

    def environment(self, arms: Sequence[Arm]) -> Environment:  # noqa: D102
        key = tuple(arms)
        if key not in self._described:
            self._described[key] = self._look(key)
        return self._described[key]

    def _look(self, arms: tuple[Arm, ...]) -> Environment:
        hosts, code = self._hosts, host.code_digest()
        calls = [
            hosts.call(one, "describe", self._loads, self._k6, arms, serves=one is hosts.server) for one in hosts.all
        ]
        server: Environment
        server, *loading = (
            replace(told, host=one.name) for one, told in zip(hosts.all, hosts.wait(calls, DESCRIBED_S), strict=True)
        )
        for one in (server, *loading):
            if one.code != code:
                raise LoadError(f"host {one.host} has other code of perfkit than this machine; install the same commit")
        first = loading[0]
        for one in loading:
            if (one.k6, one.h2load) != (first.k6, first.h2load):
                raise LoadError(
                    f"hosts {first.host} and {one.host} have other generators: {_versions(first)} there, "
                    f"{_versions(one)} here; install the same on all hosts"
                )
        return replace(server, k6=first.k6, h2load=first.h2load, hosts=tuple(loading))

    def examine(self, folder: Path) -> list[Finding]:  # noqa: ARG002, D102 - runs lie here, not on the hosts
        hosts = self._hosts
        clocks = hosts.clocks()
        told = hosts.wait([hosts.call(one, "examine", self._k6) for one in hosts.all], DESCRIBED_S)
        findings = []
        for one, own in zip(hosts.all, told, strict=True):
            clock = clocks[one]
            reach = f"{one.worker}, clock {clock.offset_s * 1e3:+.1f} ± {clock.error_s * 1e3:.1f} ms of this machine's"
            findings.append(Finding(f"{one.name} reach", True, reach, ""))
            findings += [replace(finding, check=f"{one.name} {finding.check}") for finding in own]
        return [*findings, self._are_apart(), self._are_alike()]

    def _are_apart(self) -> Finding:
        machines = self._hosts.ask_all("machine")
        if "" in machines or len(set(machines)) == len(machines):
            return Finding("apart", True, "each host is a machine of its own", "")
        advice = "they take time from each other; put them on machines of their own"
        return Finding("apart", False, f"{len(machines)} hosts are {len(set(machines))} machine(s)", advice)

    def _are_alike(self) -> Finding:
        try:
            found = self.environment(())
        except PerfkitError as error:
            return Finding("alike", False, "not all", str(error))
        models = {one.cpu_model for one in found.hosts}
        cores = {one.cores for one in found.hosts}
        if len(models) > 1 or len(cores) > 1:
            advice = "each has the same part of the load, so the slowest is the limit"
            return Finding("alike", False, f"hosts that load are {', '.join(sorted(models))}", advice)
        return Finding("alike", True, f"perfkit, k6 {found.k6} and CPU are the same on all hosts that load", "")

    @contextmanager
    def session(self, plan: Plan, folder: Path) -> Iterator[Measure]:  # noqa: ARG002, D102 - as in refuse
        hosts = self._hosts
        address, own_sessions = hosts.server.address, not plan.share_session
        serving = {"pin": plan.pin, "own_sessions": own_sessions, "start_s": plan.start_s, "address": address}
        taking = [
            hosts.call(hosts.server, "take_servers", **serving),
            *(hosts.call(one, "take_load", self._loads, self._k6, pin=plan.pin) for one in hosts.generators),
        ]
        try:
            hosts.wait(taking, hosts.patience.answer_s)
            yield lambda one, attempt: trial.measure(one, attempt, hosts)
        finally:
            # Whoever does not hear it gives itself back: its deadline ends what runs there.
            hosts.tell_all("close")


def _versions(of: Environment) -> str:
    return f"k6 {of.k6}" + (f" and h2load {of.h2load}" if of.h2load else "")
