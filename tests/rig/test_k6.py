import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import LoadError
from perfkit.rig import process
from perfkit.rig.generators import k6
from perfkit.rig.generators.contract import Target, Window
from perfkit.rig.ports import LOOPBACK, free_port
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from tests.support import ROOT
from tests.support.clock import SimulatedClock
from tests.support.servers import foreign

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


class Program:
    """A k6 that says lines at moments, and ends when told to."""

    def __init__(self, clock, log):
        self.pid, self.returncode, self._clock, self._log = 1, None, clock, log

    def says(self, at_s, line):
        self._clock.at(at_s, lambda: (self._log.write(line.encode()), self._log.flush()))

    def ends(self, at_s, code):
        self._clock.at(at_s, lambda: setattr(self, "returncode", code))

    def poll(self):
        return self.returncode


@pytest.fixture
def started():
    """A k6 on simulated time: (clock, program, what perfkit has of it)."""
    clock = SimulatedClock()
    with tempfile.TemporaryFile() as log:
        program = Program(clock, log)
        yield clock, program, k6.RunningK6(program, log, Path("/no/summary"), 1, is_script=False, clock=clock)


def test_the_window_is_the_one_that_k6_says_as_soon_as_it_says_it(started):
    clock, program, running = started
    program.says(2.0, "perfkit answered\n")
    program.says(3.0, "perfkit window 5000 6000\n")
    assert running.window() == Window(5000, 6000)
    assert clock.monotonic() == pytest.approx(3.0, abs=0.02)
    assert running.answered() == 1


def test_a_k6_that_says_nothing_is_waited_for_so_long_and_then_named_with_what_it_said(started):
    clock, program, running = started
    program.says(1.0, "loading\n")
    with pytest.raises(LoadError, match=r"k6 did not start its load within 60 s; it said: 'loading"):
        running.window()
    assert clock.monotonic() == pytest.approx(k6.START_S, abs=0.02)


def test_a_k6_that_ends_before_its_window_is_named_at_once(started):
    clock, program, running = started
    program.says(0.9, "no such file\n")
    program.ends(1.0, 107)
    with pytest.raises(LoadError, match="k6 ended with exit code 107 in mid-trial; it said: 'no such file"):
        running.window()
    assert clock.monotonic() == pytest.approx(1.0, abs=0.02)


def by_hand(address, **settings):
    """Run the script as a person does; return what it prints."""
    words = [
        word for name, value in {"ADDRESS": address, "VUS": 2, **settings}.items() for word in ("-e", f"{name}={value}")
    ]
    argv = [k6.find().path, "run", "-q", "--address=", *words, str(ROOT / "k6" / "counter.js")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=150, check=True).stdout


@pytest.mark.load
def test_by_hand_the_script_prints_what_it_measured():
    with serving(parse_arm("mutex", 10), process.Place()) as server:
        told = by_hand(server.address, WAIT_S=60, DURATION_S=1, WARMUP_S=0.2)
    assert re.search(rf"{server.address}: \d+ calls acknowledged in 1 s, \d+\.\d/s\n  latency in ms: avg", told)


@pytest.mark.load
def test_a_server_that_is_not_there_is_counted_as_failures_and_never_as_calls():
    """A dead server must not look fast: after each failure comes a pause of a second."""
    told = by_hand("127.0.0.1:9", DURATION_S=1, WARMUP_S=0)
    assert "127.0.0.1:9: 0 calls acknowledged" in told
    (failed,) = re.findall(r"failed with no connection: (\d+)", told)
    assert 1 <= int(failed) <= 4


@pytest.mark.full
@pytest.mark.load
def test_a_call_over_the_time_limit_is_counted_with_its_status_and_in_no_latency(tmp_path):
    """The server answers calls that only ask, and stands still in those that count."""
    command = foreign(tmp_path, before="import time\n").replace("{port}", str(port := free_port(LOOPBACK)))
    path = tmp_path / "server.py"
    path.write_text(path.read_text().replace("self.count +=", "time.sleep(60 * request.value); self.count +="))
    with process.child(command.split(), Place(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        told = by_hand(f"127.0.0.1:{port}", WAIT_S=60, DURATION_S=5, WARMUP_S=0, TIMEOUT_S=1)
    assert ": 0 calls acknowledged" in told
    (failed,) = re.findall(r"failed with status 4: (\d+)", told)
    assert 1 <= int(failed) <= 2 * (5 / 1 + 1)


@pytest.mark.load
def test_a_server_that_dies_under_load_is_counted_as_failures_with_a_pause():
    load = Load(vus=3, warmup_s=0, duration_s=3)
    with (
        serving(parse_arm("mutex", 10), process.Place()) as server,
        k6.running(k6.find(), [Target(server.address)], load, Place()) as running,
    ):
        running.window()
        os.kill(server.pid, signal.SIGKILL)
        calls = k6.calls(running.finish(60), 0)
    assert 1 <= calls.failed_total <= 3 * 4, "each VU pauses for a second after a failure"
    assert set(calls.failed_by_status) <= {"14", "connect"}
    assert calls.cut_off_total == 0
