"""From what a user calls a cluster to agents on its hosts: by SSH, by a scheduler's address or file, or given."""

import asyncio
import logging
import os
import platform
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from perfkit.errors import LoadError, PlanError
from perfkit.manifests import QUIET
from perfkit.rig.cluster.agent import Agent
from perfkit.rig.cluster.hosts import Host, Hosts, Patience, address_of

SSH = "ssh:"

WAIT_S = 30.0
"""How long a cluster may take until it has two hosts, and a host until it is reached."""

IDLE, IDLE_SETTING = "5 minutes", "distributed.scheduler.idle-timeout"
"""After how long without a trial a cluster started by SSH ends, whose coordinator was killed; and Dask's own setting,
which comes first."""

NAME = "PERFKIT_HOST"
"""The variable in which a worker that was started by SSH has its host's name: Dask gives those none."""

_log = logging.getLogger(__name__)


@contextmanager
def connected(cluster: object, server_on: str = "") -> Iterator[Hosts]:
    """Connect to a cluster, with an agent on each of its hosts; a PerfkitError names what can't be used, and why.

    `cluster` is text as in the parameter's help, or a Dask Client or Cluster. `server_on` is the host that serves, by
    name or address; "": the first one named, or by name.
    """
    from distributed import Client  # noqa: PLC0415 - an extra; the bench has seen that it is there

    with ExitStack() as stack:
        names: Sequence[str] = ()
        if isinstance(cluster, Client):
            client = cluster
        else:
            if isinstance(cluster, str) and cluster.startswith(SSH):
                names = _names(cluster)
                cluster = stack.enter_context(_by_ssh(names))
            client = stack.enter_context(_client(cluster))
        server, *others = _workers(client, names, server_on, cluster)
        _refuse_unlike(client, [server, *others])
        agents = [stack.enter_context(_agent(client, *one, ends_stopped=bool(names))) for one in (server, *others)]
        yield Hosts(client, agents[0], agents[1:], Patience())


