"""What the survey of engines, the published study and the calibration say."""

import statistics
from pathlib import Path

import pandas as pd

from perfkit.analysis import verdict as margin
from perfkit.analysis.comparison import Answer
from perfkit.analysis.several import pooling
from perfkit.analysis.several.pooling import Run
from perfkit.analysis.statistics import Ratio, quotient
from perfkit.design.arms import Arm
from perfkit.design.paired import HANDICAPS_PCT
from perfkit.design.parameters import PARAMETERS
from perfkit.record.load import load_environment
from perfkit.show import levels, report, words
from perfkit.show.report import Markdown
from perfkit.show.study_form import ABSENT
from perfkit.studies import compare, engines, sweep
from perfkit.studies.engines import Survey, alone, is_limited
from perfkit.studies.published import MANNERS, call_share

MANNERS_IN_WORDS = dict(zip(MANNERS, ("in the study's manner", "with connections kept"), strict=True))
"""name of a sweep's folder → what to call it in a sentence"""

MARGIN_PCT = PARAMETERS["margin_pct"].read("margin_pct", compare.STUDY.defaults["margin_pct"])
"""A difference of queue and lock up to this is no relevant one."""


def engines_headline(survey: Survey) -> str:
    """Return which arm needs the least CPU per call, in one sentence."""
    a, where = survey.reference.name, f"Under k6 at {survey.vus} VUs an arm"
    cheaper = {arm: cost for arm, cost in survey.cost.items() if margin.judge(cost, 0) == margin.CHEAPER}
    if not cheaper:
        return f"{where}, no arm needs surely less CPU per call than {a}."
    cheapest, cost = min(cheaper.items(), key=lambda item: item[1].ratio)
    text = f"{where}, {cheapest.name} needs the least CPU per call, {words.times(cost)} times {a}'s"
    alike = [
        arm.name
        for arm, other in cheaper.items()
        if arm != cheapest and margin.judge(quotient(other, cost), 0) == margin.NOT_KNOWN
    ]
    tied = f"; {' and '.join(alike)} can't be told from it" if alike else ""
    return f"{text}{tied}.{words.mostly(survey.answers[cheapest])}"


def engines_parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return what the survey in this folder says and where it was measured; and what limits it."""
    survey = engines.read(folder)
    limits = words.LOADS[survey.method]
    where = report.where(load_environment(survey.folder / "closed"))
    return Markdown(f"{engines_verdict(survey)}\n\n{where}"), Markdown(f"{limits}\n\n{engines_caveats(survey)}")


def engines_verdict(survey: Survey) -> Markdown:
    """Return what the survey says in plain sentences: which arm is the cheapest, and what each queue costs."""
    lines = [f"**{engines_headline(survey)}**", ""]
    for arm, cost in survey.queue_cost.items():
        lines.append(
            f"- {arm.name} against mutex on the same engine: {margin.judge(cost, MARGIN_PCT)}, {words.percent(cost)} "
            f"CPU per call under k6.{words.mostly(survey.queues[arm])}"
        )
    lines += [
        f"- {arm.name}: {words.sentence(answer)}"
        for answers in (survey.answers, survey.queues)
        for arm, answer in answers.items()
        if not answer.is_trusted
    ]
    return Markdown("\n".join(dict.fromkeys(lines)))


def engines_caveats(survey: Survey) -> Markdown:
    """Return what limits each comparison, but for what limits all of them."""
    listed = {arm: words.caveats(answer) for arm, answer in survey.answers.items()}
    shared = set.intersection(*map(set, listed.values())) if len(listed) > 1 else set()
    own = {arm: [one for one in several if one not in shared] for arm, several in listed.items()}
    lines = [f"- {arm.name}: {' '.join(several)}" for arm, several in own.items() if several]
    return Markdown("\n".join(lines) or "Nothing was seen that limits one of the comparisons.")


def engines_table(survey: Survey) -> Markdown:
    """Return a line an arm: paired trials against the reference, and what it did alone."""
    heads = (
        "arm",
        f"CPU per call, times {survey.reference.name}'s",
        "calls per CPU second, times",
        "alone under k6: CPU per call (µs)",
        "alone under k6: throughput (calls/s)",
        "alone under h2load: throughput (calls/s)",
        f"alone under k6, offered {survey.rate}/s: p99 (ms)",
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for arm in survey.arms:
        cost = survey.cost.get(arm)
        paired = ("1", "1") if arm == survey.reference else ("not trusted", ABSENT)
        cells = (
            arm.name,
            *((words.times(cost), f"{1 / cost.ratio:.2f}") if cost else paired),
            _mean(survey.closed, arm, "cpu_per_call_us", ".0f"),
            _mean(survey.closed, arm, "throughput_rps", ",.0f"),
            _mean(survey.capacity, arm, "throughput_rps", ",.0f"),
            _mean(survey.offered, arm, "p99_ms", ".2f"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    without = "h2load was not installed: what a server that costs less a call than k6 can do at most is not known."
    return Markdown("\n".join(lines) + (f"\n\n{without}" if survey.capacity.empty else ""))


def _mean(trials: pd.DataFrame, arm: Arm, metric: str, form: str) -> str:
    mean = alone(trials, arm, metric)
    if mean is None:
        return ABSENT
    limited = " (the generator was the limit)" if metric != "cpu_per_call_us" and is_limited(trials, arm) else ""
    spread = "" if mean.low is None else f" ({mean.low:{form}} to {mean.high:{form}})"
    return f"{mean.estimate:{form}}{spread}{limited}"


def published_parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return what the study can't say, and what our two sweeps of it do; and where they were measured."""
    home = Path(folder)
    lines = [
        f"- Ours, {name}: {levels.sentence(sweep.answer(home / manner))}" for manner, name in MANNERS_IN_WORDS.items()
    ]
    where = report.where(load_environment(home / next(iter(MANNERS_IN_WORDS))))
    head = (
        "**Which of the two is faster the study can't say: it has one run for each number, under a load that hardly "
        "reached the service.**"
    )
    return Markdown("\n".join([head, "", *lines])), Markdown(where)


