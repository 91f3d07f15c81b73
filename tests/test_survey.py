import json
import shutil
import subprocess
import sys
from dataclasses import replace

import nbformat
import papermill
import pytest

import perfkit
from perfkit.design.arms import parse_arm
from perfkit.errors import PlanError, StoreError
from perfkit.show import figures_engines

from .conftest import ROOT

SMALL = {
    "measure": True, "arms": "native/inputQ?batch=8", "vus": 5, "rate": 200, "budget_s": 5, "duration_s": 0.8,
    "warmup_s": 0.3, "repeats": 2,
}  # fmt: skip

BENCH = ROOT / "data/example/bench.json"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A survey of two arms, really measured, by the notebook."""
    folder = tmp_path_factory.mktemp("survey")
    papermill.execute_notebook(
        str(ROOT / "notebooks/engines.ipynb"), str(folder / "out.ipynb"), {**SMALL, "out": str(folder / "survey")},
        progress_bar=False, kernel_name="python3",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def stored():
    return survey.read(survey.runs())


def test_the_notebook_measures_every_arm_together_with_the_reference_and_alone(measured):
    found = survey.read(measured / "survey")
    assert [arm.name for arm in found.arms] == ["threads/mutex?workers=10", "native/inputQ?batch=8"]
    assert set(found.cost) | set(found.untrusted) == set(found.arms[1:])
    for trials in (found.closed, found.offered):
        assert trials.groupby("arm")["valid"].sum().to_dict() == {arm.name: 2 for arm in found.arms}
    assert (found.closed["rate"].isna().all(), set(found.offered["rate"])) == (True, {200})
    outputs = [output for cell in nbformat.read(measured / "out.ipynb", 4).cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(figures_engines.ALL)
    text = "\n".join(output.get("data", {}).get("text/markdown", "") for output in outputs)
    assert "At 5 VUs an arm" in text
    assert "| native/inputQ?batch=8 |" in text


def test_what_is_there_is_not_measured_again(measured, tmp_path):
    shutil.copytree(measured / "survey", tmp_path / "survey")
    joint = tmp_path / "survey/joint/native-inputQ-batch=8/trials.jsonl"
    before = joint.read_bytes()
    shutil.rmtree(tmp_path / "survey/offered")
    survey.runs(**{**SMALL, "out": tmp_path / "survey"})
    assert joint.read_bytes() == before
    assert len(perfkit.load(tmp_path / "survey/offered")) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arms": "inputQ,nope"}, "arm 'nope' is unknown"),
        ({"arms": "inputQ,mutex"}, "names an arm twice"),  # the reference is one of them
        ({"rate": None}, "rate=None offers nothing"),
        ({"vus": 0}, "vus=0 is no whole number"),
        ({"reference": "x"}, "arm 'x' is unknown"),
        ({"measure": "perhaps"}, "measure='perhaps' is neither True nor False"),
        ({"k6": "/no/k6"}, "k6='/no/k6' is no program"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(tmp_path, given, message):
    with pytest.raises(PlanError if "k6" not in given else perfkit.errors.LoadError, match=message):
        survey.runs(**{**SMALL, "out": tmp_path / "survey", **given})
    assert not list(tmp_path.rglob("trials.jsonl"))


def test_a_folder_without_a_survey_is_told(tmp_path):
    with pytest.raises(StoreError, match="holds no survey; measure one with measure=True"):
        survey.read(tmp_path)


def test_the_stored_survey_has_every_engine_and_pattern(stored):
    wanted = {parse_arm(name, workers=10) for name in f"{survey.REFERENCE},{survey.ARMS}".split(",")}
    assert set(stored.arms) == wanted
    assert stored.arms[0] == stored.reference


def test_a_queue_is_held_against_the_lock_of_its_own_engine_and_loop(stored):
    assert set(stored.queues) == {arm for arm in stored.arms if arm.pattern == "inputQ"}
    for arm, found in stored.queues.items():
        lock = survey.lock_of(arm, stored.arms)
        assert (lock.pattern, lock.engine, lock.loop) == ("mutex", arm.engine, arm.loop)
        home = "joint" if lock == stored.reference else "queues"
        answer = perfkit.answer(survey.EXAMPLE / home / survey.slug(arm))
        assert (answer.plan.a, answer.plan.b, answer.cpu_per_call) == (lock, arm, found)


def test_the_figure_has_the_surveys_numbers_on_its_axes(stored):
    figure = figures_engines.ladder(stored)
    figure.draw_without_rendering()  # the axis above follows the one below when drawn
    costs, queues = figure.axes
    for axes, arms, found in (
        (costs, stored.arms, stored.cost),
        (queues, tuple(stored.queues), stored.queues),
    ):
        assert [text.get_text().replace("\n", "") for text in axes.get_yticklabels()] == [arm.name for arm in arms]
        drawn = {float(one[0].get_ydata()[0]): one for one in axes.containers}
        for height, arm in enumerate(arms):
            if arm in found:
                line, _, (bars,) = drawn[height]
                assert float(line.get_xdata()[0]) == found[arm].ratio
                ends = bars.get_segments()[0][:, 0]
                assert (min(ends), max(ends)) == pytest.approx(found[arm].interval)
    fastest = min(one.ratio for one in stored.cost.values())
    (above,) = costs.child_axes
    assert above.get_xlim()[0] == pytest.approx(costs.get_xlim()[0] / fastest)


def test_an_arm_that_is_not_trusted_is_said_and_left_out_of_the_verdict(stored):
    arm = min(stored.cost, key=lambda one: stored.cost[one].ratio)
    others = {one: cost for one, cost in stored.cost.items() if one != arm}
    queues = {one: found for one, found in stored.queues.items() if one != arm}
    doubted = replace(stored, cost=others, queues=queues, untrusted={arm: "The instrument is not trusted here: A/A"})
    assert arm.name not in survey.headline(doubted)
    assert f"- {arm.name}: The instrument is not trusted here" in survey.verdict(doubted)
    assert f"| {arm.name} | not trusted |" in survey.table(doubted)
    assert figures_engines.ladder(doubted)


def test_it_matters_where_the_whole_interval_lies_beyond_three_per_cent(stored):
    arm = next(arm for arm in stored.arms if arm.name == "threads/inputQ?workers=10")
    for (low, high), told in {
        (1.04, 1.06): "it matters",
        (0.99, 1.01): "it hardly matters",
        (1.01, 1.06): "is not known",
        (0.8, 0.9): "it matters",
    }.items():
        queues = {**stored.queues, arm: replace(stored.queues[arm], ratio=(low + high) / 2, low=low, high=high)}
        (line,) = [
            one for one in survey.verdict(replace(stored, queues=queues)).splitlines() if f"- {arm.name} " in one
        ]
        assert line.endswith(f"{told}.")


def test_who_can_not_be_told_from_the_fastest_is_named(stored):
    first, second, *rest = stored.cost
    cost = {arm: replace(stored.cost[arm], ratio=0.9, low=0.88, high=0.92) for arm in rest}
    cost[first] = replace(stored.cost[first], ratio=0.300, low=0.290, high=0.310)
    cost[second] = replace(stored.cost[second], ratio=0.305, low=0.295, high=0.315)
    told = survey.headline(replace(stored, cost=cost))
    assert f"{first.name} needs the least CPU per call, 0.300 (0.290 to 0.310) times" in told
    assert told.endswith(f"; {second.name} can't be told from it.")


def test_what_limits_one_comparison_is_said_of_it(stored):
    told = survey.doubts(stored)
    assert "CPU per call holds for this load" not in told, "that limits them all, and the notebook says it"
    for arm, doubts in stored.doubts.items():
        for doubt in doubts:
            assert f"- {arm.name}: " in told
            assert doubt in told


def test_where_nothing_is_surely_faster_it_says_so(stored):
    slower = {arm: replace(cost, ratio=1.0, low=0.9, high=1.1) for arm, cost in stored.cost.items()}
    assert "no arm needs surely less CPU per call" in survey.headline(replace(stored, cost=slower))


def bench(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "bench/bench.py", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_readmes_table_is_what_the_bench_printed():
    told = bench("--read", BENCH)
    readme = (ROOT / "README.md").read_text()
    for line in told.stdout.splitlines():
        if line.startswith("|"):
            assert line in readme


def test_the_bench_says_which_targets_were_missed_and_ends_so(tmp_path):
    cells = json.loads(BENCH.read_text())
    for cell in cells:
        cell["metrics"]["cpu_per_call"]["ratio"] = 0.01
    good = tmp_path / "good.json"
    good.write_text(json.dumps(cells))
    assert (bench("--read", good).returncode, bench("--read", good).stdout.count("\nreached: ")) == (0, 5)
    cells[0]["metrics"]["cpu_per_call"]["ratio"] = 2.0
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(cells))
    assert (bench("--read", bad).returncode, bench("--read", bad).stdout.count("\nMISSED: ")) == (1, 1)


def test_the_bench_refuses_bad_input_in_one_line():
    told = bench("--arms", "nope")
    assert (told.returncode, "arm 'nope' is unknown" in told.stderr, "Traceback" in told.stderr) == (2, True, False)
