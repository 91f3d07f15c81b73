import json

import pytest

from perfkit.analysis.several.robust import Robustness
from perfkit.analysis.statistics import Ratio
from perfkit.cli import gate
from perfkit.errors import PlanError
from tests.support import comparisons
from tests.support.plans import plan_compare


def alone(told):
    return Robustness((told,), (), told.verdict)


def answer(**options):
    return alone(comparisons.answer(**options))


def test_a_gate_is_judged_by_its_own_threshold():
    told = answer(ratio=1.10)  # about +9.5 % to +10.5 %
    low, high = ((end - 1) * 100 for end in told.answers[0].cpu_per_call.interval)

    def judged(text):
        return gate.judge(gate.parse(text), told)

    assert judged("cpu_per_call>5%") == gate.BEYOND
    assert judged("cpu_per_call>20%") == gate.INSIDE
    assert judged(f"cpu_per_call>{(low + high) / 2:.3f}%") == gate.OPEN
    assert judged("cpu_per_call<-5%") == gate.INSIDE
    assert judged(f"cpu_per_call < {high + 0.1:.3f} %") == gate.BEYOND
    assert judged(f"cpu_per_call < {(low + high) / 2:.3f} %") == gate.OPEN


def test_a_gate_needs_no_verdict_but_trust():
    undecided = answer(ratio=1.01, sd=0.04)
    assert undecided.verdict == "not known yet"
    assert gate.judge(gate.parse("cpu_per_call>10%"), undecided) == gate.INSIDE
    doubted = answer(ratio=1.10, aa=1.05)
    assert doubted.verdict == "not trusted"
    assert gate.judge(gate.parse("cpu_per_call>5%"), doubted) == gate.OPEN


def test_a_gate_on_what_has_no_verdict_is_open_and_on_what_is_not_measured_refused():
    assert gate.judge(gate.parse("p99>5%"), answer(ratio=1.10)) == gate.OPEN
    with pytest.raises(PlanError, match=r"--fail-if p99: this comparison does not measure it; .*--solo, --method"):
        gate.refuse_unmeasurable(gate.parse("p99>5%"), plan_compare())
    gate.refuse_unmeasurable(gate.parse("p99>5%"), plan_compare(solo=True))
    gate.refuse_unmeasurable(gate.parse("throughput>5%"), plan_compare())
    with pytest.raises(PlanError):
        gate.refuse_unmeasurable(gate.parse("throughput>5%"), plan_compare(method="joint"))


def test_a_gate_holds_only_if_it_does_under_every_load():
    one, other = (comparisons.answer(ratio=ratio) for ratio in (1.10, 1.0))
    both = Robustness((one, other), (), one.verdict)
    assert gate.judge(gate.parse("cpu_per_call>5%"), both) == gate.OPEN


@pytest.mark.parametrize("text", ["cpu_per_call", "speed>5%", "cpu_per_call>5", "cpu_per_call=5%", "", "p99>x%"])
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(PlanError, match="is no gate; write one of cpu_per_call, throughput, p50"):
        gate.parse(text)


def test_the_json_has_all_that_a_job_needs():
    told = json.loads(json.dumps(gate.as_json(answer(ratio=1.10))))
    assert set(told) >= {"a", "b", "vus", "blocks", "seconds", "metrics", "controls", "verdict", "caveats"}
    assert set(told["metrics"]["cpu_per_call"]) >= {"ratio", "ci95", "mde"}
    assert told["controls"]["aa"]["ok"] is True
    assert told["controls"]["handicap"]["ci95"][0] > 1
    assert told["verdict"] == "b dearer"
    assert told["blocks"] == 12


def test_solo_metrics_are_in_the_json_and_their_controls_are_not():
    from dataclasses import replace

    one = Ratio("p99", "b", "a", (20,), 1.2, 1.1, 1.3, 0.01, 5.0, 8)
    told = gate.as_json(alone(replace(comparisons.answer(), solo={"cpu_per_call": one, "p99": one, "handicap": one})))
    assert set(told["metrics"]) == {"cpu_per_call", "p99"}
    assert told["metrics"]["cpu_per_call"]["ratio"] != 1.2, "the solo figure stands in for the joint one"
    assert told["solo"]["cpu_per_call"]["ratio"] == told["solo"]["handicap"]["ratio"] == 1.2
