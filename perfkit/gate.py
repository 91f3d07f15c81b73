"""The answer of a comparison for machines: as JSON, and as a gate that a CI job can fail on."""

import argparse
import re
from dataclasses import dataclass
from typing import Any

from perfkit.comparison import SOLO_METRICS, Answer
from perfkit.plan import HANDICAP
from perfkit.statistics import Ratio

METRICS = ("cpu_per_call", *SOLO_METRICS)

JOINT_TOO = ("cpu_per_call", HANDICAP)
"""What both joint and solo trials measure; the joint ones give the metric."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Fails where the whole interval of a metric is beyond a threshold."""

    metric: str
    above: bool
    percent: float


def parse(text: str) -> Gate:
    """Read a gate like `cpu_per_call>5%` or `throughput<-3%`."""
    written = re.fullmatch(r"\s*(\w+)\s*([<>])\s*([-+]?\d+(?:\.\d+)?)\s*%\s*", text)
    if written is None or written[1] not in METRICS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no gate; write one of {', '.join(METRICS)}, then > or <, then per cent: 'cpu_per_call>5%'"
        )
    return Gate(written[1], written[2] == ">", float(written[3]))


def fails(gate: Gate, answer: Answer) -> bool:
    """Return whether the whole interval lies beyond the gate's threshold; not so for what was not measured."""
    found = _metrics(answer).get(gate.metric)
    if found is None or found.low is None or found.high is None:
        return False
    threshold = 1 + gate.percent / 100
    return found.low > threshold if gate.above else found.high < threshold


def as_json(answer: Answer) -> dict[str, Any]:
    """Return the answer as JSON can hold it.

    Ratios are b's to a's; `ci95` are both ends of the 95 % interval; `mde` is the smallest difference, as a part of
    1, that would be found 4 times out of 5. `solo` has what solo trials say of the joint trials' own questions.
    """
    return {
        "a": answer.plan.a.name,
        "b": answer.plan.b.name,
        "vus": answer.plan.vus,
        "blocks": answer.blocks,
        "seconds": round(answer.seconds, 1),
        "metrics": {name: _as_json(found) for name, found in _metrics(answer).items()},
        "solo": {name: _as_json(answer.solo[name]) for name in JOINT_TOO if name in answer.solo},
        "controls": {name: {**_as_json(control.found), "ok": control.ok} for name, control in answer.controls.items()},
        "verdict": answer.verdict,
        "sentence": answer.sentence,
        "caveats": list(answer.caveats),
    }


def _metrics(answer: Answer) -> dict[str, Ratio]:
    solo = {name: found for name, found in answer.solo.items() if name not in JOINT_TOO}
    return ({"cpu_per_call": answer.cpu_per_call} if answer.cpu_per_call else {}) | solo


def _as_json(found: Ratio) -> dict[str, Any]:
    mde = None if found.detectable_pct is None else found.detectable_pct / 100
    return {"ratio": found.ratio, "ci95": [found.low, found.high], "mde": mde, "blocks": found.blocks}
