"""What a sweep says at each number of VUs, and whether the levels differ among themselves."""

from collections.abc import Iterator

import pandas as pd

from perfkit.analysis import contrast, controls, levels, verdict
from perfkit.analysis.levels import OverLevels
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import AA, HANDICAP, SMALL_HANDICAP, Plan
from perfkit.show import words

METRICS = ("cpu_per_call_us", "throughput_rps")

NAMES = {AA: "A/A control", HANDICAP: "handicap control", SMALL_HANDICAP: "smaller handicap's control"}

SERVES = {verdict.DEARER: "serves more", verdict.CHEAPER: "serves less"}
"""what a verdict on a ratio of costs is called of a ratio of throughput"""


Judged = dict[str, dict[str, OverLevels]]
"""arm → metric → what it says over the levels"""


def table_lines(table: pd.DataFrame, every: Judged) -> Iterator[str]:
    """Give the lines of a Markdown table, a row a level of VUs and arm, and then whether the levels differ."""
    names = words.labels(table)
    yield f"| VUs | against {names[contrast.baseline(table)]} | CPU per call | | throughput | |"
    yield "|---|---|---|---|---|---|"
    for arm, found in every.items():
        cells = {
            (one.levels[0], metric): _cell(metric, one, said)
            for metric, over in found.items()
            for one, said in zip(over.ratios, over.verdicts, strict=True)
        }
        for level in sorted({level for level, _ in cells}):
            row = " | ".join(cells.get((level, metric), "no verdict | ") for metric in METRICS)
            yield f"| {level} | {names[arm]} | {row} |"
    alike = [
        f"{names[arm]}: {words.METRIC_WORDS[metric][0]} (p = {over.differ_p:.2f})"
        for arm, found in every.items()
        for metric, over in found.items()
        if over.differ_p is not None and not over.turns
    ]
    together = "The intervals of all levels hold together, 19 times out of 20."
    yield f"\n{together}" + (f" Levels differ by no more than chance: {', '.join(alike)}." if alike else "")


def turning(table: pd.DataFrame, every: Judged) -> str:
    """Return where a ratio turns with the level beyond chance, so that one number would mislead; empty: nowhere."""
    names = words.labels(table)
    return " ".join(
        f"{names[arm]}: {words.METRIC_WORDS[metric][0]} turns with the number of VUs, {_ends(over)}."
        for arm, found in every.items()
        for metric, over in found.items()
        if over.turns
    )


def joint_lines(plan: Plan, paired: pd.DataFrame) -> Iterator[str]:
    """Give what the controls of a sweep's joint trials showed, a line a level and control."""
    nothing = paired.iloc[:0]
    for one in plan.variations:
        trials = paired[paired["vus"] == one.vus]
        if trials.loc[trials["valid"], "block"].nunique() < 2:
            yield f"- At {one.vus} VUs under two joint trials count: nothing is judged."
            continue
        for role, control in controls.judge(one, trials, nothing).items():
            passed = "passed" if control.ok else "**failed**"
            yield f"- At {one.vus} VUs the {NAMES[role]} {passed}: {words.control_sentence(control)}."


def judged(table: pd.DataFrame) -> Judged:
    """Return what each arm but the baseline says over the levels."""
    against = contrast.baseline(table)
    return {
        arm: {metric: levels.judge(table, metric, arm, against) for metric in METRICS}
        for arm in words.labels(table)
        if arm != against
    }


def _cell(metric: str, one: Ratio, said: str) -> str:
    if one.low is None:
        return "one block | "
    return f"{words.percent(one)} | {SERVES.get(said, said) if metric == METRICS[1] else said}"


def _ends(over: OverLevels) -> str:
    ends = sorted(over.ratios, key=lambda one: one.ratio)
    low, high = (f"{(one.ratio - 1) * 100:+.1f} % at {one.levels[0]} VUs" for one in (ends[0], ends[-1]))
    return f"from {low} to {high} (p = {over.differ_p:.2g})"
