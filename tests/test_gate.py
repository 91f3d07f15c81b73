import argparse
import json

import pytest

from perfkit import gate
from perfkit.analysis.robust import Robustness
from perfkit.analysis.statistics import Ratio
from tests.analysis import test_comparison


def alone(told):
    return Robustness((told,), (), told.verdict)


def answer(**options):
    return alone(test_comparison.answer(**options))


def test_a_gate_fails_only_where_the_whole_interval_is_beyond():
    told = answer(ratio=1.10)  # about +9.5 % to +10.5 %
    low, high = ((end - 1) * 100 for end in told.answers[0].cpu_per_call.interval)
    assert gate.fails(gate.parse("cpu_per_call>5%"), told)
    assert not gate.fails(gate.parse(f"cpu_per_call>{low + 0.1:.3f}%"), told)
    assert not gate.fails(gate.parse("cpu_per_call<-5%"), told)
    assert gate.fails(gate.parse(f"cpu_per_call < {high + 0.1:.3f} %"), told)


def test_a_gate_on_what_was_not_measured_does_not_fail():
    assert not gate.fails(gate.parse("p99>5%"), answer(ratio=1.10))


@pytest.mark.parametrize("text", ["cpu_per_call", "speed>5%", "cpu_per_call>5", "cpu_per_call=5%", "", "p99>x%"])
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no gate; write one of cpu_per_call, throughput, p50"):
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
    told = gate.as_json(
        alone(replace(test_comparison.answer(), solo={"cpu_per_call": one, "p99": one, "handicap": one}))
    )
    assert set(told["metrics"]) == {"cpu_per_call", "p99"}
    assert told["metrics"]["cpu_per_call"]["ratio"] != 1.2, "the solo figure stands in for the joint one"
    assert told["solo"]["cpu_per_call"]["ratio"] == told["solo"]["handicap"]["ratio"] == 1.2
