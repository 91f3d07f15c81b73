import inspect
import signal
import subprocess
import sys
import time

import pytest

import perfkit
from perfkit import experiment
from perfkit.errors import LoadError, PlanError, StoreError

from .conftest import SMALL
from .test_process import gone_within


@pytest.mark.parametrize("kind", experiment.PLANNERS)
def test_a_plans_defaults_are_those_of_its_function(kind):
    planned, told = (
        {name: one.default for name, one in inspect.signature(function).parameters.items()}
        for function in (experiment.PLANNERS[kind], getattr(perfkit, kind))
    )
    assert planned == {name: default for name, default in told.items() if name not in ("k6", "out", "run")}


def start(out):
    source = f"import perfkit; perfkit.sweep(**{SMALL!r}, out={str(out)!r})"
    return subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.PIPE)


def wait_for_trials(out, count):
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        path = out / "trials.jsonl"
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no trial was finished in a minute")


def test_a_sweep_measures_every_trial_of_its_plan(measured):
    table = perfkit.load(measured)
    assert len(table) == 8
    assert table["complete"].all()
    assert table["valid"].all(), table[["flags"]]
    assert (table["final_count"] >= table["acknowledged"]).all()
    assert len(list((measured / "k6").glob("*.json.gz"))) == 8
    assert perfkit.load_environment(measured).k6


def test_a_stored_run_is_returned_without_measuring(measured):
    before = (measured / "trials.jsonl").read_bytes()
    assert perfkit.sweep(run=measured) == measured
    assert (measured / "trials.jsonl").read_bytes() == before


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_was_ended_leaves_nothing_running_and_continues(tmp_path, descendants, stop):
    out = tmp_path / "run"
    first = start(out)
    wait_for_trials(out, 1)
    time.sleep(1)  # into the second trial: server and k6 are up
    children = descendants(first.pid)
    assert len(children) >= 1
    first.send_signal(stop)
    first.communicate(timeout=30)
    assert gone_within(children, 5)
    finished = (out / "trials.jsonl").read_bytes()
    assert perfkit.sweep(**SMALL, out=out) == out
    assert (out / "trials.jsonl").read_bytes().startswith(finished)
    table = perfkit.load(out)
    assert table["complete"].sum() == 8
    assert table.loc[table["complete"], "valid"].all()
    left = table[~table["complete"]]
    assert set(left["attempt"]) <= {0}


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"vus": 0}, PlanError),
        ({"k6": "/no/such/k6"}, LoadError),
        ({"run": "/no/such/run"}, StoreError),
        ({"out": "/dev/null/run"}, StoreError),
    ],
)
def test_what_is_refused_is_refused_before_anything_starts(tmp_path, parameters, error, monkeypatch):
    monkeypatch.setattr(experiment.runner, "measure", lambda *_: pytest.fail("a trial was started"))
    with pytest.raises(error):
        perfkit.sweep(**{**SMALL, "out": str(tmp_path / "run"), **parameters})
    assert not (tmp_path / "run").exists()
    with pytest.raises(error):
        experiment.prepare("sweep", **{**SMALL, "out": str(tmp_path / "run"), **parameters})
