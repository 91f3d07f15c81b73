"""Whether an answer holds under other loads: other generators, other numbers of VUs, another layout of memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perfkit.analysis import comparison, statistics, verdict
from perfkit.analysis.comparison import Answer
from perfkit.analysis.controls import by_block, role_logs
from perfkit.analysis.statistics import Ratio
from perfkit.design.factors import KIND
from perfkit.design.plan import B

DEPENDS = "depends on the load"


@dataclass(frozen=True, slots=True)
class Robustness:
    """What a comparison says under several kinds of load, in blocks that have all of them."""

    answers: tuple[Answer, ...]
    effects: tuple[Ratio, ...]
    """one for each factor of `KIND` that was varied: how many times the ratio of b to a is under its second level that
    under its first, over all others; p-values corrected for their number"""
    verdict: str
    """an answer's, where all agree; else DEPENDS, or comparison.NOT_KNOWN or NOT_TRUSTED"""

    @property
    def moving(self) -> tuple[str, ...]:
        """The factors that move the ratio beyond chance."""
        return tuple(effect.factor for effect in self.effects if effect.differs)

    @property
    def is_reached(self) -> bool:
        """Whether the question is decided, and alike under every load."""
        return self.verdict not in (DEPENDS, comparison.NOT_KNOWN, comparison.NOT_TRUSTED)


def judge(several: Sequence[tuple[Answer, pd.DataFrame]]) -> Robustness:
    """Return what answers say together, each with the table of its paired trials."""
    answers = tuple(answer for answer, _ in several)
    logs = pd.DataFrame({number: role_logs(by_block(paired), B) for number, (_, paired) in enumerate(several)})
    effects = _effects([answer.load.kind for answer in answers], logs.dropna())
    return Robustness(answers, tuple(effects), _verdict(answers))


def _verdict(answers: Sequence[Answer]) -> str:
    told = {answer.verdict for answer in answers}
    if len(told) == 1:
        return told.pop()
    if comparison.NOT_TRUSTED in told:
        return comparison.NOT_TRUSTED
    if told >= {comparison.A_DEARER, comparison.B_DEARER}:
        return DEPENDS
    if comparison.NOT_KNOWN in told:
        return comparison.NOT_KNOWN
    # Relevant under some loads only: of one sign under all, or not.
    signs = {verdict.judge(answer.cpu_per_call, 0) for answer in answers if answer.cpu_per_call}
    return (told - {comparison.NO_RELEVANT}).pop() if len(signs) == 1 else DEPENDS


def _effects(kinds: Sequence[tuple[object, ...]], logs: pd.DataFrame) -> list[Ratio]:
    """A row of `logs` a block, a column a kind; each factor's effect is a mean over all levels of the others."""
    found: list[Ratio] = []
    if len(logs) < 2:
        return found
    for place, factor in enumerate(KIND):
        levels = list(dict.fromkeys(kind[place] for kind in kinds))
        if len(levels) == 2:
            one, other = (logs[[number for number, kind in enumerate(kinds) if kind[place] == level]].mean(axis=1)
                          for level in levels)  # fmt: skip
            found.append(
                statistics.from_logs(
                    "cpu_per_call_us", str(levels[1]), str(levels[0]), [place], np.asarray(other - one).tolist(), factor
                )
            )
    return statistics.holm(found)
