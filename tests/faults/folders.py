"""Run folders that are not what they should be."""

import json

import perfkit
from perfkit.errors import PerfkitError
from tests.faults.bench import PLAN, Bench, fault


@fault("a folder with something else in it")
def _(bench: Bench) -> tuple[str, str]:
    bench.out.mkdir()
    (bench.out / "thesis.txt").write_text("mine")
    return bench.refused()


@fault("a finished run's folder")
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    return bench.refused()


@fault("another plan's folder")
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    return bench.refused(seed=2)


def _edited(bench: Bench, name: str, **changes: object) -> None:
    bench.finish()
    path = bench.out / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@fault("a run folder of a newer schema")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "plan.json", schema=99)
    return bench.refused()


@fault("another machine's folder")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", machine="elsewhere")
    return bench.refused()


@fault("a folder measured with other code")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", code="0123456789abcdef")
    return bench.refused()


@fault("a folder of perfkit 0.1, which kept no digest of the code")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", code="")
    return bench.refused()


@fault("a hand-edited line in `trials.jsonl`")
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    path = bench.out / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"attempt"', b'"atempt"', 1))
    return bench.refused()


@fault("a torn last line in `trials.jsonl`")
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    path = bench.out / "trials.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + 100])
    assert len(perfkit.load(bench.out)) == 1
    perfkit.sweep(**PLAN, out=bench.out)
    assert bench.trials.startswith(whole[:first] + b"{")
    assert perfkit.load(bench.out)["complete"].sum() == 2
    return "a warning; the torn trial is left out", "1 finished trial; the same start again ran to the end"


@fault("two sweeps into one folder")
def _(bench: Bench) -> tuple[str, str]:
    told = []

    def second() -> None:
        try:
            perfkit.sweep(**PLAN, out=bench.out)
        except PerfkitError as error:
            told.append(str(error))

    bench.broken(second)
    return told[0], "the first sweep, which went on to its end"