def _names(cluster: str) -> list[str]:
    names = [name.strip() for name in cluster.removeprefix(SSH).split(",")]
    if len(names) < 2 or not all(names):
        raise PlanError(
            f"cluster={cluster!r} must name two hosts at least, the first to serve, the others to load; as in "
            "cluster=ssh:s,g1,g2"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise PlanError(
            f"cluster={cluster!r} names {twice[0]} twice; a host has one part in a trial, so name each once"
        )
    return names


@contextmanager
def _by_ssh(names: Sequence[str]) -> Iterator[Any]:
    """Start a Dask cluster: a worker on each host, the scheduler on the last, which has least to do beside."""
    import dask  # noqa: PLC0415 - as in connected
    from distributed import SSHCluster  # noqa: PLC0415

    _reach(names)
    with dask.config.set(QUIET):
        try:
            cluster = SSHCluster(
                [names[-1], *names],
                remote_python=[sys.executable, *(f"env {NAME}={shlex.quote(name)} {sys.executable}" for name in names)],
                worker_class="distributed.Worker",
                worker_options={"nthreads": 1, "memory_limit": 0, "dashboard": False},
                scheduler_options={"idle_timeout": dask.config.get(IDLE_SETTING) or IDLE, "dashboard": False},
            )
        except Exception as error:  # whatever Dask and asyncssh raise
            raise LoadError(f"cluster=ssh:{','.join(names)} did not start ({error}); see docs/cluster.md") from error
    try:
        yield cluster
    finally:
        cluster.close(timeout=WAIT_S)


def _reach(names: Sequence[str]) -> None:
    """Raise a LoadError with the name of the first host that can't be reached, or that has no perfkit where this is.

    Dask only says that a worker failed to start.
    """
    import asyncssh  # noqa: PLC0415 - as in connected

    async def try_all() -> list[str]:
        return await asyncio.gather(*map(try_one, names))

    async def try_one(name: str) -> str:
        try:
            async with asyncssh.connect(name, connect_timeout=WAIT_S / 3) as connection:
                asked = connection.run(f"{sys.executable} -c 'import perfkit, distributed'", timeout=WAIT_S)
                tried = await asked
        except (TimeoutError, OSError, asyncssh.Error) as error:
            return f"can't be reached by SSH ({str(error) or type(error).__name__}); does `ssh {name} true` work?"
        if tried.exit_status == 0:
            return ""
        said = str(tried.stderr or "").strip().splitlines() or [f"exit code {tried.exit_status}"]
        return (
            f"does not run perfkit with {sys.executable} ({said[-1]}); install perfkit[cluster] there at the same "
            "path, or start a Dask cluster yourself (docs/cluster.md)"
        )

    answers: list[str] = []
    # A notebook's kernel has a loop in this thread already.
    trying = threading.Thread(target=lambda: answers.extend(asyncio.run(try_all())))
    trying.start()
    trying.join()
    for name, complaint in zip(names, answers, strict=True):
        if complaint:
            raise LoadError(f"host {name} {complaint}")


@contextmanager
def _client(cluster: object) -> Iterator[Any]:
    from distributed import Client  # noqa: PLC0415 - as in connected

    asked: dict[str, Any] = {"address": cluster}
    if isinstance(cluster, str) and "://" not in cluster:
        if not Path(cluster).is_file():
            raise PlanError(
                f"cluster={cluster!r} is no cluster: write ssh:HOST,HOST, a scheduler's address (tcp://… or tls://…), "
                "or the path of a scheduler file"
            )
        asked = {"scheduler_file": cluster}
    try:
        client: Any = Client(**asked, timeout=WAIT_S / 3)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise LoadError(f"cluster={cluster!r} can't be reached ({error}); is its scheduler there?") from error
    address = client.scheduler.address if client.scheduler else ""
    if address.startswith("tcp://") and address_of(address) not in ("127.0.0.1", "::1"):
        _log.warning("%s has neither encryption nor passwords: whoever reaches it can run code on its hosts", address)
    try:
        yield client
    finally:
        client.close(timeout=WAIT_S / 3)


def _workers(client: Any, names: Sequence[str], server_on: str, cluster: object) -> list[tuple[str, str]]:
    """Return (name, worker's address) of each host, that of the servers first."""
    with suppress(TimeoutError):  # what is missing is said below
        client.wait_for_workers(max(2, len(names)), timeout=WAIT_S)
    known = client.scheduler_info(n_workers=-1)["workers"]
    found = {
        str(_ask(client, worker, os.getenv, NAME)) if names else _name(worker, one["name"]): worker
        for worker, one in known.items()
    }
    if len(found) < 2:
        raise PlanError(
            f"cluster={cluster} has {len(found)} host(s); one serves and at least one other loads, so start two workers"
        )
    addresses = [address_of(worker) for worker in known]
    if twice := [address for address in addresses if addresses.count(address) > 1]:
        raise PlanError(
            f"cluster={cluster} has several workers on {twice[0]}; a host has one part in a trial, so start one worker "
            "a host"
        )
    ordered = list(names) or sorted(found)
    if server_on:
        chosen = [name for name in ordered if server_on in (name, address_of(found[name]), found[name])]
        if not chosen:
            raise PlanError(f"server_on={server_on!r} is no host of this cluster; it has {', '.join(ordered)}")
        ordered = [chosen[0], *(name for name in ordered if name != chosen[0])]
    return [(name, found[name]) for name in ordered]


def _name(worker: str, name: object) -> str:
    """Return what a host is called: as its worker is, or by its address."""
    return address_of(worker) if str(name) in ("", worker) else str(name)


def _ask(client: Any, worker: str, what: Callable[..., Any], *arguments: str) -> Any:
    asked = client.submit(what, *arguments, workers=[worker], allow_other_workers=False, pure=False)
    return asked.result(timeout=WAIT_S)


def _refuse_unlike(client: Any, hosts: Sequence[tuple[str, str]]) -> None:
    """Refuse hosts without perfkit, or with another Python; the agents themselves tell of all else."""
    for name, worker in hosts:
        try:
            # By text: a function of perfkit would have to be there already.
            _ask(client, worker, exec, f"import {Agent.__module__}")
            python = _ask(client, worker, platform.python_version)
        except ImportError as error:
            raise LoadError(f"host {name} has no perfkit to use ({error}); install perfkit[cluster] there") from error
        except (TimeoutError, OSError) as error:
            raise LoadError(f"host {name} does not answer ({error}); is its Dask worker alive?") from error
        if python != platform.python_version():
            raise LoadError(
                f"host {name} has Python {python}, and here it is {platform.python_version()}; use the same everywhere"
            )


@contextmanager
def _agent(client: Any, name: str, worker: str, *, ends_stopped: bool) -> Iterator[Host]:
    made = client.submit(
        Agent, actor=True, workers=[worker], allow_other_workers=False, pure=False, ends_stopped=ends_stopped
    )
    try:
        with client.as_current():  # by which an actor finds its client, when it is first used
            agent = made.result(timeout=WAIT_S)
            agent.now().result(timeout=WAIT_S)
    except (TimeoutError, OSError, ImportError, AttributeError) as error:
        raise LoadError(f"host {name} could not start perfkit's agent ({type(error).__name__}: {error})") from error
    try:
        yield Host(name, worker, agent)
    finally:
        made.release()
