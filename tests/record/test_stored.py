"""Every stored run gives the numbers that it gave when this file's reference was written, by perfkit 0.1 (ec99ccf).

tests/data/stored-numbers.json has a digest of each column, and the derived numbers themselves.
"""

import hashlib
import json

import pytest

import perfkit
from perfkit.analysis import comparison, contrast
from perfkit.analysis.curves.grid import grid
from perfkit.record.load import load, load_plan
from tests.support import ROOT

EXAMPLE = ROOT / "data/example"

REFERENCE = json.loads((ROOT / "tests/data/stored-numbers.json").read_text())

QUICK = ("sweep", "compare", "crossover/skew")

RUNS = [name for name in REFERENCE if name not in ("engines", "study")]


def digest(column):
    values = [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def numbers(ratio):
    return ratio and [ratio.ratio, ratio.low, ratio.high, ratio.p_value, ratio.detectable_pct, ratio.blocks]


def compared(run):
    answer = perfkit.answer(run)
    steps = comparison.narrowing(answer.plan, load(run, "joint"))
    return {
        "blocks": answer.blocks,
        "seconds": answer.seconds,
        "cpu_per_call": numbers(answer.cpu_per_call),
        "controls": {name: [numbers(one.result), one.ok] for name, one in answer.controls.items()},
        "solo": {name: numbers(one) for name, one in answer.solo.items()},
        "verdict": answer.verdict,
        "narrowing": [[spent, numbers(one)] for spent, one in steps[-1:]],
    }


def swept(run):
    table = load(run)
    against, found = contrast.baseline(table), {}
    for metric in ("throughput_rps", "cpu_per_call_us", "p50_ms", "p99_ms"):
        levels = contrast.usable_levels(table, metric)
        for arm in sorted(set(table["arm"]) - {against}):
            found[f"{metric} {arm}"] = {
                "levels": list(levels),
                "each": [numbers(one) for one in contrast.contrasts(table, metric, arm, against)],
                "pooled": numbers(contrast.contrast(table, metric, arm, against, levels))
                if len(contrast.by_level(table, metric, arm, against, levels, "vus").dropna())
                else None,
            }
    return found


def mapped(run):
    plan = load_plan(run)
    found = grid(load(run, plan.paired), plan.axes, "throughput_rps", plan.margin_pct)
    return {f"{one.arm} {one.x} {one.y}": one.ratio and one.ratio.ratio for one in found.spots}


def the_same(derived, reference):
    """Compare to the 12th digit: the last ones of a logarithm are the processor's."""
    if isinstance(reference, dict):
        assert derived.keys() == reference.keys()
        for name, one in reference.items():
            the_same(derived[name], one)
    elif isinstance(reference, list):
        for one, other in zip(derived, reference, strict=True):
            the_same(one, other)
    elif isinstance(reference, float):
        assert derived == pytest.approx(reference, rel=1e-12, abs=1e-300)
    else:
        assert derived == reference


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in RUNS])
def test_a_stored_run_gives_the_same_numbers_as_ever(name):
    reference, run = REFERENCE[name], EXAMPLE / name
    for method, columns in reference["tables"].items():
        table = load(run, method)
        assert {column: digest(table[column]) for column in columns} == columns
    if load_plan(run).study == "compare":
        the_same(compared(run), reference["answer"])
    elif load_plan(run).axes:
        the_same(mapped(run), reference["map"])
    else:
        the_same(swept(run), reference["ratios"])
        tables = perfkit.study_tables(load(run))
        assert hashlib.sha256(tables.encode()).hexdigest() == reference["study_tables"]


def test_every_stored_run_is_in_the_reference():
    assert sorted(str(path.parent.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("plan.json")) == sorted(RUNS)


@pytest.mark.full
def test_the_stored_survey_gives_the_same_numbers_as_ever():
    survey, reference = perfkit.survey(EXAMPLE / "engines"), REFERENCE["engines"]
    assert [arm.name for arm in survey.arms] == reference["arms"]
    assert (survey.vus, survey.rate) == (reference["vus"], reference["rate"])
    the_same({arm.name: numbers(one) for arm, one in survey.cost.items()}, reference["cost"])
    the_same({arm.name: numbers(one) for arm, one in survey.queue_cost.items()}, reference["queues"])


def test_the_published_study_gives_the_same_numbers_as_ever():
    table = perfkit.study()
    assert {column: digest(table[column]) for column in table} == REFERENCE["study"]
