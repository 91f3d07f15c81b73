"""What several answers to one question say: under several kinds of load, and of several stored runs."""

from collections.abc import Sequence

from perfkit.analysis import comparison
from perfkit.analysis.several import robust
from perfkit.analysis.several.robust import Robustness
from perfkit.analysis.statistics import Ratio
from perfkit.design.plan import Load
from perfkit.show import words
from perfkit.studies.several import history
from perfkit.studies.several.history import Stored

MOVED = {"generator": "the load generator", "vus": "the number of VUs", "random_layout": "the layout of memory"}
"""factor that a comparison is varied in → what to call it in a sentence"""


def kind(load: Load) -> str:
    """Return what to call a kind of load."""
    at_random = ", memory laid out at random" if load.random_layout else ""
    return f"{load.generator} at {load.vus} VUs{at_random}"


def sentence(robustness: Robustness) -> str:
    """Return whether a comparison's answer holds under all loads that it was measured under, and what moves it."""
    answers = robustness.answers
    a, b = comparison.names(answers[0].plan)
    size = _range(robustness)
    if robustness.verdict == comparison.NOT_TRUSTED:
        failing = next(one for one in answers if not one.is_trusted)
        text = f"The instrument is not trusted under {kind(failing.load)}: {words.distrust(failing)}"
    elif robustness.verdict == robust.DEPENDS:
        text = f"Whether {b} costs more CPU per call than {a} depends on the load: {size}"
    elif robustness.verdict == comparison.NOT_KNOWN:
        text = f"Not known yet whether {b} and {a} differ under every load: {size}"
    elif robustness.verdict == comparison.NO_RELEVANT:
        text = (
            f"{b} and {a} differ by less than {answers[0].plan.margin_pct:g} % in CPU per call under every load: {size}"
        )
    else:
        more = "more" if robustness.verdict == comparison.B_DEARER else "less"
        text = f"{b} costs {more} CPU per call than {a} under every load: {size}"
    moved = [f"{MOVED[one.factor]} ({words.percent(one)} from {_level(one, 0)} to {_level(one, 1)})" for one in
             robustness.effects if one.differs]  # fmt: skip
    still = [MOVED[one.factor] for one in robustness.effects if not one.differs]
    if robustness.verdict == comparison.NOT_TRUSTED:
        return f"{text}."
    moves = f" It is moved beyond chance by {words.listed(moved)}." if moved else ""
    keeps = f" Not shown to move it: {words.listed(still)}." if still else ""
    return f"{text}.{moves}{keeps}"


def _range(robustness: Robustness) -> str:
    known = [one for one in robustness.answers if one.cpu_per_call]
    if not known:
        return "nothing counts"
    if len(known) == 2:
        return ", ".join(f"{words.percent(one.cpu_per_call)} under {kind(one.load)}" for one in known
                         if one.cpu_per_call)  # fmt: skip
    rising = sorted((one.cpu_per_call.ratio, kind(one.load)) for one in known if one.cpu_per_call)
    (low, lowest), (high, highest) = rising[0], rising[-1]
    return f"from {(low - 1) * 100:+.1f} % ({lowest}) to {(high - 1) * 100:+.1f} % ({highest}), of {len(rising)} loads"


def _level(effect: Ratio, which: int) -> str:
    value = (effect.baseline, effect.arm)[which]
    return {"False": "alike", "True": "at random"}.get(value, value) + (" VUs" if effect.factor == "vus" else "")


def headline(robustness: Robustness) -> str:
    """Return what a comparison says in one sentence, of one load or of several."""
    return sentence(robustness) if len(robustness.answers) > 1 else words.sentence(robustness.answers[0])


def table(robustness: Robustness) -> str:
    """Return, as Markdown, the sentence, large, and a row for each kind of load: CPU per call, throughput, verdict."""
    a, b = comparison.names(robustness.answers[0].plan)
    lines = [f"| load | CPU per call, {b} against {a} | throughput | verdict |", "|---|---|---|---|"]
    for one in robustness.answers:
        cost = words.percent(one.cpu_per_call) if one.cpu_per_call else "nothing counts"
        served = words.percent(one.throughput) if one.throughput else "no verdict"
        lines.append(f"| {kind(one.load)} | {cost} | {served} | {one.verdict} |")
    return f"# {sentence(robustness)}\n\n" + "\n".join(lines)


def over_runs(runs: Sequence[Stored]) -> str:
    """Return from what to what the ratios of stored runs went, in one sentence."""
    old, new = runs[0], runs[-1]
    told = [f"{name} {went(change, is_trusted=old.is_trusted and new.is_trusted)}" for name, change in
            history.changes(old, new).items()]  # fmt: skip
    return f"From {old.name} to {new.name}: {'; '.join(told) or 'nothing that both runs know'}"


def went(change: Ratio, *, is_trusted: bool) -> str:
    """Return how a ratio went from one run to another, and whether that is beyond chance."""
    low, high = change.interval
    if not is_trusted:
        return "is not known to have changed: a run is not trusted"
    how = "rose" if low > 1 else "fell" if high < 1 else "was not shown to change"
    return f"{how}, {words.percent(change)}"
