"""What a sweep says: one sentence a metric, a row a level, and what its controls showed."""

from collections.abc import Iterator

import pandas as pd

from perfkit.analysis import contrast, levels, verdict
from perfkit.analysis.controls import Control
from perfkit.analysis.levels import CPU, THROUGHPUT, OverLevels, SweepAnswer
from perfkit.analysis.statistics import Ratio
from perfkit.design.factors import FACTORS
from perfkit.design.plan import AA, HANDICAP, SMALL_HANDICAP
from perfkit.show import words

NAMES = {AA: "A/A control", HANDICAP: "handicap control", SMALL_HANDICAP: "smaller handicap's control"}

SERVES = {verdict.DEARER: "serves more", verdict.CHEAPER: "serves less"}
"""what a verdict on a ratio of costs is called of a ratio of throughput"""

OF = {"vus": "number of VUs", "rate": "offered rate"}
"""factor of a sweep → what its levels are of"""

FEW_PCT = 10.0
"""Up to so much, a difference was seen to change its sign with the load generator (`docs/generators.md`)."""


def sentence(answer: SweepAnswer, metric: str = CPU) -> str:
    """Return what a sweep says of a metric: a sentence for each arm but the first named."""
    if not answer.is_trusted:
        failed = "; ".join(words.control_sentence(one) for one in answer.controls.values() if not one.ok)
        return f"The instrument is not trusted here: {failed}."
    if not answer.over:
        return headline(answer.trials, metric, answer.plan.factor) if len(answer.trials) else "Nothing is known yet."
    said = " ".join(_of_arm(answer, arm, metric) for arm in answer.over)
    ratios = [one for over in answer.over.values() for one in over[metric].ratios]
    # Only what is known can turn.
    if metric == CPU and any(
        verdict.judge(one, 0) != verdict.NOT_KNOWN and abs(one.ratio - 1) * 100 < FEW_PCT for one in ratios
    ):
        said += " Another load generator may reverse a difference of a few per cent (docs/generators.md)."
    return said + (_without_number(answer) if metric == CPU and ratios else "")


def _without_number(answer: SweepAnswer) -> str:
    """Say which levels that were measured the answer leaves out."""
    there = {one.levels[0] for over in answer.over.values() for one in over[CPU].ratios}
    out = [level for level in _levels(answer) if level not in there]
    where = f"{words.listed(out)} {FACTORS[answer.plan.factor].unit}" if out else ""
    return where and f" At {where} it has no number: trials there don't count."


def _levels(answer: SweepAnswer) -> list[int]:
    done = answer.trials[answer.trials["complete"]]
    return sorted(set(done[answer.plan.factor].astype(int)))


def _of_arm(answer: SweepAnswer, arm: str, metric: str) -> str:
    over, names = answer.over[arm][metric], words.labels(answer.trials)
    one, other = names[arm], names[answer.baseline]
    name, more, less, does = words.METRIC_WORDS[metric]
    if not over.ratios:
        pair = answer.trials[answer.trials["arm"].isin((arm, answer.baseline))]
        return headline(pair, metric, answer.plan.factor)
    if set(over.verdicts) == {levels.WAITED}:
        return f"No verdict on {name} of {one}: the servers waited for their load, which could explain the difference."
    if over.turns or levels.WAITED in over.verdicts:
        beyond = f"levels differ beyond chance, p = {over.differ_p:.2g}; " if over.turns else ""
        head = f"Whether {one} {does} more or {less} than {other} changes with the {OF[answer.plan.factor]}"
        return f"{head if over.turns else f'{name.capitalize()} of {one}'}: {_turns(over)} ({beyond}{_basis(answer)})."
    result = over.together
    if result is None or result.low is None:
        return f"Not known yet whether {one} and {other} differ in {name}: one block gives no interval."
    where = _where(over)
    size = f"{words.percent(result)} {where}, {_basis(answer)}"
    margin = f"{answer.plan.margin_pct:g} %"
    low, high = result.interval
    sign = "" if low <= 1 <= high else f", and {one} {does} {more if result.ratio > 1 else less}"
    said = {
        verdict.NOT_KNOWN: f"Not known yet whether {one} and {other} differ in {name} by more than {margin}",
        verdict.NO_RELEVANT: f"No relevant difference: {one} and {other} differ in {name} by less than {margin}{sign}",
        verdict.DEARER: f"{one} {does} {more} than {other}",
        verdict.CHEAPER: f"{one} {does} {less} than {other}",
    }[over.verdict]
    detectable = words.detectable(result) if over.verdict == verdict.NOT_KNOWN else ""
    return f"{said}: {size}{detectable}."


def headline(table: pd.DataFrame, metric: str = "throughput_rps", factor: str = "vus") -> str:
    """Return a sweep's answer on one metric: a sentence for each arm but the baseline."""
    return " ".join(_sentences(table, metric, factor))


