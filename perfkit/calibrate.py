"""How good the instrument is: whole comparisons repeated, what their intervals held, found and missed."""

import math
import statistics
from collections.abc import Iterator
from pathlib import Path

from perfkit import experiment
from perfkit.comparison import Answer
from perfkit.statistics import Ratio


def studies(count: int, out: Path, **parameters: object) -> Iterator[Answer]:
    """Give the answers of `count` comparisons, each of its own seed, in folders of `out`; stored ones are reused.

    `parameters` are those of `perfkit.compare`. Every comparison is one against itself (its A/A control) and one
    against the handicap too.
    """
    for number in range(1, count + 1):
        folder = out / f"study-{number:02d}"
        yield experiment.answer(experiment.measured("compare", folder, seed=number, **parameters))


def line(number: int, answer: Answer) -> str:
    """Return one study in one line."""
    if answer.cpu_per_call is None:
        return f"{number:3d}  {answer.sentence}"
    aa, handicap = (answer.controls[name].found for name in ("aa", "handicap"))
    parts = [f"A/A {_told(aa)}", f"handicap {_told(handicap)}", f"b {_told(answer.cpu_per_call)}"]
    return f"{number:3d}  " + "  ".join(parts) + f"  {answer.blocks} blocks, {answer.seconds:.0f} s  {answer.verdict}"


def summary(answers: list[Answer]) -> str:
    """Return coverage, detections, half-widths and seconds over all studies."""
    told = [answer for answer in answers if answer.cpu_per_call is not None]
    if not told:
        return f"{len(answers)} studies, none with two joint trials that count"
    aa, handicap = ([answer.controls[name].found for answer in told] for name in ("aa", "handicap"))
    b = [answer.cpu_per_call for answer in told if answer.cpu_per_call is not None]
    decided = [one for answer, one in zip(told, b, strict=True) if answer.is_reached]
    signs = {one.ratio > 1 for one in decided}
    held = sum(low <= 1 <= high for low, high in (one.interval for one in aa))
    found = sum(low > 1 for low, _ in (one.interval for one in handicap))
    return (
        f"{len(answers)} studies, median {statistics.median(answer.seconds for answer in answers):.0f} s each\n"
        f"A/A: contains 1 in {held} of {len(told)}, {_medians(aa)}\n"
        f"handicap: found in {found} of {len(told)}, {_medians(handicap)}\n"
        f"b against a: decided in {len(decided)} of {len(answers)}, "
        f"{'all of one sign' if len(signs) < 2 else 'SIGNS DIFFER'}, {_medians(b)}"
    )


def _medians(found: list[Ratio]) -> str:
    """Ratio, half-width, and how far the studies lie apart: more than by chance where the truth itself moves."""
    half_width_pct = statistics.median(one.half_width_pct for one in found)
    ratios = [one.ratio for one in found]
    told = f"median ratio {statistics.median(ratios):.4f}, median half-width {half_width_pct:.2f} %"
    if len(found) < 2:
        return told
    by_chance = math.sqrt(statistics.fmean(one.standard_error**2 for one in found))
    apart = statistics.stdev(map(math.log, ratios))
    return f"{told}, sd between studies {apart * 100:.2f} % (by their intervals {by_chance * 100:.2f} %)"


def _told(found: Ratio) -> str:
    return f"{found.ratio:.4f} ± {found.half_width_pct:.2f} %"
