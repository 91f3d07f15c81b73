"""How good the instrument is: whole comparisons repeated, each of its own seed."""

from collections.abc import Iterator
from pathlib import Path

from perfkit.analysis.comparison import Answer
from perfkit.design.parameters import PARAMETERS
from perfkit.studies import compare
from perfkit.studies.common import campaign
from perfkit.studies.common.study import WHERE


def calibrate(studies: object, out: Path, **values: object) -> Iterator[Answer]:
    """Give the answers of so many comparisons, in folders of `out`; stored ones are kept.

    `values` are parameters of `perfkit.compare`. Every comparison is one against itself (its A/A control) and one
    against the handicap too.
    """
    count = PARAMETERS["studies"].read("studies", studies)
    plans = {f"study-{seed:02d}": compare.STUDY.plan(**values, seed=seed) for seed in range(1, count + 1)}
    for folder in campaign.measure(plans, out, **{name: values[name] for name in WHERE if name in values}):
        yield compare.answer(folder)
