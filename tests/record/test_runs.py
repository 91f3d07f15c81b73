import fcntl
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from perfkit.analysis.stopping import is_over
from perfkit.design.plan import JOINT
from perfkit.errors import StoreError
from perfkit.record import runs
from perfkit.record.load import load, load_environment, load_plan
from perfkit.rig import host
from tests.support.plans import SMALL, plan_compare, plan_sweep


@pytest.fixture
def here():
    return host.collect({"k6": "1.1.0"})


def open_run(plan, here, out=""):
    return runs.open_run(plan, here, is_over, out)


def finish(opened, result, trials=None):
    """Append a good result for each trial of the next block, or for the first few of them."""
    block, attempt = opened.next_block()
    for trial in opened.plan.block(block)[:trials]:
        opened.append(result(trial, attempt=attempt))


def test_what_is_appended_is_loaded_a_row_a_trial(tmp_path, small_plan, here, result):
    with open_run(small_plan, here, tmp_path / "run") as opened:
        finish(opened, result)
        assert not is_over(small_plan, opened.finished)
        finish(opened, result)
        assert is_over(small_plan, opened.finished)
    table = load(tmp_path / "run")
    assert len(table) == 8
    assert table["complete"].all()
    assert table["valid"].all()
    assert sorted(set(table["vus"])) == [2, 5]
    assert table.attrs["run"] == str(tmp_path / "run")
    assert load_environment(tmp_path / "run") == here
    assert load_plan(tmp_path / "run") == small_plan


def test_every_finished_trial_is_on_disk_at_once(tmp_path, small_plan, here, result):
    with open_run(small_plan, here, tmp_path / "run") as opened:
        finish(opened, result, trials=1)
        assert len(load(tmp_path / "run")) == 1


def test_an_unfinished_block_stays_on_file_marked_and_is_done_anew(tmp_path, small_plan, here, result):
    with open_run(small_plan, here, tmp_path / "run") as opened:
        finish(opened, result)
        finish(opened, result, trials=3)
    with open_run(small_plan, here, tmp_path / "run") as opened:
        assert opened.next_block() == (1, 1)
        finish(opened, result)
        assert is_over(small_plan, opened.finished)
    table = load(tmp_path / "run")
    left = table[~table["complete"]]
    assert len(table) == 11
    assert (len(left), set(left["block"]), set(left["attempt"])) == (3, {1}, {0})
    assert not left["valid"].any()


def test_a_torn_last_line_is_dropped_with_a_warning(tmp_path, small_plan, here, result, caplog):
    folder = tmp_path / "run"
    with open_run(small_plan, here, folder) as opened:
        finish(opened, result, trials=2)
    whole = (folder / "trials.jsonl").read_bytes()
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(b'{"trial": {"blo')
    with caplog.at_level(logging.WARNING):
        assert len(load(folder)) == 2
    assert "torn" in caplog.text
    with open_run(small_plan, here, folder) as opened:
        finish(opened, result)
    assert (folder / "trials.jsonl").read_bytes().startswith(whole + b'{"trial": {"block"')
    assert len(load(folder)) == 6


def test_a_finished_comparison_goes_on_with_more_budget_and_counts_the_look(tmp_path, here, result):
    folder, plan = tmp_path / "run", plan_compare(budget_s=1, precision_pct=0)
    with open_run(plan, here, folder) as opened:
        while not is_over(plan, opened.finished):
            finish(opened, result)
    with pytest.raises(StoreError, match="is finished; draw it"), open_run(plan, here, folder):
        pass
    longer = plan_compare(budget_s=1e6, precision_pct=0)
    for _ in range(2):  # the second time it is the extended one that is continued
        with open_run(longer, here, folder) as opened:
            assert len(opened.finished) == 6, "nothing measured is lost"
            assert opened.plan.stop.looks == 2
        assert load_plan(folder) == replace(longer, stop=replace(longer.stop, looks=2))
    with pytest.raises(StoreError, match=r"another plan: budget_s 1000000\.0 there, 1\.0 asked for"):
        open_run(plan, here, folder).__enter__()


def test_without_a_name_the_unfinished_run_is_found_again_and_a_finished_one_left_alone(
    tmp_path, monkeypatch, small_plan, here, result
):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    with open_run(small_plan, here) as opened:
        first = opened.folder
        finish(opened, result)
    with open_run(plan_sweep(vus="3", repeats=1), here) as opened:
        assert opened.folder != first
    with open_run(small_plan, replace(here, machine="another")) as opened:
        assert opened.folder != first
    with open_run(small_plan, here) as opened:
        assert opened.folder == first
        with open_run(small_plan, here) as another:
            assert another.folder != first, "a run in use was taken"
        finish(opened, result)
    with open_run(small_plan, here) as opened:
        assert opened.folder != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "of another plan: seed 1 there, 2 asked for"),
        ({"vus": "2,6"}, "of another plan: vus 2,5 there, 2,6 asked for"),
        ({"duration_s": 2.0}, r"duration_s 0\.7 there, 2\.0"),
        ({"arms": "mutex"}, "of another plan: arms threads/mutex"),
        ({"method": "joint"}, "of another plan: methods solo there, joint,solo asked for"),
    ],
)
def test_a_folder_of_another_plan_is_refused_by_name(tmp_path, small_plan, here, change, message):
    with open_run(small_plan, here, tmp_path / "run"):
        pass
    with pytest.raises(StoreError, match=message):
        with open_run(plan_sweep(**{**SMALL, **change}), here, tmp_path / "run"):
            pass


