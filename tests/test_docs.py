"""What the documents say of stored runs is what those runs say."""

import re

import pytest

import perfkit
from perfkit.analysis.levels import CPU
from perfkit.show import levels, place, report_commit, report_studies, words
from perfkit.show.curves import crossover as crossover_words
from perfkit.show.figures import compare as figures_compare
from perfkit.studies import commit, crossover, sweep
from tests.support import ROOT

EXAMPLE = ROOT / "data/example"

README = " ".join((ROOT / "README.md").read_text().split())

NUMBER = r"\d+\.\d+ \(\d+\.\d+ to \d+\.\d+\)|[+-]\d+\.\d % \(95 % interval [^)]*\)"
"""Of a ratio or a difference with its interval."""


def plain(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def doc(name):
    return plain((ROOT / f"docs/{name}.md").read_text())


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


def test_the_readme_begins_with_what_the_stored_sweep_says():
    assert levels.sentence(sweep.answer(EXAMPLE / "sweep")) in README


@pytest.mark.slow
def test_the_readme_tells_what_the_stored_map_says():
    assert crossover_words.headline(crossover.read(perfkit.crossover())) in README


@pytest.mark.slow
def test_what_is_told_of_the_survey_is_what_it_says():
    for line in report_studies.engines_verdict(perfkit.survey(perfkit.engines())).splitlines():
        assert line.strip("-* ") in doc("engines")


@pytest.mark.parametrize("name", ["compare", "compare-joint"])
def test_what_is_told_of_comparisons_is_what_they_say(name):
    assert words.sentence(perfkit.answer(EXAMPLE / name)) in doc("comparing")


def test_how_much_narrower_turns_make_it_is_what_was_measured():
    figure = figures_compare.both_ways(*figures_compare.inputs(EXAMPLE / "compare"))
    assert plain(figure.get_suptitle()) in doc("comparing")


def test_what_is_told_of_commits_is_what_was_measured():
    disk, simulated = commit.read(perfkit.commit())
    assert report_commit.headline(disk, simulated) in doc("commits")
    _, native = commit.read(EXAMPLE / "commit-native")
    assert report_commit.gain(native) in doc("commits")


def test_what_watching_costs_is_what_was_measured():
    assert words.sentence(perfkit.answer(place.COST)).rstrip(".") in doc("stages")


@pytest.mark.slow
def test_each_number_with_an_interval_in_the_readme_is_that_of_a_stored_run():
    swept = sweep.answer(EXAMPLE / "sweep")
    over = [found[CPU] for found in swept.over.values()]
    several = [perfkit.answer(EXAMPLE / name) for name in ("compare", "compare-joint", "compare-xeon")]
    stored = " ".join(
        [
            report_commit.table(perfkit.commit()),
            report_commit.table(EXAMPLE / "commit-native"),
            report_studies.engines_verdict(perfkit.survey(perfkit.engines())),
            levels.sentence(swept),
            *(words.percent(one.together) for one in over if one.together),
            *(
                words.percent(one)
                for answer in several
                for one in (answer.cpu_per_call, answer.solo.get("cpu_per_call"))
                if one
            ),
            crossover_words.headline(crossover.read(perfkit.crossover())),
            crossover_words.table(perfkit.crossover()),
        ]
    )
    numbers = re.findall(NUMBER, README)
    assert len(numbers) >= 15
    assert [one for one in numbers if one not in stored] == []


def test_the_published_table_is_that_of_the_stored_run():
    kept = perfkit.published() / "kept-connections"
    tables = perfkit.study_tables(perfkit.load(kept)).split("\n\n")
    (shown,) = [one for one in tables if one.startswith("| Parameters (100 VUs)")]
    assert plain(shown) in doc("study")
    assert levels.headline(perfkit.load(kept), "cpu_per_call_us") in doc("study")


def test_every_file_that_the_documents_name_is_there():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text()
        named = re.findall(r"`((?:perfkit|tests|docs|notebooks|proto|bench|k6|data)/[\w./-]+)`", text)
        for name in [*named, *re.findall(r"\]\((?:\.\./)?(data/[^)]+)\)", text)]:
            assert (ROOT / name).exists(), f"{path.name} names {name}"
