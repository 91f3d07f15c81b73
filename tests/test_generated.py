"""Generated input: whatever comes, a PerfkitError of one line or a good result; and every sentence and figure."""

import contextlib
import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from perfkit.analysis import comparison, levels
from perfkit.analysis.several import robust
from perfkit.cli import gate
from perfkit.design.arms import parse_arm, parse_arms
from perfkit.design.plan import SOLO
from perfkit.errors import PerfkitError
from perfkit.record.load import complete_blocks, load, load_environment, load_plan
from perfkit.record.results import Machine, Turns
from perfkit.record.rows import rows
from perfkit.rig import host
from perfkit.rig.generators import h2load, k6
from perfkit.show import levels as shown
from perfkit.show import report, study_form, words
from perfkit.show.figures import compare as figures_compare
from perfkit.show.figures import levels as figures_levels
from perfkit.show.figures.curves import sweep as figures_sweep
from perfkit.show.several import robust as shown_robust
from perfkit.studies import compare, sweep

FULL = os.environ.get("GENERATED") == "full"
"""Many more examples."""

QUIETLY = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
MANY = settings(max_examples=15_000 if FULL else 60, **QUIETLY)
SOME = settings(max_examples=300 if FULL else 10, phases=[Phase.generate], **QUIETLY)
FEW = settings(max_examples=30 if FULL else 1, phases=[Phase.generate], **QUIETLY)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["mutex", "inputQ", "10,20", "[2, 3]", "exec:a {port}", "native/inputQ?batch=2", "k6,h2load"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@contextlib.contextmanager
def only_perfkits_errors():
    """Whatever perfkit raises on purpose is a line."""
    try:
        yield
    except PerfkitError as error:
        if not str(error) or "\n" in str(error)[:80]:
            pytest.fail(f"no line: {error!r}")


@pytest.mark.slow
@pytest.mark.parametrize("study", [sweep.STUDY, compare.STUDY], ids=["sweep", "compare"])
@MANY
@given(data=st.data())
def test_parameters_of_any_kind_make_a_plan_or_are_refused(study, data):
    names = data.draw(st.lists(st.sampled_from(list(study.defaults)), max_size=3, unique=True))
    values = {name: data.draw(ANYTHING) for name in names}
    with only_perfkits_errors():
        plan = study.plan(**values)
        assert plan.block(0)


@MANY
@given(text=st.text(max_size=40) | st.from_regex(r"(threads/|native/|exec:)?[a-zQ]{0,8}(\?[a-z_]{1,8}=\w{0,4})?"))
def test_any_text_is_an_arm_or_is_refused(text):
    with only_perfkits_errors():
        assert parse_arm(text, 10).name
    with only_perfkits_errors():
        assert parse_arms(text, 10)


@MANY
@given(text=st.text(max_size=30) | st.from_regex(r"[a-z_0-9]{1,12}[<>]-?[0-9.]{1,6}%"))
def test_any_text_is_a_gate_or_is_refused(text):
    with only_perfkits_errors():
        assert gate.parse(text).metric


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["schema", "study", "cells", "stop", "kind", "arms", "levels", "method", "seats", "load", "vus",
                         "trial", "served", "generator", "calls", "block", "metrics", "values", "count"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.slow
@MANY
@given(data=JSON, schema=st.sampled_from([1, 2, None]))
def test_any_json_in_a_run_folder_is_a_run_or_is_refused(tmp_path_factory, data, schema):
    folder = tmp_path_factory.getbasetemp() / "any-run"
    folder.mkdir(exist_ok=True)
    if schema and isinstance(data, dict):
        data = {**data, "schema": schema}
    for name in ("plan.json", "environment.json", "trials.jsonl"):
        (folder / name).write_text(json.dumps(data) + "\n")
    for read in (load_plan, load_environment, load):
        with only_perfkits_errors():
            read(folder)
    plan = sweep.STUDY.plan(method="solo")
    (folder / "plan.json").write_text(json.dumps(plan.to_dict()))
    with only_perfkits_errors():
        load(folder)


@pytest.mark.slow
@MANY
@given(summary=JSON.filter(lambda data: isinstance(data, dict)), text=st.text(max_size=200))
def test_any_summary_gives_counts_or_is_refused(summary, text):
    with only_perfkits_errors():
        k6.calls({"metrics": summary.get("metrics", {})}, 0)
    assert isinstance(h2load.summary(text), dict)


def results(data, plan, result):
    """Trials of a plan as they might be: any cost, any flag, blocks missing."""
    several = []
    for block in range(data.draw(st.integers(0, 4))):
        for one in plan.block(block):
            trial = replace(one, seats=tuple(replace(seat, role={"control": "aa"}.get(seat.role, seat.role))
                                             for seat in one.seats))  # fmt: skip
            changes = data.draw(
                st.fixed_dictionaries(
                    {"cpu_s": st.floats(0.0, 1.0), "k6_cpu_s": st.floats(0.0, 1.0)},
                    optional={
                        "failed_by_status": st.just({"14": 1}), "late_connections": st.just(1),
                        "dropped_total": st.just(1), "acknowledged": st.sampled_from([0, 1, 10_000]),
                        "final_count": st.just(1),
                    },
                )
            )  # fmt: skip
            cpu_s = changes.pop("cpu_s")
            if "acknowledged" in changes:
                changes |= {"acknowledged_total": changes["acknowledged"], "sent_total": changes["acknowledged"]}
            made = result(trial, cpu_s=tuple(cpu_s * (1 + 0.01 * n) for n in range(len(trial.seats))), **changes)
            turns = Turns(9, {"p95": data.draw(st.floats(0, 9))}, {"p95": 1.0}, data.draw(st.integers(0, 1)), 0)
            own_s = [made.trial.load.duration_s / len(trial.seats)] * len(trial.seats)
            if one.method == "turns":
                served = tuple(replace(each, own_s=own) for each, own in zip(made.served, own_s, strict=True))
                made = replace(made, served=served, turns=turns)
            several.append(replace(made, machine=Machine(*data.draw(st.tuples(*[st.floats(0, 0.3)] * 3)))))
    kept = data.draw(st.integers(0, len(several)))
    return several[:kept]


def table(plan, several, method):
    complete = complete_blocks(plan, several)
    made = [row for one in several if one.trial.method == method
            for row in rows(one, complete=(one.trial.block, one.attempt) in complete)]  # fmt: skip
    import pandas as pd

    from perfkit.record.rows import COLUMNS

    return pd.DataFrame(made, columns=list(COLUMNS)).astype({"complete": bool, "valid": bool})


ARMS = st.sampled_from(
    ["mutex,inputQ", "inputQ,mutex,native/mutex", "mutex", "exec:./a $x {port},mutex,exec:./b {port}"]
)


def swept(data, result):
    plan = sweep.STUDY.plan(vus="2,5", arms=data.draw(ARMS), method=data.draw(st.sampled_from(["turns", "solo"])))
    several = results(data, plan, result)
    solo = table(plan, several, SOLO)
    return levels.answer(plan, solo.iloc[:0] if plan.paired == SOLO else table(plan, several, plan.paired), solo)


def compared(data, result):
    plan = compare.STUDY.plan(a=data.draw(st.sampled_from(["mutex", "exec:./a {port}"])), solo=data.draw(st.booleans()))
    several = results(data, plan, result)
    paired, solo = table(plan, several, plan.paired), table(plan, several, SOLO)
    return comparison.answer(plan, paired, solo), paired, solo


def is_text(text):
    assert isinstance(text, str)
    assert "nan" not in text.lower().replace("finance", "")
    assert "whether  and" not in text


@pytest.mark.slow
@SOME
@given(data=st.data())
def test_a_sweep_of_any_trials_is_told(data, result):
    answer = swept(data, result)
    here = replace(host.collect({"k6": "1.1.0"}), load_1m=data.draw(st.floats(0, 9)))
    for part in report.of_sweep(answer, here):
        is_text(part)
    is_text(shown.sentence(answer, levels.THROUGHPUT))
    is_text(study_form.study_tables(answer.solo))


@pytest.mark.slow
@SOME
@given(data=st.data())
def test_a_comparison_of_any_trials_is_told(data, result):
    answer, paired, _ = compared(data, result)
    together = robust.judge([(answer, paired)])
    for text in (words.sentence(answer), report.verdict(answer), report.solo(answer), report.controls(answer),
                 *words.caveats(answer), shown_robust.headline(together)):  # fmt: skip
        is_text(text)
    assert json.loads(json.dumps(gate.as_json(together)))["verdict"] == answer.verdict


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_a_sweep_of_any_trials_is_drawn(data, result):
    answer = swept(data, result)
    for figure in figures_levels.ALL.values():
        figure(answer).draw_without_rendering()
    for figure in figures_sweep.ALL.values():
        figure(answer.solo).draw_without_rendering()


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_a_comparison_of_any_trials_is_drawn(data, result):
    found = compared(data, result)
    for figure in figures_compare.ALL.values():
        figure(*found).draw_without_rendering()
