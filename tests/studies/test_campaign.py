import json
import shutil

import pytest

import perfkit
from perfkit.errors import LoadError, PlanError, StoreError
from perfkit.rig import trial
from perfkit.studies import sweep
from perfkit.studies.catalogue import CATALOGUE
from perfkit.studies.common import campaign
from tests.support.plans import SMALL, plan_sweep
from tests.support.trials import own_flags


@pytest.fixture
def no_trial(monkeypatch):
    monkeypatch.setattr(trial, "measure", lambda *_: pytest.fail("a trial was started"))


def test_a_sweep_measures_every_trial_of_its_plan(measured):
    table = perfkit.load(measured)
    assert len(table) == 8
    assert table["complete"].all()
    assert own_flags(table) == set()
    assert (table["final_count"] >= table["acknowledged"]).all()
    assert len(list((measured / "k6").glob("*.json.gz"))) == 8
    environment = perfkit.load_environment(measured)
    assert environment.k6
    assert environment.code


@pytest.mark.usefixtures("no_trial")
def test_a_stored_run_is_returned_without_measuring(measured):
    assert perfkit.sweep(run=measured) == measured


@pytest.mark.usefixtures("no_trial")
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"vus": 0}, PlanError),
        ({"k6": "/no/such/k6"}, LoadError),
        ({"run": "/no/such/run"}, StoreError),
        ({"out": "/dev/null/run"}, StoreError),
    ],
)
def test_what_is_refused_is_refused_before_anything_starts(tmp_path, parameters, error):
    with pytest.raises(error):
        perfkit.sweep(**{**SMALL, "out": str(tmp_path / "run"), **parameters})
    assert not (tmp_path / "run").exists()
    with pytest.raises(error):
        campaign.prepare(sweep.STUDY, {**SMALL, "out": str(tmp_path / "run"), **parameters})


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_study_makes_plans_of_its_defaults(name):
    for plan in CATALOGUE[name].plans().values():
        assert plan.block(0)
        assert plan.study in CATALOGUE


@pytest.mark.usefixtures("no_trial")
@pytest.mark.parametrize("name", ["engines", "published"])
def test_a_study_of_several_runs_gives_the_stored_ones_unless_it_is_to_measure(name):
    study = CATALOGUE[name]
    assert study.function() == study.example


def two():
    """A campaign of the measured sweep and one more."""
    return {"first": plan_sweep(**SMALL), "second": plan_sweep(**{**SMALL, "vus": "3", "repeats": 1})}


def test_a_campaign_keeps_what_is_finished_and_measures_the_rest(measured, tmp_path):
    shutil.copytree(measured, tmp_path / "first")
    before = (tmp_path / "first/trials.jsonl").read_bytes()
    folders = list(campaign.measure(two(), tmp_path))
    assert folders == [tmp_path / "first", tmp_path / "second"]
    assert (tmp_path / "first/trials.jsonl").read_bytes() == before
    assert len(perfkit.load(tmp_path / "second")) == 2


@pytest.mark.usefixtures("no_trial")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu_model": "another"}, "cpu_model 'another' there, "),
        ({"k6": "9.9.9"}, r"k6 '9\.9\.9' there, "),
        ({"code": "another"}, "code 'another' there, "),
    ],
)
def test_a_finished_run_of_another_machine_k6_or_code_is_not_taken_as_good(measured, tmp_path, change, message):
    shutil.copytree(measured, tmp_path / "first")
    path = tmp_path / "first/environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match=message):
        list(campaign.measure(two(), tmp_path))
    assert not (tmp_path / "second").exists()