def study_limits(table: pd.DataFrame) -> Markdown:
    """Return what a table of one block, in the study's form, can and can't say, by its own figures."""
    by_level = table.assign(share=call_share(table)).groupby("vus")[["in_flight", "share"]].mean()
    many = by_level[by_level.index >= 200]["in_flight"]
    rates = table.pivot_table(index="vus", columns="pattern", values="throughput_rps")
    ahead = rates["inputQ"] / rates["mutex"] - 1
    queue, lock = (", ".join(f"{vus} ({gap * 100:+.1f} %)" for vus, gap in some.items()) or "no" for some in
                   (ahead[ahead > 0], ahead[ahead <= 0]))  # fmt: skip
    return Markdown(
        f"- **Calls in flight** (Little's law: throughput times mean latency): {many.min():.0f} to {many.max():.0f} "
        f"from 200 VUs up, however many VUs there are. The service never met the load that its axis names.\n"
        f"- **The call's share of an iteration**: {by_level['share'].iloc[0] * 100:.0f} % at {by_level.index[0]} VUs, "
        f"{by_level['share'].iloc[-1] * 100:.1f} % at {by_level.index[-1]}. The rest is connecting, closing, waiting "
        "for k6: an iteration's duration is hardly about the pattern.\n"
        f"- **Who is ahead** in throughput changes: inputQ at {queue} VUs, mutex at {lock} VUs.\n"
        "- **No error bars**: one run for each number, one after the other. By themselves they can't tell a difference "
        "of the patterns from one of the minute: on a shared machine single runs differ by 15 % and more."
    )


def calibration_line(number: int, answer: Answer) -> str:
    """Return one study of a calibration in one line."""
    if answer.cpu_per_call is None:
        return f"{number:3d}  {words.sentence(answer)}"
    parts = [f"{name} {_size(control.result)}" for name, control in answer.controls.items()]
    parts.append(f"b {_size(answer.cpu_per_call)}")
    return f"{number:3d}  " + "  ".join(parts) + f"  {answer.blocks} blocks, {answer.seconds:.0f} s  {answer.verdict}"


def calibration_summary(answers: list[Answer]) -> str:
    """Return coverage, detections, half-widths and seconds over all studies."""
    counted = [answer for answer in answers if answer.cpu_per_call is not None]
    if not counted:
        return f"{len(answers)} studies, none with two trials that count"
    aa = [answer.controls["aa"].result for answer in counted]
    b = [answer.cpu_per_call for answer in counted if answer.cpu_per_call is not None]
    decided = [one for answer, one in zip(counted, b, strict=True) if answer.is_reached]
    signs = {one.ratio > 1 for one in decided}
    held = sum(low <= 1 <= high for low, high in (one.interval for one in aa))
    handicaps = ""
    for role in HANDICAPS_PCT:
        results = [answer.controls[role].result for answer in counted if role in answer.controls]
        if results:
            detected = sum(one.interval[0] > 1 for one in results)
            handicaps += f"{role}: found in {detected} of {len(counted)}, {_together(results)}\n"
    return (
        f"{len(answers)} studies, median {statistics.median(answer.seconds for answer in answers):.0f} s each\n"
        f"A/A: contains 1 in {held} of {len(counted)}, {_together(aa)}\n"
        f"{handicaps}"
        f"b against a: decided in {len(decided)} of {len(answers)}, "
        f"{'all of one sign' if len(signs) < 2 else 'SIGNS DIFFER'}, {_together(b)}"
    )


def _together(results: list[Ratio]) -> str:
    """All studies as one, as runs of a machine are pooled, and how far they lie apart: not 0 where the truth moves."""
    pooled = pooling.pool([Run(str(number), "", one) for number, one in enumerate(results)], MARGIN_PCT)
    one = pooled.together
    half_width_pct = statistics.median(one.half_width_pct for one in results)
    text = f"{one.ratio:.4f} ({one.low:.4f} to {one.high:.4f}) together, median half-width {half_width_pct:.2f} %"
    if pooled.spread_runs is None:
        return text
    return f"{text}, studies lie {pooled.spread_runs * 100:.2f} % apart (sd) beyond their intervals"


def _size(result: Ratio) -> str:
    return f"{result.ratio:.4f} ± {result.half_width_pct:.2f} %"
