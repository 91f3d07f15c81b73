"""A cluster that perfkit starts itself, by real SSH."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

import perfkit
from tests.conftest import ROOT
from tests.net import Net, wait_for
from tests.rig.cluster import ssh
from tests.rig.cluster.faults import HURRIED, PLAN
from tests.rig.cluster.lab import HOSTS
from tests.rig.cluster.ssh import Sshd

pytestmark = pytest.mark.load

CLUSTER = "ssh:s,g1,g2"

IDLE_S = 6
"""Of a cluster whose coordinator was killed; a user's waits minutes."""


@pytest.fixture(scope="module")
def sshd(net: Net):
    if reason := ssh.missing():
        pytest.skip(reason)
    made = Sshd(net)
    yield made
    made.close()


def coordinator(sshd, *argv: str) -> subprocess.Popen[str]:
    """Start a program on c, as a user of these hosts."""
    name = sshd.net.names["c"]
    return subprocess.Popen(
        ["ip", "netns", "exec", name, *argv],
        env={**os.environ, "HOME": str(sshd.home), "TMPDIR": str(sshd.net.temporary("c"))},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def nothing_is_left(sshd, within_s: float) -> float:
    return max(wait_for(f"the end of all on {host}", lambda h=host: not sshd.left(h), within_s) for host in HOSTS)


def test_papermill_on_another_host_measures_by_ssh_and_leaves_nothing(sshd, tmp_path):
    values = {"vus": 7, "repeats": 1, "out": str(tmp_path / "run"), "cluster": CLUSTER, "method": "solo"}
    output = tmp_path / "out.ipynb"
    words = [word for name, value in values.items() for word in ("-p", name, str(value))]
    papermill = str(Path(sys.executable).with_name("papermill"))
    run = coordinator(sshd, papermill, str(ROOT / "notebooks/sweep.ipynb"), str(output), *words)
    said, _ = run.communicate(timeout=150)
    assert run.returncode == 0, said[-3000:]
    notebook = nbformat.read(output, as_version=4)
    outputs = [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]
    assert sum("image/png" in one.get("data", {}) for one in outputs) >= 2
    table = perfkit.load(tmp_path / "run")
    assert table["valid"].all()
    assert set(table["generator_hosts"]) == {"g1; g2"}
    nothing_is_left(sshd, 5)


def test_a_host_that_is_not_there_is_named_before_anything_starts(sshd, tmp_path):
    argv = ("sweep", "--cluster", "ssh:s,g1,10.77.0.99", "--out", str(tmp_path / "run"))
    run = coordinator(sshd, sys.executable, "-m", "perfkit", *argv)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "host 10.77.0.99 can't be reached by SSH" in said.splitlines()[-1]
    assert not (tmp_path / "run").exists()
    nothing_is_left(sshd, 5)


def test_of_a_killed_coordinators_cluster_nothing_is_left_when_it_was_idle(sshd, tmp_path):
    run_folder = tmp_path / "run"
    asked = {**PLAN, "cluster": CLUSTER, "out": str(run_folder)}
    hurried = f"{HURRIED}\nconnect.IDLE = '{IDLE_S} s'"
    script = f"import perfkit\n{hurried}\nperfkit.sweep(**{asked!r})"
    run = coordinator(sshd, sys.executable, "-c", script)
    trials = run_folder / "trials.jsonl"
    wait_for("a trial", lambda: trials.exists() and trials.read_bytes().count(b"\n") >= 1, 60)
    time.sleep(1)
    (stopped,) = [pid for pid, one in sshd.left("g1").items() if "dask_spec" in one and "distributed.Worker" in one][:1]
    os.kill(stopped, signal.SIGSTOP)  # it can't keep any deadline itself
    run.kill()
    run.communicate()
    nothing_is_left(sshd, 60)
