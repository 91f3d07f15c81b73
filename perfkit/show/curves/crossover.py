"""What a map says: where which arm serves more or costs less, and what owners do for cold keys."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from perfkit.analysis import contrast, statistics, verdict
from perfkit.analysis.curves.grid import Grid, Spot
from perfkit.analysis.levels import THROUGHPUT, WAITED
from perfkit.design.plan import SOLO
from perfkit.record.load import load_environment
from perfkit.show import levels, report, words
from perfkit.show.report import Markdown
from perfkit.studies import crossover
from perfkit.studies.crossover import MAP, Crossover

COLD_P50 = "cold_p50_ms"

SAYS = {
    THROUGHPUT: {verdict.DEARER: "serves more", verdict.CHEAPER: "serves less"},
    "cpu_per_call_us": {verdict.DEARER: "costs more", verdict.CHEAPER: "costs less"},
}


def parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return what a map says, in three sentences, and where it was measured; and what limits it."""
    found = crossover.read(folder)
    where = report.where(load_environment(Path(folder) / MAP))
    return Markdown(f"**{headline(found)}**\n\n{where}"), Markdown("\n".join(_limits(found)))


def headline(found: Crossover) -> str:
    """Return the answer in three sentences."""
    failed = [words.control_sentence(one) for one in found.controls.values() if not one.ok]
    if failed:
        return f"The instrument is not trusted here: {'; '.join(failed)}."
    grid = found.grid
    best, *rest = sorted(grid.arms, key=lambda arm: _most(grid, arm), reverse=True)
    return " ".join(filter(None, (_first(grid, best), _others(grid, rest), cold(found.skew))))


def _good(grid: Grid) -> str:
    return verdict.DEARER if grid.metric == THROUGHPUT else verdict.CHEAPER


def _bad(grid: Grid) -> str:
    return verdict.CHEAPER if grid.metric == THROUGHPUT else verdict.DEARER


def _count(spots: Sequence[Spot], said: str) -> int:
    return sum(one.verdict == said for one in spots)


def _most(grid: Grid, arm: str) -> float:
    """Return how much an arm gains at most, as a logarithm; 0: nothing."""
    won = [one.ratio.ratio for one in grid.of(arm) if one.ratio and one.verdict == _good(grid)]
    return max((abs(math.log(ratio)) for ratio in won), default=0.0)


def _first(grid: Grid, arm: str) -> str:
    spots, names = grid.of(arm), words.labels(grid.trials)
    does, cells = SAYS[grid.metric][_good(grid)], f"{len(spots)} cells"
    head = f"{names[arm]} {does} than {names[grid.baseline]} in {_count(spots, _good(grid))} of {cells}"
    won = [one for one in spots if one.verdict == _good(grid) and one.ratio]
    if not won:
        return f"{head}: {_rest(grid, spots)}."
    pick = max if grid.metric == THROUGHPUT else min
    most = pick(won, key=lambda one: one.ratio.ratio if one.ratio else 1.0)
    assert most.ratio is not None  # noqa: S101 - of those that have one
    return f"{head}, most {place(grid, most)}, {words.times(most.ratio, 2)} times; {_rest(grid, spots)}."


def _rest(grid: Grid, spots: Sequence[Spot]) -> str:
    reasons = Counter(one.why for one in spots if one.ratio is None)
    numbers = {
        f"it {SAYS[grid.metric][_bad(grid)]} in": _count(spots, _bad(grid)),
        f"the two are within {grid.margin_pct:g} % in": _count(spots, verdict.NO_RELEVANT),
        f"{WAITED} for their load in": sum(one.why == WAITED for one in spots),
        "it is not known in": sum(not one.is_decided and one.ratio is not None and one.why != WAITED for one in spots),
        **{f"there is no number ({why}) in": number for why, number in reasons.items()},
    }
    return ", ".join(f"{what} {number}" for what, number in numbers.items() if number) or "that is all"


def _others(grid: Grid, arms: Sequence[str]) -> str:
    if not arms:
        return ""
    names, does = words.labels(grid.trials), SAYS[grid.metric]
    said = []
    for arm in arms:
        won, lost = (_count(grid.of(arm), one) for one in (_good(grid), _bad(grid)))
        more, less = does[_good(grid)], does[_bad(grid)].partition(" ")[2]
        said.append(f"{names[arm]} {more} in {won} and {less} in {lost}" if won or lost else f"{names[arm]} in none")
    return f"Of the same cells, {'; '.join(said)}."


