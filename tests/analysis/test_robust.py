import math

import numpy as np
import pandas as pd
import pytest

from perfkit.analysis import comparison
from perfkit.analysis.comparison import A_DEARER, B_DEARER, NO_RELEVANT, NOT_KNOWN, NOT_TRUSTED
from perfkit.analysis.several import robust
from perfkit.analysis.several.robust import DEPENDS
from perfkit.show.several import robust as shown
from tests.support.comparisons import NO_SOLO, by_turns
from tests.support.plans import plan_compare


def judged(plan, ratio, blocks=12, sd=0.004):
    """Comparisons of known ratios, one a kind of load of the plan; `ratio` says which of its kind."""
    several = []
    for seed, one in enumerate(plan.variations):
        table = by_turns(ratio=ratio(one.cells[0].load), blocks=blocks, sd=sd, seed=seed)
        several.append((comparison.answer(one, table, NO_SOLO), table))
    return robust.judge(several)


TWO = plan_compare(generators="k6,h2load")
ALL = plan_compare(robust=True)


def test_a_robust_comparison_has_eight_kinds_of_load_in_each_block():
    kinds = [one.cells[0].load.kind for one in ALL.variations]
    assert len(set(kinds)) == 8
    assert {trial.load.kind for trial in ALL.block(0)} == set(kinds)
    assert [one.cells[0].load.kind for one in TWO.variations] == [("k6", 20, False), ("h2load", 20, False)]
    assert plan_compare().variations == (plan_compare(),)


@pytest.mark.parametrize(
    ("under_k6", "under_h2load", "verdict"),
    [
        (1.06, 1.07, B_DEARER),
        (0.93, 0.95, A_DEARER),
        (1.05, 0.95, DEPENDS),
        (1.001, 1.002, NO_RELEVANT),
        (1.06, 0.998, DEPENDS),
        (1.06, 1.02, B_DEARER),  # of one sign, relevant under one
    ],
)
def test_a_verdict_holds_only_if_it_holds_under_both_generators(under_k6, under_h2load, verdict):
    found = judged(TWO, lambda load: under_k6 if load.generator == "k6" else under_h2load, sd=0.001)
    assert found.verdict == verdict
    assert found.is_reached == (verdict != DEPENDS)
    (effect,) = found.effects
    assert effect.factor == "generator"
    assert effect.ratio == pytest.approx(under_h2load / under_k6, rel=0.01)


def test_what_is_undecided_under_one_load_is_not_known():
    plan = TWO
    tables = [by_turns(ratio=1.06, sd=0.001), by_turns(ratio=1.02, sd=0.05, seed=3)]
    answers = [comparison.answer(one, table, NO_SOLO) for one, table in zip(plan.variations, tables, strict=True)]
    assert answers[0].verdict == B_DEARER
    found = robust.judge(list(zip(answers, tables, strict=True)))
    assert found.verdict in (NOT_KNOWN, NOT_TRUSTED)


def test_the_sentence_names_what_moves_the_answer_and_what_does_not():
    found = judged(ALL, lambda load: 1.05 if load.generator == "k6" else 0.95)
    assert found.moving == ("generator",)
    text = shown.sentence(found)
    assert text.startswith("Whether inputQ costs more CPU per call than mutex depends on the load: from -5.")
    assert "of 8 loads" in text
    assert "It is moved beyond chance by the load generator (-9." in text
    assert "from k6 to h2load)." in text
    assert "Not shown to move it: the number of VUs and the layout of memory." in text


def test_two_generators_are_told_with_both_numbers():
    text = shown.sentence(judged(TWO, lambda load: 1.05 if load.generator == "k6" else 0.95))
    assert "under k6 at 20 VUs" in text
    assert "under h2load at 20 VUs" in text


@pytest.mark.full
def test_effects_of_no_factor_are_found_by_chance_1_time_in_20():
    assert sum(_moved(seed) for seed in range(100)) <= 11  # 5, within three standard errors


def _moved(seed):
    random = np.random.default_rng(seed)
    logs = pd.DataFrame({number: random.normal(0, 0.01, 8) for number in range(8)})
    kinds = [one.cells[0].load.kind for one in ALL.variations]
    return any(effect.differs for effect in robust._effects(kinds, logs))


def test_a_server_that_waited_for_its_load_gives_no_verdict_on_throughput():
    table = by_turns(ratio=1.04, sd=0.001).assign(own_s=1.0, server_cpu_s=0.94)
    told = comparison.answer(plan_compare(), table, NO_SOLO)
    assert told.throughput is None
    assert told.idle == pytest.approx(0.06)
    busy = comparison.answer(plan_compare(), table.assign(server_cpu_s=0.985), NO_SOLO)
    assert busy.throughput is not None
    far = comparison.answer(plan_compare(), by_turns(ratio=1.2, sd=0.001).assign(own_s=1.0, server_cpu_s=0.94), NO_SOLO)
    assert math.log(1 / far.throughput.ratio) > 0.06
    own = by_turns(ratio=1.2, sd=0.001).assign(own_s=1.0, server_cpu_s=0.94, engine="exec")
    assert comparison.answer(plan_compare(), own, NO_SOLO).throughput is None, "it may wait for what is not stopped"
