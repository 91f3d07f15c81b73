"""What goes wrong on several hosts, done to real ones: each returns (what happened, what was kept)."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import perfkit
from perfkit.errors import PerfkitError
from perfkit.rig.host import LOCK
from tests.faults.bench import TEST, Fault, adding_to
from tests.support import ROOT
from tests.support.lab import HOSTS, SCHEDULER, Lab
from tests.support.net import ADDRESSES
from tests.support.processes import is_connected_to, wait_for
from tests.support.trials import own_flags

PLAN = {
    "vus": [4], "arms": "mutex", "method": "solo", "duration_s": 3, "warmup_s": 0.3, "repeats": 25, "server_on": "s",
}  # fmt: skip
"""More trials than are made: each fault that breaks it is done to the same run, which so has gone on after the last."""

FAULTS: dict[str, Fault["Struck"]] = {}


fault = adding_to(FAULTS)


class Struck:
    """A cluster that something is done to."""

    def __init__(self, lab: Lab, folder: Path, run: Path) -> None:
        self.lab, self.folder, self.run = lab, folder, run

    def sweep(self, **changes: object) -> None:
        perfkit.sweep(**{**PLAN, "cluster": SCHEDULER, "out": self.run, **changes})

    def refused(self, **changes: object) -> tuple[str, str]:
        """Start a sweep that is to be refused before anything is started."""
        out = self.folder / "run"
        with pytest.raises(PerfkitError) as told:
            self.sweep(**{"out": out, **changes})
        assert not out.exists()
        self.nothing_is_left()
        return str(told.value), "nothing was started"

    def broken(self, fault: Callable[[], object], after: int = 0) -> tuple[str, str]:
        """Go on with the run, do the fault after so many trials, and see that nothing is left in time."""
        before = self.trials

        def strike() -> None:
            self.wait_for_load(before, after)
            fault()

        striking = threading.Thread(target=strike)
        striking.start()
        with pytest.raises(PerfkitError) as told:
            self.sweep()
        striking.join()
        self.nothing_is_left()
        return str(told.value), self.kept(before, after)

    def wait_for_load(self, before: bytes, after: int) -> None:
        def is_on() -> bool:
            in_turn = self.trials.count(b"\n") == before.count(b"\n") + after
            return in_turn and is_connected_to(self.lab.find("g1", "k6 run"), ADDRESSES["s"])

        wait_for("load", is_on, 120)

    @property
    def trials(self) -> bytes:
        path = self.run / "trials.jsonl"
        return path.read_bytes() if path.exists() else b""

    def kept(self, before: bytes, after: int) -> str:
        assert self.trials.startswith(before)
        assert self.trials.count(b"\n") == before.count(b"\n") + after
        return "all finished trials; the same start went on" if after else "all finished trials"

    def nothing_is_left(self) -> None:
        """See that no process is left on any host beside its worker, running or stopped."""
        for host in HOSTS:
            wait_for(f"the end of all on {host}", lambda host=host: not self.lab.left(host), 120)

    def kill(self, host: str, words: str, number: signal.Signals) -> Callable[[], None]:
        def send() -> None:
            pid = self.lab.find(host, words)
            assert pid, f"no {words} on {host}"
            os.kill(pid, number)

        return send

    def alone(self, begin: Callable[[subprocess.Popen[bytes]], None]) -> tuple[str, str]:
        """Sweep from a process of its own, and do something to that in the second trial."""
        before, asked = self.trials, {**PLAN, "cluster": SCHEDULER, "out": str(self.run)}
        script = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"import perfkit\nperfkit.sweep(**{asked!r})"
        )
        run = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, cwd=ROOT)
        self.wait_for_load(before, 1)
        begin(run)
        _, said = run.communicate(timeout=150)
        self.nothing_is_left()
        how = "killed" if run.returncode == -signal.SIGKILL else said.decode().strip().splitlines()[-1]
        return how, self.kept(before, 1)


@fault("no scheduler at the address")
def _(struck: Struck) -> tuple[str, str]:
    return struck.refused(cluster="tcp://10.77.0.9:8786")


@fault("a cluster that is none (`cluster=somewhere`)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.refused(cluster="somewhere")


@fault("a host without perfkit")
def _(struck: Struck) -> tuple[str, str]:
    empty = struck.folder / "empty"
    empty.mkdir()
    struck.lab.worker("g1", f"mount --bind {empty} {ROOT}/perfkit")
    struck.lab.wait_for_worker("g1")
    try:
        return struck.refused()
    finally:
        struck.lab.end("g1")


def _k6_is(struck: Struck, script: str) -> tuple[str, str]:
    file = struck.folder / "k6"
    file.write_text(script)
    file.chmod(0o755 if script else 0o644)
    k6 = perfkit_k6()
    struck.lab.worker("g2", f"mount --bind {file} {k6}")
    struck.lab.wait_for_worker("g2")
    try:
        return struck.refused(k6=k6)
    finally:
        struck.lab.end("g2")


def perfkit_k6() -> str:
    from perfkit.rig.generators import k6

    return k6.find().path


@fault("a host without k6")
def _(struck: Struck) -> tuple[str, str]:
    return _k6_is(struck, "")


@fault("a host with another k6")
def _(struck: Struck) -> tuple[str, str]:
    return _k6_is(struck, "#!/bin/sh\necho 'k6 v1.9.0 (another)'\n")


@fault("a host with other code of perfkit")
def _(struck: Struck) -> tuple[str, str]:
    file = struck.folder / "work.py"
    file.write_text((ROOT / "perfkit/subject/work.py").read_text() + "\n# changed\n")
    struck.lab.worker("s", f"mount --bind {file} {ROOT}/perfkit/subject/work.py")
    struck.lab.wait_for_worker("s")
    try:
        return struck.refused()
    finally:
        struck.lab.end("s")


@fault("fewer VUs than hosts that load (`vus=[1]`)", TEST)
def _(struck: Struck) -> tuple[str, str]:
    return struck.refused(vus=[1])


@fault("a host that is none of the cluster's (`server_on=x`)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.refused(server_on="x")


@fault("two workers on one host")
def _(struck: Struck) -> tuple[str, str]:
    argv = [
        sys.executable, "-m", "distributed.cli.dask_worker", SCHEDULER, "--host", ADDRESSES["g2"], "--name", "twin",
        "--no-nanny", "--no-dashboard",
    ]  # fmt: skip
    before = _started(struck)
    twin = struck.lab.net.start("g2", argv)
    try:
        wait_for("a second worker", lambda: _started(struck) > before)
        with pytest.raises(PerfkitError) as told:
            struck.sweep()
        return str(told.value), "nothing was started"
    finally:
        twin.kill()
        twin.wait()


def _started(struck: Struck) -> int:
    return (struck.lab.net.folder / "log-g2").read_text().count("Starting established connection")


@fault("the same host named twice (`cluster=ssh:s,g1,g1`)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.refused(cluster="ssh:s,g1,g1")


@fault("another perfkit measures on a host")
def _(struck: Struck) -> tuple[str, str]:
    with (struck.lab.net.temporary("g1") / LOCK.name).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4711")
        file.flush()
        with pytest.raises(PerfkitError) as told:
            struck.sweep()
        struck.nothing_is_left()
    return str(told.value), "nothing was measured"


@fault("k6 on a host is killed (SIGKILL)", TEST)
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("g1", "counter.js", signal.SIGKILL), after=1)


@fault("k6 on a host is stopped (SIGSTOP)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("g1", "counter.js", signal.SIGSTOP))


@fault("the server is killed (SIGKILL)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("s", "perfkit serve", signal.SIGKILL))


@fault("the server is stopped (SIGSTOP)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("s", "perfkit serve", signal.SIGSTOP))


@fault("a host's worker is killed (SIGKILL)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("g2", "dask_worker", signal.SIGKILL), after=1)


@fault("the servers' worker is stopped (SIGSTOP)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("s", "dask_worker", signal.SIGSTOP), after=1)


@fault("a host's cable is pulled")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(lambda: struck.lab.net.plug("g1", into=False))


@fault("the scheduler is killed (SIGKILL)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.broken(struck.kill("c", "dask_scheduler", signal.SIGKILL), after=1)


@fault("the notebook's kernel is killed (SIGKILL)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.alone(lambda run: run.send_signal(signal.SIGKILL))


@fault("the stop button (SIGINT)")
def _(struck: Struck) -> tuple[str, str]:
    return struck.alone(lambda run: run.send_signal(signal.SIGINT))


SKEWED = """
import os, time
real = time.time
def skewed():
    try:
        with open(os.environ["SKEW"]) as file:
            return real() + float(file.read())
    except OSError:
        return real()
time.time = skewed
"""
"""A sitecustomize by which a program's clock is off by what a file says: all hosts of a test share one machine's."""


@fault("a host's clock is set forward by 0.1 s in mid-trial")
def _(struck: Struck) -> tuple[str, str]:
    skew = struck.folder / "skew"
    (struck.folder / "sitecustomize.py").write_text(SKEWED)
    struck.lab.worker("g2", SKEW=str(skew), PYTHONPATH=str(struck.folder))
    struck.lab.wait_for_worker("g2")
    struck.run = struck.folder / "run"  # of two trials, which ends by itself

    def strike() -> None:
        struck.wait_for_load(b"", 1)
        skew.write_text("0.1")

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        struck.sweep(repeats=2)
    finally:
        striking.join()
        struck.lab.end("g2")
    table = perfkit.load(struck.run)
    assert table["valid"].tolist()[1] is False
    (flagged,) = own_flags(table.iloc[1:])
    return f"the trial is flagged: {flagged}", "the trial, which counts for nothing"
