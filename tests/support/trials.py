"""Real trials, and what other programs on the machine may do to them."""

import pandas as pd

from perfkit.design.plan import Trial
from perfkit.record.results import TrialResult
from perfkit.record.validity import flags
from perfkit.rig import generators, trial

INTERFERENCE = frozenset({
    "paused", "disturbed turns", "late turns", "busy cores", "stolen time", "throttled", "generator limited",
    "warm-up too short", "unsaturated", "unequal shares", "hosts differ",
})  # fmt: skip
"""Flags that a neighbour on the machine can bring about: it takes time from servers, from generators or from perfkit.
With the first two a trial counts for nothing; what it counted is right all the same."""


def measure(one: Trial, *, pin: bool = True) -> TrialResult:
    result, _ = trial.measure(one, 0, generators.find([one.load]), trial.place(pin=pin))
    return result


def own_flags(seen: TrialResult | pd.DataFrame) -> set[str]:
    """Return the flags of a trial, or of all trials of a table, that no neighbour can bring about."""
    if isinstance(seen, TrialResult):
        return set(flags(seen)) - INTERFERENCE
    return {*"; ".join(seen["flags"]).split("; ")} - INTERFERENCE - {""}
