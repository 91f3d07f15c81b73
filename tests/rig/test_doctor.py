import json
import resource

import pytest

from perfkit.cli import main
from perfkit.rig import doctor, process
from perfkit.rig.doctor import Finding
from tests.support.processes import descendants


@pytest.mark.full
@pytest.mark.load
def test_thirteen_lines_each_with_what_to_do_where_something_is_found(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert all(line.startswith(("ok  ", "LOOK")) for line in lines)


@pytest.mark.load
def test_the_findings_as_json(capsys):
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert [one["check"] for one in findings] == [
        "cores", "quota", "k6", "h2load", "noise", "shares", "layout", "open files", "ports", "GIL", "memory", "disk",
        "clock",
    ]  # fmt: skip
    assert all(one["result"] for one in findings)
    assert all(one["ok"] or one["advice"] for one in findings)


def test_no_k6_is_told_with_what_to_do():
    found = doctor.generator("/no/k6")
    assert not found.ok
    assert "install k6 1.1 or newer" in found.advice


@pytest.mark.parametrize(
    ("good", "bad", "advice"),
    [
        (doctor.open_files(20_000), doctor.open_files(1024), "ulimit -Hn"),
        (doctor.open_files(resource.RLIM_INFINITY), doctor.open_files(64), "raise the hard limit"),
        (doctor.layout(True), doctor.layout(False), "--security-opt seccomp=unconfined"),
        (doctor.memory(4000), doctor.memory(300), "free some"),
        (doctor.disk(4000), doctor.disk(10), "make room"),
        (doctor.judge_share(0.49), doctor.judge_share(0.21), "sessions don't count here"),
        (doctor.judge_clock("tsc", 0.1), doctor.judge_clock("tsc", -20), "steps the clock"),
        (doctor.judge_clock("kvm-clock", 0.1), doctor.judge_clock("hpet", 0.1), "choose tsc"),
    ],
)
def test_each_finding_has_two_sides(good, bad, advice):
    assert good.ok
    assert good.advice == ""
    assert not bad.ok
    assert advice in bad.advice


def test_how_many_vus_the_open_files_allow_is_told():
    assert "up to 824 VUs in a sweep, 206 at each server of a comparison" in doctor.open_files(1024).result
    assert "up to 0 VUs" in doctor.open_files(64).result


def test_one_core_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "usable_cpus", lambda: (3,))
    assert not doctor.cores().ok
    monkeypatch.setattr(doctor, "usable_cpus", lambda: (0, 1))
    monkeypatch.setattr(doctor, "siblings", lambda _cpu: (0, 1))
    assert "threads of one core" in doctor.cores().result


@pytest.mark.full
@pytest.mark.load
def test_shares_are_measured_by_processes_that_end():
    before = descendants()
    assert doctor.shares().check == "shares"
    assert descendants() <= before


@pytest.mark.full
@pytest.mark.load
@pytest.mark.skipif(not process.CAN_PIN, reason="without pinning no share is measured")
def test_a_process_among_four_others_of_its_session_gets_a_fifth(monkeypatch):
    """The same measurement where sessions are shared: what a container would show."""
    shared = process.Place
    monkeypatch.setattr(doctor, "Place", lambda cpus: shared(cpus, own_session=False))
    assert not doctor.shares().ok


def test_a_finding_is_a_line():
    assert Finding("disk", False, "1 MB free", "make room").line() == "LOOK disk          1 MB free: make room"
    assert Finding("GIL", True, "off", "").line() == "ok   GIL           off"
