"""Finished comparisons of several machines as one answer: what is read, refused and said."""

import json
import re

import pytest

import perfkit
from perfkit import notebooks
from perfkit.cli import main
from perfkit.errors import StoreError
from perfkit.show.figures import several
from perfkit.show.several import pooled
from perfkit.studies.several.pool import EXAMPLES, simulated
from tests.support import ROOT

EXAMPLE = ROOT / "data/example/compare-joint"


@pytest.fixture
def runs(tmp_path):
    """Make copies of a stored comparison, one a (machine, factor): there `b` costs so many times as much."""

    def make(*machines, **plan):
        folders = []
        for number, (machine, factor) in enumerate(machines):
            folder = tmp_path / f"run-{number}"
            folder.mkdir()
            told = json.loads((EXAMPLE / "environment.json").read_text()) | {"machine": machine}
            (folder / "environment.json").write_text(json.dumps(told))
            asked = json.loads((EXAMPLE / "plan.json").read_text()) | (plan if number else {})
            (folder / "plan.json").write_text(json.dumps(asked))
            lines = [json.loads(line) for line in (EXAMPLE / "trials.jsonl").read_text().splitlines()]
            for line in lines:
                for seat, served in zip(line["trial"]["seats"], line["served"], strict=True):
                    served["usage"]["cpu_s"] *= factor if seat["role"] == "b" else 1
            (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            folders.append(str(folder))
        return folders

    return make


@pytest.mark.full
def test_machines_that_agree_are_one_answer_with_what_the_next_may_show(runs, capsys, tmp_path):
    folders = runs(("a", 1), ("b", 1.001), ("c", 0.999), ("c", 1.002))
    assert main(["pool", *folders, "--figure", str(tmp_path / "pool.svg")]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"inputQ costs more CPU per call than mutex: \+3\.\d % \(95 % interval [^)]*\), 4 runs on 3 machines", said
    )
    assert "Runs of one machine lie 0." in said
    assert "On the next machine the difference lies from +" in said
    assert said.count("| run-") == 4
    assert (tmp_path / "pool.svg").read_text().startswith("<?xml")


@pytest.mark.full
def test_machines_that_contradict_each_other_are_said_to(runs):
    found = perfkit.pool(",".join(runs(("a", 1.02), ("b", 0.9), ("c", 1.03))))
    assert found.pooled.verdict == "depends on the machine"
    assert pooled.sentence(found).startswith(
        "Whether inputQ costs more or less CPU per call than mutex depends on the machine"
    )


@pytest.mark.full
def test_what_is_no_pool_is_refused(runs):
    first, other = runs(("a", 1), ("b", 1), vus=10)
    for asked, message in (
        ([first], "1 run makes no pool; name two or more"),
        ([first, first], "a run is named twice"),
        ([first, other], "of two questions: vus 20 there, 10 here"),
        ([ROOT / "data/example/sweep", ROOT / "data/example/sweep-solo"], "of two questions"),
        ([first, "/no/such/run"], "there is no folder"),
    ):
        with pytest.raises(StoreError, match=re.escape(message)):
            perfkit.pool(asked)
    assert main(["pool", first, "--figure", "/dev/null/x.svg"]) == 2


def test_a_run_that_is_not_trusted_is_left_out_by_name():
    found = perfkit.pool()
    assert [one.name for one in found.left_out] == [EXAMPLES[1].name]
    assert "Left out, because the instrument was not trusted there: compare-xeon." in pooled.basis(found)
    assert "Of the next machine nothing is said" in pooled.basis(found)


@pytest.mark.slow
def test_of_one_machine_each_run_has_a_row_and_so_has_what_is_left_out():
    found = perfkit.pool()
    rows = pooled.table(found).splitlines()[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["compare-joint", "compare-xeon", ""]
    assert "AMD EPYC" in rows[0]
    assert "not trusted, left out" in rows[1]
    drawn = [label.get_text().strip() for label in several.forest(found).axes[0].get_yticklabels()]
    assert drawn == ["compare-joint", "all"]


def test_what_is_simulated_says_so_in_words_and_picture():
    found = simulated(machines=6)
    assert pooled.sentence(found).startswith("Simulated, no machine was measured: ")
    assert found.pooled.prediction[0] < found.pooled.together.low


@pytest.mark.full
@pytest.mark.load
def test_the_notebook_shows_a_pool(runs, tmp_path):
    asked = ",".join(runs(("a", 1), ("b", 1.01), ("c", 0.99)))
    notebooks.execute("pool.ipynb", {"runs": asked}, tmp_path / "pool.ipynb")
    text = (tmp_path / "pool.ipynb").read_text()
    assert "3 runs on 3 machines" in text
    assert text.count('"image/png": "') == 2
