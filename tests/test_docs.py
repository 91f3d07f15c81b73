"""What the documents say of stored runs is what those runs say."""

import re

import perfkit
from perfkit.show import levels, place, report_commit, report_studies, words
from perfkit.show.curves import crossover as crossover_words
from perfkit.show.figures import compare as figures_compare
from perfkit.studies import commit, crossover, sweep
from tests.conftest import ROOT

README = " ".join((ROOT / "README.md").read_text().split())


def plain(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_readme_tells_what_the_stored_sweep_says():
    assert levels.sentence(sweep.answer(ROOT / "data/example/sweep")) in README


def test_the_readme_tells_what_the_stored_survey_says():
    for line in report_studies.engines_verdict(perfkit.survey(perfkit.engines())).splitlines():
        assert line.strip("-* ") in README


def test_the_readme_tells_what_the_stored_comparison_says():
    folder = ROOT / "data/example/compare"
    answer = perfkit.answer(folder)
    assert words.sentence(answer) in README
    figure = figures_compare.both_ways(*figures_compare.inputs(folder))
    assert plain(figure.get_suptitle()) in README


def test_the_readme_tells_what_the_stored_studies_of_commits_say():
    disk, simulated = commit.read(perfkit.commit())
    assert report_commit.headline(disk, simulated) in README
    _, native = commit.read(ROOT / "data/example/commit-native")
    assert report_commit.gain(native) in README


def test_what_watching_costs_is_what_was_measured():
    said = " ".join((ROOT / "docs/stages.md").read_text().split())
    assert words.sentence(perfkit.answer(place.COST)).rstrip(".") in said


def test_the_readme_tells_what_the_stored_map_says():
    assert crossover_words.headline(crossover.read(perfkit.crossover())) in README


def test_each_number_of_when_to_use_which_is_that_of_a_stored_run():
    section = README.partition("## When should I use which?")[2].partition("## ")[0]
    stored = " ".join(
        [
            report_commit.table(perfkit.commit()),
            report_commit.table(ROOT / "data/example/commit-native"),
            report_studies.engines_verdict(perfkit.survey(perfkit.engines())),
            levels.sentence(sweep.answer(ROOT / "data/example/sweep")),
        ]
    )
    numbers = re.findall(r"\d+\.\d+ \(\d+\.\d+ to \d+\.\d+\)|[+-]\d+\.\d % \(95 % interval [^)]*\)", section)
    assert len(numbers) >= 9
    assert [one for one in numbers if one not in stored] == []


def test_the_readmes_table_is_that_of_the_stored_run():
    kept = perfkit.published() / "kept-connections"
    tables = perfkit.study_tables(perfkit.load(kept)).split("\n\n")
    (shown,) = [one for one in tables if one.startswith("| Parameters (100 VUs)")]
    assert plain(shown) in README
    assert levels.headline(perfkit.load(kept), "cpu_per_call_us") in README


def test_every_file_that_the_documents_name_is_there():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text()
        named = re.findall(r"`((?:perfkit|tests|docs|notebooks|proto|bench|k6|data)/[\w./-]+)`", text)
        for name in [*named, *re.findall(r"\]\((data/[^)]+)\)", text)]:
            assert (ROOT / name).exists(), f"{path.name} names {name}"
