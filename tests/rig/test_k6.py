import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from perfkit.design.plan import Load
from perfkit.errors import LoadError
from perfkit.rig import process
from perfkit.rig.generators import k6
from perfkit.rig.generators.contract import Target
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from tests.conftest import ROOT

RECORDED = ROOT / "tests" / "data" / "k6"


def recorded(version, case):
    """A summary of the real k6, its submetrics renamed to counter.js's: the script that recorded had one scenario."""
    text = (RECORDED / f"{version}-{case}.json").read_text()
    text = text.replace("calls{phase:measure}", "sent{phase:measure}")
    text = text.replace("calls{phase:measure,status:0}", "acknowledged{phase:measure}")
    return json.loads(text.replace("{phase:", "{scenario:server0,phase:"))


def program(folder, says):
    path = folder / "k6"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", ["v1.1.0", "v2.2.0"])
def test_results_of_k6_1_and_2_are_read_alike(version):
    calls = k6.calls(recorded(version, "closed"), 0)
    assert calls.acknowledged == calls.latency.count == calls.sent > 6000
    assert calls.failed_total == 0
    assert 0 < calls.latency.min_ms < calls.latency.at("50") < calls.latency.avg_ms < calls.latency.max_ms
    assert calls.data_sent_bytes > 0 < calls.data_received_bytes
    assert calls.iteration.count == calls.latency.count
    assert calls.latency.at("99") is not None
    assert (calls.latency.at("99.9") is None) == (calls.latency.count < 6620)


@pytest.mark.parametrize("version", ["v1.1.0", "v2.2.0"])
def test_calls_that_timed_out_are_in_no_latency(version):
    calls = k6.calls(recorded(version, "timeouts"), 0)
    assert calls.latency.count == calls.acknowledged < calls.sent


@pytest.mark.parametrize("version", ["v1.1.0", "v2.2.0"])
def test_a_statistic_of_nothing_is_absent_not_zero(version):
    latency = k6.calls(recorded(version, "no-server"), 0).latency
    assert (latency.count, latency.avg_ms, latency.percentiles_ms) == (0, None, {})


def test_the_k6_at_hand_is_found():
    found = k6.find()
    assert Path(found.path).exists()
    assert re.fullmatch(r"\d+\.\d+\.\d+", found.version)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("k6 v0.57.0 (go1.23)", r"version 0\.57\.0, which perfkit refuses; install k6 1\.1 or newer"),
        ("k6 v1.0.0 (go1.23)", r"version 1\.0\.0"),
        ("k6 v1.2.3 (go1.24)", r"version 1\.2\.3"),
        ("something else", "does not say a version"),
    ],
)
def test_a_k6_that_would_give_wrong_numbers_is_refused(tmp_path, says, message):
    with pytest.raises(LoadError, match=message):
        k6.find(program(tmp_path, says))


@pytest.mark.parametrize(
    "says",
    [
        "k6 v1.1.0 (x)",
        "k6 v1.3.0 (x)",
        "k6 v2.2.0 (commit/abc, go1.25)",
        "k6-2.2.0 v2.2.0 (x)",
        "my-xk6.exe v1.4.0 (x)",
    ],
)
def test_other_versions_are_taken(tmp_path, says):
    assert k6.find(program(tmp_path, says)).version in says


def test_a_missing_k6_is_named_with_what_to_install():
    with pytest.raises(LoadError, match=r"k6='/no/such/k6' is no program.*make setup.*k6=PATH"):
        k6.find("/no/such/k6")


def test_a_users_own_k6_settings_do_not_reach_the_load(monkeypatch):
    monkeypatch.setenv("K6_VUS", "7")
    monkeypatch.setenv("K6_OUT", "json=x")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    kept = k6._environment((1,))
    assert "K6_VUS" not in kept
    assert "K6_OUT" not in kept
    assert "HTTP_PROXY" not in kept
    assert kept["GOMAXPROCS"] == "1"


@pytest.mark.load
def test_a_load_on_nobody_is_counted_as_failures_with_a_pause(monkeypatch):
    """A dead server must not look fast."""
    monkeypatch.setattr(process, "START_S", 0.1)  # how long k6 waits for it
    load = Load(vus=2, warmup_s=0, duration_s=2)
    with k6.running(k6.find(), [Target("127.0.0.1:9")], load, Place()) as running:
        running.window()
        calls = k6.calls(running.finish(60), 0)
    assert calls.acknowledged_total == 0
    assert 2 <= calls.failed_by_status["connect"] <= 8
    assert calls.sent_total == 0
    assert calls.cut_off_total == 0


@pytest.mark.load
def test_by_hand_the_script_prints_what_it_measured():
    from perfkit.design.arms import parse_arm

    arm = parse_arm("mutex", 10)
    with serving(arm, process.Place()) as server:
        told = subprocess.run(
            [k6.find().path, "run", "-q", "--address=", "-e", f"ADDRESS={server.address}", "-e", "WAIT_S=10",
             "-e", "VUS=2", "-e", "DURATION_S=1", "-e", "WARMUP_S=0.2", str(ROOT / "k6" / "counter.js")],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert re.search(rf"{server.address}: \d+ calls acknowledged in 1 s, \d+\.\d/s\n  latency in ms: avg", told.stdout)


@pytest.mark.load
def test_a_server_that_dies_under_load_is_counted_as_failures_with_a_pause():
    from perfkit.design.arms import parse_arm

    arm = parse_arm("mutex", 10)
    load = Load(vus=3, warmup_s=0, duration_s=3)
    with (
        serving(arm, process.Place()) as server,
        k6.running(k6.find(), [Target(server.address)], load, Place()) as running,
    ):
        running.window()
        time.sleep(1)
        os.kill(server.pid, signal.SIGKILL)
        calls = k6.calls(running.finish(60), 0)
    assert calls.acknowledged_total > 20
    assert 3 <= calls.failed_by_status["14"] <= 12
    assert calls.cut_off_total == 0
