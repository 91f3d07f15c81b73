"""Run folders that are not what they should be."""

import json

import pytest

import perfkit
from perfkit.errors import PerfkitError
from perfkit.record.results import TrialResult
from tests.faults.bench import PLAN, QUICK, Bench, fault
from tests.support.results import simulated_trials


@fault("a folder with something else in it", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.out.mkdir()
    (bench.out / "thesis.txt").write_text("mine")
    return bench.refused()


@fault("a finished run's folder", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    return bench.refused()


@fault("another plan's folder", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    return bench.refused(seed=2)


def _edited(bench: Bench, name: str, **changes: object) -> None:
    bench.finish()
    path = bench.out / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@fault("a run folder of a newer schema", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "plan.json", schema=99)
    return bench.refused()


@fault("another machine's folder", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", machine="elsewhere")
    return bench.refused()


@fault("a folder measured with other code", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", code="0123456789abcdef")
    return bench.refused()


@fault("a folder of perfkit 0.1, which kept no digest of the code", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", code="")
    return bench.refused()


@fault("a hand-edited line in `trials.jsonl`", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    path = bench.out / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"attempt"', b'"atempt"', 1))
    return bench.refused()


@fault("a torn last line in `trials.jsonl`", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    path = bench.out / "trials.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + 100])
    assert len(perfkit.load(bench.out)) == 1
    with simulated_trials():
        kept = bench.continued(PLAN)
    assert bench.trials.startswith(whole[:first] + b"{")
    return "a warning; the torn trial is left out", kept


@fault("two sweeps into one folder", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    told = []

    def second(result: TrialResult) -> TrialResult:
        with pytest.raises(PerfkitError) as refused:
            perfkit.sweep(**PLAN, out=bench.out)
        told.append(str(refused.value))
        return result

    with simulated_trials(second):
        perfkit.sweep(**PLAN, out=bench.out)
    assert perfkit.load(bench.out)["complete"].sum() == 2
    return told[0], "the first sweep, which went on to its end"