def place(grid: Grid, spot: Spot) -> str:
    """Say where a cell is: "at 100 VUs and sync_us 1000"."""
    return f"at {_level(grid.x, spot.x)} and {_level(grid.y, spot.y)}"


def _level(factor: str, value: object) -> str:
    return f"{value} VUs" if factor == "vus" else f"{factor} {value}"


def skewed(trials: pd.DataFrame) -> dict[str, str]:
    """Return the three arms under skew: name in words → arm."""
    own = {
        (pattern, workers): arm
        for arm, pattern, workers in trials[["arm", "pattern", "workers"]].itertuples(index=False)
    }
    few, many = (pick(workers for pattern, workers in own if pattern == "mutex") for pick in (min, max))
    queue = next(arm for (pattern, _), arm in own.items() if pattern == "inputQ")
    return {
        f"a lock a key, {few} workers": own["mutex", few],
        f"a lock a key, {many} workers": own["mutex", many],
        "an owner a key": queue,
    }


def cold(trials: pd.DataFrame) -> str:
    """Say what owners do for cold keys, against locks with as many workers, and with a worker for each caller."""
    locks, many, owners = skewed(trials).values()
    one = trials.iloc[0]
    usable = contrast.usable_levels(trials, COLD_P50)
    if not usable:
        return "Of cold keys nothing is known: the load generator was the limit, or trials do not count."
    ratio, fair = (contrast.contrast(trials, COLD_P50, owners, other, usable) for other in (locks, many))
    own, theirs = (statistics.mean(trials.loc[trials["arm"] == arm, COLD_P50].astype(float).tolist(), logarithmic=True)
                   for arm in (owners, locks))  # fmt: skip
    few, most = (int(trials.loc[trials["arm"] == arm, "workers"].iloc[0]) for arm in (locks, many))
    return (
        f"With {one['keys']} keys under skew at {one['vus']} VUs, half of the calls for cold keys are answered within "
        f"{own.estimate:.1f} ms by owners and {theirs.estimate:.1f} ms with locks and {few} workers, "
        f"{words.times(ratio, 2)} times; against locks with {most} workers it is {words.times(fair, 2)} times."
    )


def table(folder: str | Path) -> Markdown:
    """Return a row a cell and arm."""
    grid = crossover.read(folder).grid
    names = words.labels(grid.trials)
    heads = f"| {grid.x} | {grid.y} | | {words.METRIC_WORDS[grid.metric][0]}, times {names[grid.baseline]}'s | |"
    lines = [heads, "|---|---|---|---|---|"]
    for one in grid.spots:
        said = {**SAYS[grid.metric], verdict.NOT_KNOWN: one.why}.get(one.verdict, one.verdict)
        lines.append(
            f"| {one.x} | {one.y} | {names[one.arm]} | {words.times(one.ratio, 2) if one.ratio else ''} | {said} |"
        )
    return Markdown("\n".join(lines))


def _limits(found: Crossover) -> Iterator[str]:
    grid, trials = found.grid, found.grid.trials
    way = "Solo trials, one server after the other"
    if found.plan.paired != SOLO:
        lengths = sorted(trials["turn_ms"].unique())
        waits = ", and waited by clocks of their own" if grid.metric == THROUGHPUT else ""
        way = f"Servers took turns of {' and '.join(map(str, lengths))} ms{waits}"
    yield (
        f"- {way}, under {trials['generator'].iloc[0]}, {trials['block'].nunique()} blocks of all cells. Intervals are "
        "of 95 %, each by itself; a cell is said to differ only where that holds for the whole map (Holm's correction)."
    )
    if "sync_us" in (grid.x, grid.y):
        yield "- A commit is a wait of fixed length on a *simulated* device; `notebooks/commit.ipynb` has a disk."
    for role, control in found.controls.items():
        yield levels.control_line(role, control, "cells that have it")
    every = pd.concat([one for one in (trials, found.stages, found.skew) if len(one)])
    yield from report.flag_lines(every, "of all runs")
