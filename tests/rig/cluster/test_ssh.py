"""A cluster that perfkit starts itself, by real SSH."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import perfkit
from tests.rig.cluster.faults import PLAN
from tests.support import ROOT, ssh
from tests.support.lab import HOSTS
from tests.support.net import ADDRESSES, Net
from tests.support.notebooks import images
from tests.support.processes import is_connected_to, wait_for
from tests.support.ssh import Sshd
from tests.support.trials import own_flags

pytestmark = [pytest.mark.load, pytest.mark.full]

CLUSTER = "ssh:s,g1,g2"


@pytest.fixture(scope="module")
def sshd(net: Net):
    if reason := ssh.missing():
        pytest.skip(reason)
    made = Sshd(net)
    yield made
    made.close()


def coordinator(sshd, *argv: str, **variables: str) -> subprocess.Popen[str]:
    """Start a program on c, as a user of these hosts."""
    name = sshd.net.names["c"]
    return subprocess.Popen(
        ["ip", "netns", "exec", name, *argv],
        env={**os.environ, "HOME": str(sshd.home), "TMPDIR": str(sshd.net.temporary("c")), **variables},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def nothing_is_left(sshd) -> None:
    for host in HOSTS:
        wait_for(f"the end of all on {host}", lambda host=host: not sshd.left(host), 150)


def test_papermill_on_another_host_measures_by_ssh_and_leaves_nothing(sshd, tmp_path):
    values = {"vus": 7, "repeats": 1, "out": str(tmp_path / "run"), "cluster": CLUSTER, "method": "solo"}
    output = tmp_path / "out.ipynb"
    words = [word for name, value in values.items() for word in ("-p", name, str(value))]
    papermill = str(Path(sys.executable).with_name("papermill"))
    run = coordinator(sshd, papermill, str(ROOT / "notebooks/sweep.ipynb"), str(output), *words)
    said, _ = run.communicate(timeout=250)
    assert run.returncode == 0, said[-3000:]
    assert len(images(output)) >= 2
    table = perfkit.load(tmp_path / "run")
    assert own_flags(table) == set()
    assert set(table["generator_hosts"]) == {"g1; g2"}
    nothing_is_left(sshd)


def test_a_host_that_is_not_there_is_named_before_anything_starts(sshd, tmp_path):
    argv = ("sweep", "--cluster", "ssh:s,g1,10.77.0.99", "--out", str(tmp_path / "run"))
    run = coordinator(sshd, sys.executable, "-m", "perfkit", *argv)
    said, _ = run.communicate(timeout=250)
    assert run.returncode == 2
    assert "host 10.77.0.99 can't be reached by SSH" in said.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    nothing_is_left(sshd)


def test_of_a_killed_coordinators_cluster_nothing_is_left_when_it_was_idle(sshd, tmp_path):
    run_folder = tmp_path / "run"
    asked = {**PLAN, "cluster": CLUSTER, "out": str(run_folder)}
    script = f"import perfkit\nperfkit.sweep(**{asked!r})"
    run = coordinator(sshd, sys.executable, "-c", script, DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT="30 s")
    trials = run_folder / "trials.jsonl"

    def k6s():
        return [pid for pid, one in sshd.left("g1").items() if "k6 run" in one]

    wait_for(
        "the second trial's load",
        lambda: trials.exists() and trials.read_bytes().count(b"\n") == 1
        and any(is_connected_to(pid, ADDRESSES["s"]) for pid in k6s()), 120,
    )  # fmt: skip
    (stopped,) = [pid for pid, one in sshd.left("g1").items() if "dask_spec" in one and "distributed.Worker" in one][:1]
    os.kill(stopped, signal.SIGSTOP)  # it can't keep any deadline itself
    run.kill()
    run.communicate()
    nothing_is_left(sshd)