def test_a_folder_of_another_machine_is_refused_with_both_values(tmp_path, small_plan, here):
    with open_run(small_plan, here, tmp_path / "run"):
        pass
    with pytest.raises(StoreError, match=r"k6 '1\.1\.0' there, '2\.2\.0' here"):
        with open_run(small_plan, replace(here, k6="2.2.0"), tmp_path / "run"):
            pass


@pytest.mark.parametrize(
    "change", [{"code": "another"}, {"cpu_model": "another"}, {"programs": {"./server {port}": "another"}}]
)
def test_a_run_is_continued_only_by_the_code_and_the_programs_that_began_it(tmp_path, small_plan, here, change):
    """As much as by the machine: half a run of other code would not compare with the rest."""
    with open_run(small_plan, here, tmp_path / "run"):
        pass
    (name,) = change
    with pytest.raises(StoreError, match=rf"is not of what would be measured now: {name} .* there, .*another.* here"):
        with open_run(small_plan, replace(here, **change), tmp_path / "run"):
            pass


def test_a_commit_that_changes_no_measured_code_lets_a_run_go_on(tmp_path, small_plan, here):
    with open_run(small_plan, here, tmp_path / "run"):
        pass
    with open_run(small_plan, replace(here, git_commit="another"), tmp_path / "run"):
        pass


def test_a_run_without_a_digest_of_its_code_can_be_drawn_and_not_continued(tmp_path, small_plan, here, result):
    """As perfkit 0.1 wrote them."""
    with open_run(small_plan, here, tmp_path / "run") as opened:
        finish(opened, result)
    path = tmp_path / "run" / "environment.json"
    old = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("code", "programs")}
    path.write_text(json.dumps(old))
    assert len(load(tmp_path / "run")) == 4
    with pytest.raises(StoreError, match="it has no digest of the code that it measured, being of an older perfkit"):
        with open_run(small_plan, here, tmp_path / "run"):
            pass


def test_a_folder_of_another_schema_is_refused(tmp_path, small_plan, here):
    folder = tmp_path / "run"
    with open_run(small_plan, here, folder):
        pass
    (folder / "plan.json").write_text(json.dumps({**small_plan.to_dict(), "schema": 99}))
    with pytest.raises(StoreError, match="schema 99, this perfkit reads 1, 2"):
        load(folder)


def test_a_finished_named_run_is_not_measured_into(tmp_path, here, result):
    plan = plan_sweep(vus="2", repeats=1)
    with open_run(plan, here, tmp_path / "run") as opened:
        finish(opened, result)
    with pytest.raises(StoreError, match="is finished; draw it with run="):
        with open_run(plan, here, tmp_path / "run"):
            pass


def test_a_folder_with_something_else_in_it_is_refused(tmp_path, small_plan, here):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds 'thesis\.txt' and no run"):
        with open_run(small_plan, here, tmp_path):
            pass


def test_a_folder_that_can_not_be_written_is_refused(tmp_path, small_plan, here):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't write to run folder .*file/run: .*out="):
        with open_run(small_plan, here, tmp_path / "file" / "run"):
            pass


def test_a_run_in_use_is_refused(tmp_path, small_plan, here):
    with open_run(small_plan, here, tmp_path / "run"):
        with pytest.raises(StoreError, match="in use by another process"):
            with open_run(small_plan, here, tmp_path / "run"):
                pass
    with (tmp_path / "run" / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"is no run folder: plan\.json can't be read"):
        load(tmp_path)


def test_the_table_survives_csv(simulated_sweep, tmp_path):
    import pandas as pd

    table = load(simulated_sweep)
    table.to_csv(tmp_path / "trials.csv", index=False)
    back = pd.read_csv(tmp_path / "trials.csv", keep_default_na=True)
    assert list(back.columns) == list(table.columns)
    assert back["throughput_rps"].tolist() == pytest.approx(table["throughput_rps"].tolist())
    assert Path(simulated_sweep, "k6").is_dir()


def test_joint_and_solo_trials_of_a_comparison_are_loaded_apart(tmp_path, here, result):
    plan = plan_compare(method="joint", solo=True)
    with open_run(plan, here, tmp_path / "run") as opened:
        finish(opened, result)
        finish(opened, result, trials=2)
        assert opened.next_block() == (1, 1)
    joint, solo = load(tmp_path / "run", JOINT), load(tmp_path / "run")
    assert len(joint[joint["complete"]]) == 4
    assert sorted(solo.loc[solo["complete"], "role"]) == ["a", "b", "handicap"]
    assert set(joint["role"]) == {"a", "aa", "handicap", "b"}


def test_a_run_without_joint_trials_gives_an_empty_table_that_can_be_filtered(tmp_path, small_plan, here):
    with open_run(small_plan, here, tmp_path / "run"):
        joint = load(tmp_path / "run", JOINT)
    assert joint[joint["valid"]].columns.tolist() == joint.columns.tolist()


def test_a_sweep_is_not_continued_as_a_comparison(tmp_path, small_plan, here):
    with open_run(small_plan, here, tmp_path / "run"):
        pass
    with pytest.raises(StoreError, match="holds a sweep, not a compare"):
        with open_run(plan_compare(), here, tmp_path / "run"):
            pass


def test_raw_summaries_of_an_arm_compared_with_itself_do_not_overwrite_each_other(tmp_path, here, result):
    plan = plan_compare(a="mutex", b="mutex", solo=True)
    with open_run(plan, here, tmp_path / "run") as opened:
        paths = {opened.raw_summary(result(trial)) for trial in plan.block(0)}
    assert len(paths) == len(plan.block(0))
