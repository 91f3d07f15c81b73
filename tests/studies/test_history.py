import json
import re
import shutil

import pytest

from perfkit.cli import main
from perfkit.errors import StoreError
from perfkit.studies.several.history import changes, read_all
from tests.support import ROOT

EXAMPLE = ROOT / "data/example/compare-joint"


@pytest.fixture
def runs(tmp_path):
    """Make copies of a stored comparison, each later than the last, of which `b` costs so many times as much."""

    def make(*factors, **environment):
        folders = []
        for number, factor in enumerate(factors):
            folder = tmp_path / "history" / f"commit-{number}"
            folder.mkdir(parents=True)
            shutil.copy(EXAMPLE / "plan.json", folder)
            told = json.loads((EXAMPLE / "environment.json").read_text())
            told |= {"git_commit": f"c{number}", **(environment if number else {})}
            (folder / "environment.json").write_text(json.dumps(told))
            lines = [json.loads(line) for line in (EXAMPLE / "trials.jsonl").read_text().splitlines()]
            for line in lines:
                line["started_at"] = re.sub(r"^\d{4}", str(2030 + number), line["started_at"])
                for seat, served in zip(line["trial"]["seats"], line["served"], strict=True):
                    served["usage"]["cpu_s"] *= factor if seat["role"] == "b" else 1
            (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            folders.append(folder)
        return folders

    return make


@pytest.mark.slow
def test_a_change_is_found_and_the_same_again_is_none(runs):
    before, dearer, same = read_all(runs(1, 1.05, 1))
    (change,) = changes(before, dearer).values()
    assert change.ratio == pytest.approx(1.05)
    assert change.low > 1.03
    (none,) = changes(before, same).values()
    assert none.ratio == pytest.approx(1)
    assert none.low < 1 < none.high


@pytest.mark.slow
def test_runs_are_in_order_of_time_whatever_the_order_of_words(runs, capsys):
    first, second = runs(1, 1.05, packages={"grpcio": "2"})
    assert main(["diff", str(second), str(first)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("commit-0 (2030")
    assert "CPU per call: rose, +5.0 % (95 % interval +" in said
    assert "git_commit: c0 → c1" in said
    assert "packages: grpcio: 1.85.1 → 2" in said


@pytest.mark.full
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"cpu_model": "another"}, r"are of two machines \(cpu_model .*'another'\).*pooled, not subtracted"),
        ({"machine": "elsewhere"}, r"are of two machines \(machine "),
    ],
)
def test_two_machines_are_refused(runs, environment, message):
    with pytest.raises(StoreError, match=message):
        read_all(runs(1, 1, **environment))


def test_two_questions_are_refused_by_name(runs):
    first, second = runs(1, 1)
    plan = json.loads((second / "plan.json").read_text())
    plan["vus"] = 21
    (second / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StoreError, match="are of two questions: vus 20 there, 21 here"):
        read_all([first, second])


@pytest.mark.full
def test_more_of_the_same_question_is_the_same_question(runs):
    first, second = runs(1, 1)
    plan = json.loads((second / "plan.json").read_text())
    (second / "plan.json").write_text(json.dumps({**plan, "budget_s": plan["budget_s"] * 2, "seed": 9}))
    assert len(read_all([first, second])) == 2


@pytest.mark.slow
def test_a_comparison_and_a_sweep_are_two_questions(capsys):
    assert main(["diff", str(EXAMPLE), str(ROOT / "data/example/commit/disk")]) == 2
    assert "are of two questions" in capsys.readouterr().err


@pytest.mark.slow
def test_sweeps_are_told_level_by_level():
    example = ROOT / "data/example/sweep"
    one, other = read_all([example, example])
    assert list(changes(one, other)) == [f"CPU per call of threads/inputQ?workers=10 at {vus} VUs" for vus in
                                         (10, 100, 200, 300, 500)]  # fmt: skip


@pytest.mark.slow
def test_a_folder_of_runs_is_one_line_with_intervals(runs, capsys):
    home = runs(1, 1.01, 1.05)[0].parent
    assert main(["history", str(home)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1][3:] for line in said[:3]] == ["commit-0", "commit-1", "commit-2"] or len(said) == 5
    assert said[-2].startswith("From commit-0 to commit-2: CPU per call rose, +5.0 % (95 % interval +")
    picture = (home / "history.svg").read_text()
    assert picture.count("<svg") == 1
    assert main(["history", str(home / "commit-0")]) == 2
    assert "holds 0 runs, and a history needs two" in capsys.readouterr().err
    assert main(["history", str(home), "--figure", str(home / "no/such/place.svg")]) == 2
