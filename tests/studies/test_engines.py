import json
import runpy
import shutil
from dataclasses import replace

import pytest

import perfkit
from perfkit import notebooks
from perfkit.design.arms import parse_arm
from perfkit.design.plan import A, B
from perfkit.errors import PlanError, StoreError
from perfkit.record.runs import slug
from perfkit.show import report_studies, words
from perfkit.show.figures import engines as figures_engines
from perfkit.studies import engines
from tests.support import ROOT
from tests.support.notebooks import outputs_of, text
from tests.support.trials import own_flags

SMALL = {
    "measure": True, "arms": "native/inputQ?batch=8", "vus": 5, "rate": 200, "budget_s": 5, "duration_s": 0.7,
    "warmup_s": 0.3, "repeats": 1,
}  # fmt: skip

BENCH = ROOT / "data/example/bench.json"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A survey of two arms, really measured, by the notebook."""
    folder = tmp_path_factory.mktemp("survey")
    notebooks.execute("engines.ipynb", {**SMALL, "out": str(folder / "survey")}, folder / "out.ipynb")
    return folder


@pytest.fixture(scope="module")
def stored():
    return perfkit.survey(perfkit.engines())


@pytest.mark.full
@pytest.mark.load
def test_the_notebook_measures_every_arm_together_with_the_reference_and_alone(measured):
    found = perfkit.survey(measured / "survey")
    assert [arm.name for arm in found.arms] == ["threads/mutex?workers=10", "native/inputQ?batch=8"]
    assert set(found.answers) == set(found.arms[1:])
    for trials in (found.closed, found.offered):
        assert trials.groupby("arm").size().to_dict() == {arm.name: 1 for arm in found.arms}
        assert own_flags(trials) == set()
    assert (found.closed["rate"].isna().all(), set(found.offered["rate"])) == (True, {200})
    outputs = outputs_of(measured / "out.ipynb")
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(figures_engines.ALL)
    shown = text(measured / "out.ipynb")
    assert "Under k6 at 5 VUs an arm" in shown
    assert "| native/inputQ?batch=8 |" in shown


@pytest.mark.full
def test_what_is_there_is_not_measured_again(measured, tmp_path):
    shutil.copytree(measured / "survey", tmp_path / "survey")
    paired = tmp_path / "survey/turns/native-inputQ-batch=8/trials.jsonl"
    before = paired.read_bytes()
    shutil.rmtree(tmp_path / "survey/offered")
    perfkit.engines(**{**SMALL, "out": tmp_path / "survey"})
    assert paired.read_bytes() == before
    assert len(perfkit.load(tmp_path / "survey/offered")) == 2


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
        perfkit.engines(**{**SMALL, "out": tmp_path / "survey", **given})
    assert not list(tmp_path.rglob("trials.jsonl"))


def test_a_folder_without_a_survey_is_named(tmp_path):
    with pytest.raises(StoreError, match="holds no survey; measure one with measure=True"):
        perfkit.survey(tmp_path)


@pytest.mark.slow
def test_the_stored_survey_has_every_engine_and_pattern(stored):
    wanted = {parse_arm(name, workers=10) for name in f"{engines.REFERENCE},{engines.ARMS}".split(",")}
    assert set(stored.arms) == wanted
    assert stored.arms[0] == stored.reference


@pytest.mark.full
def test_a_queue_is_held_against_the_lock_of_its_own_engine_and_loop(stored):
    assert set(stored.queues) == {arm for arm in stored.arms if arm.pattern == "inputQ"}
    for arm, queue in stored.queues.items():
        lock = engines.lock_of(arm, stored.arms)
        assert (lock.pattern, lock.engine, lock.loop) == ("mutex", arm.engine, arm.loop)
        home = "turns" if lock == stored.reference else "queues"
        answer = perfkit.answer(engines.EXAMPLE / home / slug(arm.name))
        assert (answer.plan.arm(A), answer.plan.arm(B), answer.cpu_per_call) == (lock, arm, queue.cpu_per_call)


@pytest.mark.full
def test_the_figure_has_the_surveys_numbers_on_its_axes(stored):
    figure = figures_engines.ladder(stored)
    figure.draw_without_rendering()  # the axis above follows the one below when drawn
    costs, queues = figure.axes
    for axes, arms, found in (
        (costs, stored.arms, stored.cost),
        (queues, tuple(stored.queue_cost), stored.queue_cost),
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


def with_ratio(answer, ratio, low, high):
    return replace(answer, cpu_per_call=replace(answer.cpu_per_call, ratio=ratio, low=low, high=high))


def test_an_arm_that_is_not_trusted_is_named_and_left_out_of_the_verdict(stored):
    arm = min(stored.cost, key=lambda one: stored.cost[one].ratio)
    failed = {name: replace(control, ok=False) for name, control in stored.answers[arm].controls.items()}
    answers, queues = (
        {
            one: replace(answer, controls=failed, verdict="not trusted") if one == arm else answer
            for one, answer in several.items()
        }
        for several in (stored.answers, stored.queues)
    )
    doubted = replace(stored, answers=answers, queues=queues)
    assert arm.name not in report_studies.engines_headline(doubted)
    assert f"- {arm.name}: The instrument is not trusted here" in report_studies.engines_verdict(doubted)
    assert f"| {arm.name} | not trusted |" in report_studies.engines_table(doubted)
    assert figures_engines.ladder(doubted)


def test_queue_and_lock_are_judged_by_the_margin_of_a_comparison(stored):
    arm = next(arm for arm in stored.arms if arm.name == "threads/inputQ?workers=10")
    for (low, high), says in {
        (1.04, 1.06): "dearer, +5.0 %",
        (1.01, 1.06): "dearer, +3.5 %",
        (0.99, 1.01): "no relevant difference, +0.0 %",
        (0.98, 1.06): "not known yet, +2.0 %",
        (0.8, 0.9): "cheaper, -15.0 %",
    }.items():
        queues = {**stored.queues, arm: with_ratio(stored.queues[arm], (low + high) / 2, low, high)}
        lines = report_studies.engines_verdict(replace(stored, queues=queues)).splitlines()
        (line,) = [one for one in lines if f"- {arm.name} " in one]
        assert f"on the same engine: {says} (95 % interval" in line


def test_arms_that_can_not_be_told_from_the_cheapest_are_named(stored):
    first, second, *rest = stored.answers
    answers = {arm: with_ratio(stored.answers[arm], 0.9, 0.88, 0.92) for arm in rest}
    answers[first] = with_ratio(stored.answers[first], 0.300, 0.290, 0.310)
    answers[second] = with_ratio(stored.answers[second], 0.305, 0.295, 0.315)
    headline = report_studies.engines_headline(replace(stored, answers=answers))
    assert f"{first.name} needs the least CPU per call, 0.300 (0.290 to 0.310) times" in headline
    assert f"; {second.name} can't be told from it." in headline


@pytest.mark.full
def test_a_survey_of_perfkit_0_1_is_read(tmp_path):
    for name in ("queues", "closed", "offered"):
        (tmp_path / name).symlink_to(engines.EXAMPLE / name)
    (tmp_path / "joint").symlink_to(engines.EXAMPLE / "turns")
    assert engines.read(tmp_path).cost == engines.read(engines.EXAMPLE).cost


def test_what_limits_one_comparison_is_said_of_it(stored):
    said = report_studies.engines_caveats(stored)
    assert words.LOADS["turns"] not in said, "that limits them all, and the notebook says it"
    for arm, answer in stored.answers.items():
        for caveat in words.caveats(answer):
            if caveat != words.LOADS["turns"]:
                assert f"- {arm.name}: " in said
                assert caveat in said


def test_where_nothing_is_surely_cheaper_it_says_so(stored):
    answers = {arm: with_ratio(answer, 1.0, 0.9, 1.1) for arm, answer in stored.answers.items()}
    said = report_studies.engines_headline(replace(stored, answers=answers))
    assert "no arm needs surely less CPU per call" in said


@pytest.fixture
def bench(capsys):
    """Run bench/bench.py with arguments; give (exit code, stdout, stderr)."""
    main = runpy.run_path(str(ROOT / "bench/bench.py"))["main"]

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse's way
            code = error.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_the_readmes_table_is_what_the_bench_printed(bench):
    _, out, _ = bench("--read", BENCH)
    readme = (ROOT / "docs/engines.md").read_text()
    for line in out.splitlines():
        if line.startswith("|"):
            assert line in readme


def test_what_is_stored_of_the_bench_names_no_path_of_the_machine():
    assert "exec:" not in BENCH.read_text()


def test_the_bench_says_which_targets_were_missed_and_ends_so(tmp_path, bench):
    cells = json.loads(BENCH.read_text())
    for cell in cells:
        cell["metrics"]["cpu_per_call"]["ratio"] = 0.01
    good = tmp_path / "good.json"
    good.write_text(json.dumps(cells))
    code, out, _ = bench("--read", good)
    assert (code, out.count("\nreached: ")) == (0, 5)
    cells[0]["metrics"]["cpu_per_call"]["ratio"] = 2.0
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(cells))
    code, out, _ = bench("--read", bad)
    assert (code, out.count("\nMISSED: ")) == (1, 1)


def test_the_bench_refuses_bad_input_in_one_line(bench):
    code, _, err = bench("--arms", "nope")
    assert (code, "arm 'nope' is unknown" in err) == (2, True)
