import inspect

import pytest

import perfkit
from perfkit.errors import LoadError, PlanError, StoreError

from .conftest import SMALL


@pytest.mark.parametrize("kind", experiment.PLANNERS)
def test_a_plans_defaults_are_those_of_its_function(kind):
    planned, told = (
        {name: one.default for name, one in inspect.signature(function).parameters.items()}
        for function in (experiment.PLANNERS[kind], getattr(perfkit, kind))
    )
    assert planned == {name: default for name, default in told.items() if name not in ("k6", "out", "run")}


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
