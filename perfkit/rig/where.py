"""Where the parameters of a user say that trials are measured: on this machine, or on a cluster."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from perfkit.design.plan import Load
from perfkit.errors import PlanError
from perfkit.rig.bench import Bench, Here


@contextmanager
def having(loads: Iterable[Load] = (), k6: str = "k6", cluster: object = "", server_on: str = "") -> Iterator[Bench]:
    """Have the bench that is asked for: a cluster, or for "" this machine; a PerfkitError says why it can't be used."""
    if not cluster:
        if server_on:
            raise PlanError(
                f"server_on={server_on!r} is a host of a cluster, and cluster is empty; name one, or neither"
            )
        yield Here(loads, k6)
        return
    if missing := [name for name in ("distributed", "asyncssh") if find_spec(name) is None]:
        raise PlanError(f"cluster={cluster!r} needs {missing[0]}; .venv/bin/pip install -e '.[cluster]' brings it")
    from perfkit.rig.cluster.bench import Cluster  # noqa: PLC0415 - an extra
    from perfkit.rig.cluster.connect import connected  # noqa: PLC0415

    with connected(cluster, server_on) as hosts:
        yield Cluster(hosts, loads, k6)
