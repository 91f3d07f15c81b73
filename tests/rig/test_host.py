import os
import resource
import shutil

import pytest

from perfkit.design.arms import parse_arm
from perfkit.errors import LoadError, PlanError
from perfkit.rig import host
from tests.support import ROOT
from tests.support.plans import plan_sweep


@pytest.mark.parametrize(
    ("path", "is_measured"),
    [
        ("perfkit/subject/counters.py", True),
        ("perfkit/subject/engines/threads.py", True),
        ("perfkit/rig/programs/launch.py", True),
        ("perfkit/design/arms.py", True),
        ("k6/counter.js", True),
        ("proto/counter.proto", True),
        ("perfkit/show/words.py", False),
        ("README.md", False),
    ],
)
def test_the_digest_changes_with_the_code_that_is_measured_and_with_nothing_else(tmp_path, path, is_measured):
    for name in ("perfkit", "k6", "proto"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "README.md", tmp_path)
    before = host.code_digest(tmp_path / "perfkit", tmp_path)
    assert before == host.code_digest()
    with (tmp_path / path).open("a") as file:
        file.write("\n")
    assert (host.code_digest(tmp_path / "perfkit", tmp_path) != before) == is_measured


def test_a_foreign_command_is_known_by_the_files_that_it_names(tmp_path):
    server = tmp_path / "server.py"
    server.write_text("one")
    arm = parse_arm(f"exec:python3 {server} {{port}}", 10)
    (first,) = host.collect({"k6": "1.1.0"}, [arm, parse_arm("mutex", 10)]).programs.items()
    assert first[0] == arm.command
    server.write_text("two")
    assert host.collect({"k6": "1.1.0"}, [arm]).programs[arm.command] != first[1]


def test_the_commit_is_this_checkouts_also_in_another_repositorys_hook(monkeypatch, tmp_path):
    here = host._git_commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert host._git_commit() == here


def test_two_do_not_measure_on_one_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "LOCK", tmp_path / "lock")
    with host.alone():
        with pytest.raises(LoadError, match=rf"another perfkit measures on this machine \(process {os.getpid()}\)"):
            host.alone().__enter__()
    with host.alone():
        pass
    monkeypatch.setattr(host, "LOCK", tmp_path)  # can't be opened
    with host.alone():
        pass


def test_more_vus_than_files_can_be_open_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    with pytest.raises(PlanError, match=r"vus=100000: .*20000 open files; .*19800 VUs"):
        host.refuse_connections(plan_sweep(vus=100_000, method="solo").cells)
    host.refuse_connections(plan_sweep(vus=[19_800], method="solo").cells)
    with pytest.raises(PlanError, match=r"vus=10000 at each of 3 servers: .* or stay at 6600 VUs"):
        host.refuse_connections(plan_sweep(vus=[10_000]).cells)
    host.refuse_connections(plan_sweep(vus=[10_000]).cells, hosts=2)
