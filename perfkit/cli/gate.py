"""The answer of a comparison for machines: as JSON, and as a gate that a CI job can fail on."""

import re
from dataclasses import dataclass
from typing import Any

import click

from perfkit.analysis.comparison import METRICS, Answer
from perfkit.analysis.several.robust import Robustness
from perfkit.analysis.statistics import Ratio
from perfkit.design.factors import KIND
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.plan import SOLO, TURNS, A, B, Plan
from perfkit.errors import PlanError
from perfkit.show import words
from perfkit.show.several import robust

PAIRED_TOO = ("cpu_per_call", *HANDICAPS_PCT)
"""What both paired and solo trials measure; the paired ones give the metric."""


BEYOND, INSIDE, OPEN = "beyond", "inside", "open"


@dataclass(frozen=True, slots=True)
class Gate:
    """Fails where the whole interval of a metric is beyond a threshold."""

    metric: str
    above: bool
    percent: float

    @property
    def text(self) -> str:
        """How it is written."""
        return f"{self.metric}{'>' if self.above else '<'}{self.percent:g}%"


class GateType(click.ParamType[Gate]):
    """A gate, as an option has it."""

    name = "gate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Gate:
        """Read it."""
        try:
            return value if isinstance(value, Gate) else parse(value)
        except PlanError as error:
            self.fail(str(error), param, ctx)


def parse(text: str) -> Gate:
    """Read a gate like `cpu_per_call>5%` or `throughput<-3%`; a PlanError where it is none."""
    written = re.fullmatch(r"\s*(\w+)\s*([<>])\s*([-+]?\d+(?:\.\d+)?)\s*%\s*", text)
    if written is None or written[1] not in METRICS:
        raise PlanError(
            f"{text!r} is no gate; write one of {', '.join(METRICS)}, then > or <, then per cent: 'cpu_per_call>5%'"
        )
    return Gate(written[1], written[2] == ">", float(written[3]))


def refuse_unmeasurable(gate: Gate, plan: Plan) -> None:
    """Raise a PlanError where no trial of this plan measures the gate's metric."""
    by_turns = plan.paired == TURNS and gate.metric == "throughput"
    if gate.metric != "cpu_per_call" and not by_turns and not plan.loads(SOLO):
        raise PlanError(
            f"--fail-if {gate.metric}: this comparison does not measure it; solo trials do (--solo, --method solo)"
        )


def judge(gate: Gate, found: Robustness) -> str:
    """Return whether the whole interval lies BEYOND the gate's threshold or INSIDE, under every load, or it is OPEN.

    It is OPEN too where the instrument is not trusted, or the metric has no verdict (the generator was the limit, say).
    """
    told = {_judge(gate, answer) for answer in found.answers}
    return told.pop() if len(told) == 1 else OPEN


def _judge(gate: Gate, answer: Answer) -> str:
    result = metrics(answer).get(gate.metric)
    if not answer.is_trusted or result is None or result.low is None or result.high is None:
        return OPEN
    threshold = 1 + gate.percent / 100
    if result.low <= threshold <= result.high:
        return OPEN
    return BEYOND if (result.low > threshold) == gate.above else INSIDE


def as_json(found: Robustness) -> dict[str, Any]:
    """Return the answer as JSON can hold it; of several loads that of the first, and beside it what they say together.

    Ratios are b's to a's; `ci95` are both ends of the 95 % interval; `mde` is the smallest difference, as a part of
    1, that would be result 4 times out of 5. `solo` has what solo trials say of the paired trials' own questions.
    """
    answer = found.answers[0]
    together = {
        "verdict": found.verdict,
        "sentence": robust.headline(found),
        "effects": {effect.factor: _as_json(effect) for effect in found.effects},
        "loads": [
            {"load": dict(zip(KIND, one.load.kind, strict=True)), "verdict": one.verdict,
             "metrics": {name: _as_json(result) for name, result in metrics(one).items()}}
            for one in found.answers
        ],
    }  # fmt: skip
    return {
        "a": answer.plan.arm(A).name,
        "b": answer.plan.arm(B).name,
        "vus": answer.plan.vus,
        "blocks": answer.blocks,
        "seconds": round(answer.seconds, 1),
        "metrics": {name: _as_json(result) for name, result in metrics(answer).items()},
        "solo": {name: _as_json(answer.solo[name]) for name in PAIRED_TOO if name in answer.solo},
        "controls": {name: {**_as_json(control.result), "ok": control.ok} for name, control in answer.controls.items()},
        "verdict": answer.verdict,
        "sentence": words.sentence(answer),
        "caveats": words.caveats(answer),
        **({"robustness": together} if len(found.answers) > 1 else {}),
    }


def metrics(answer: Answer) -> dict[str, Ratio]:
    """Return metric → b's to a's; solo trials give those that paired ones don't measure."""
    paired = {"cpu_per_call": answer.cpu_per_call, "throughput": answer.throughput}
    solo = {name: result for name, result in answer.solo.items() if name not in PAIRED_TOO}
    known = {name: result for name, result in paired.items() if result}
    return {**known, **{name: result for name, result in solo.items() if name not in known}}


def _as_json(result: Ratio) -> dict[str, Any]:
    mde = None if result.detectable_pct is None else result.detectable_pct / 100
    return {"ratio": result.ratio, "ci95": [result.low, result.high], "mde": mde, "blocks": result.blocks}
