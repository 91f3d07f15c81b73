"""Results of trials that were never made."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from perfkit.design.arms import Arm
from perfkit.design.plan import Load, Trial
from perfkit.errors import PerfkitError
from perfkit.record.calls import Calls, Distribution
from perfkit.record.results import Generating, Served, TrialResult, Usage
from perfkit.rig import trial as trials
from perfkit.rig.generators.contract import PERCENTILES
from perfkit.rig.trial.here import Measured, broken
from tests.support.plans import solo


def good_result(
    trial: Trial | None = None,
    *,
    attempt: int = 0,
    cpu_s: float | tuple[float, ...] = 0.9,
    k6_cpu_s: float = 0.5,
    took_s: float = 3.0,
    window_s: float = 0.0,
    **calls,
) -> TrialResult:
    """Return a result as a good trial gives it, all servers alike, with what is named changed; CPU is by the second."""
    trial = trial or solo(Arm("threads", "mutex", 10), Load(vus=10, warmup_s=1, duration_s=1))
    window = window_s or trial.load.duration_s
    each_cpu_s = cpu_s if isinstance(cpu_s, tuple) else (cpu_s,) * len(trial.seats)
    percentiles = {"50": 1.0, "90": 2.0, "95": 2.5, "99": 4.0}
    good = Calls(
        acknowledged=1000,
        failed_by_status={},
        acknowledged_total=2000,
        sent=1000,
        sent_total=2000,
        dropped_total=0,
        late_connections=0,
        data_sent_bytes=60_000,
        data_received_bytes=110_000,
        latency=Distribution(1000, 1.2, 0.2, 9.0, percentiles),
        iteration=Distribution(1000, 1.3, 0.3, 9.5, percentiles),
    )
    final_count = calls.pop("final_count", 2000)
    return TrialResult(
        trial=trial,
        attempt=attempt,
        started_at="2026-01-01T00:00:00.000+00:00",
        took_s=took_s,
        served=tuple(
            Served(replace(good, **calls), final_count, Usage(one * window, window, (0,), 50_000_000))
            for one in each_cpu_s
        ),
        generators=(Generating(Usage(k6_cpu_s * window, window, (1,), 80_000_000), 1),),
    )


def varied_results(seed: int) -> Callable[..., TrialResult]:
    """Return what makes results that differ a little, with a percentile for each per cent."""
    random = Random(seed)

    def make(one: Trial, **named: Any) -> TrialResult:
        slow = math.exp(random.gauss(0, 0.05))
        percentiles = {name: (0.5 + float(name) / 50) * slow for name in PERCENTILES[:100]}
        latency = Distribution(1000, 1.2 * slow, 0.2, 9.0, percentiles)
        counts = {"acknowledged": round(1000 / slow), "sent": round(1000 / slow), "latency": latency}
        return good_result(one, cpu_s=0.9 * slow, k6_cpu_s=0.4 + slow / 10, **counts, **named)

    return make


@contextmanager
def simulated_trials(
    *happens: Callable[[TrialResult], TrialResult], simulate: Callable[..., TrialResult] = good_result
) -> Iterator[None]:
    """Have trials that take no time and no load; in the first of them happens the first of these, and so on."""
    left = [*happens]

    def measure(one: Trial, attempt: int, *_: object) -> Measured:
        result = simulate(one, attempt=attempt)
        try:
            return left.pop(0)(result) if left else result, [{}]
        except PerfkitError as error:
            raise broken(one, error) from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "measure", measure)
        yield