def _sentences(table: pd.DataFrame, metric: str, factor: str) -> Iterator[str]:
    names = words.labels(table)
    against = contrast.baseline(table)
    usable = contrast.usable_levels(table, metric, factor)
    name = words.METRIC_WORDS[metric][0]
    if not usable:
        yield (
            f"No verdict on {name}: at every level, trials were invalid, or the load generator was the limit instead "
            "of the server or had it on its own cores."
        )
    elif len(names) == 1:
        yield f"One arm alone ({names[against]}) gives no comparison of {name}."
    else:
        for arm in names:
            if arm != against:
                yield _ratio_sentence(contrast.contrast(table, metric, arm, against, usable, factor), names)


def _ratio_sentence(result: Ratio, names: dict[str, str]) -> str:
    name, more, less, does = words.METRIC_WORDS[result.metric]
    arm, baseline = names[result.arm], names[result.baseline]
    where = f"at {words.listed(result.levels)} {FACTORS[result.factor].unit}" + (
        " together" if len(result.levels) > 1 else ""
    )
    change = (result.ratio - 1) * 100
    if result.low is None:
        return (
            f"Not known yet: {arm} measured {result.ratio:.3f} times the {name} of {baseline} {where}, "
            "but one block gives no interval; run at least 5 (repeats=5)."
        )
    rests_on = f"{words.interval(result)}, {result.blocks} blocks"
    if verdict.judge(result, margin_pct=0) == verdict.NOT_KNOWN:
        return (
            f"Not known yet whether {arm} and {baseline} differ in {name}: {change:+.1f} % ({rests_on}, {where}); "
            f"this run could have seen a difference of {result.detectable_pct:.1f} % four times out of five."
        )
    return f"{arm} {does} {abs(change):.1f} % {more if change > 0 else less} than {baseline} ({rests_on}, {where})."


def table_lines(answer: SweepAnswer) -> Iterator[str]:
    """Give the lines of a Markdown table, a row a level of VUs and arm, and then whether the levels differ."""
    names = words.labels(answer.trials)
    yield f"| {FACTORS[answer.plan.factor].unit} | against {names[answer.baseline]} | CPU per call | | throughput | |"
    yield "|---|---|---|---|---|---|"
    for arm, found in answer.over.items():
        cells = {
            (one.levels[0], metric): _cell(metric, one, said)
            for metric, over in found.items()
            for one, said in zip(over.ratios, over.verdicts, strict=True)
        }
        for level in _levels(answer):
            row = " | ".join(cells.get((level, metric), "no verdict | ") for metric in (CPU, THROUGHPUT))
            yield f"| {level} | {names[arm]} | {row} |"
    alike = [
        f"{names[arm]}: {words.METRIC_WORDS[metric][0]} (p = {over.differ_p:.2f})"
        for arm, found in answer.over.items()
        for metric, over in found.items()
        if over.differ_p is not None and not over.turns
    ]
    together = "The intervals of all levels hold together, 19 times out of 20."
    yield f"\n{together}" + (f" Levels differ by no more than chance: {', '.join(alike)}." if alike else "")


def control_lines(answer: SweepAnswer) -> Iterator[str]:
    """Give what the controls showed, a line each."""
    for role, control in answer.controls.items():
        yield control_line(role, control, "levels")


def control_line(role: str, control: Control, over: str) -> str:
    """Return what a control showed over all levels, or cells, as a line of a list."""
    said = f"{words.control_verdict(control)}: {words.control_sentence(control)}"
    return f"- Over all {over}, the {NAMES[role]} {said}."


def _cell(metric: str, one: Ratio, said: str) -> str:
    if one.low is None:
        return "one block | "
    return f"{words.percent(one)} | {SERVES.get(said, said) if metric == THROUGHPUT else said}"


def _turns(over: OverLevels) -> str:
    """Say the levels by verdict: "dearer at 10 and 100 VUs (+4.1 %, +2.0 %)"."""
    by_verdict: dict[str, list[Ratio]] = {}
    known_first = (verdict.DEARER, verdict.CHEAPER, verdict.NO_RELEVANT, verdict.NOT_KNOWN, levels.WAITED)
    for one, said in sorted(zip(over.ratios, over.verdicts, strict=True), key=lambda pair: known_first.index(pair[1])):
        found = SERVES.get(said, said) if one.metric == THROUGHPUT else said
        by_verdict.setdefault(found, []).append(one)
    return ", ".join(
        f"{said} at {words.listed([one.levels[0] for one in ratios])} {FACTORS[ratios[0].factor].unit} "
        f"({', '.join(f'{(one.ratio - 1) * 100:+.1f} %' for one in ratios)})"
        for said, ratios in by_verdict.items()
    )


def _where(over: OverLevels) -> str:
    numbers, unit = [one.levels[0] for one in over.ratios], FACTORS[over.ratios[0].factor].unit
    several = f"on average over {words.listed(numbers)} {unit}, which were not shown to differ"
    return f"at {numbers[0]} {unit}" if len(numbers) == 1 else several


def _basis(answer: SweepAnswer) -> str:
    blocks = answer.trials.loc[answer.trials["valid"], "block"].nunique()
    load = answer.plan.cells[0].load
    under = f"{load.generator}{words.cores(load, answer.trials['flags'])}"
    return f"under {under}, {words.WAYS[answer.method]}, {blocks} blocks"
