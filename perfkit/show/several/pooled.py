"""What pooled comparisons say, in words and as a table."""

from perfkit.analysis import verdict
from perfkit.analysis.several.pooling import DEPENDS, FEWEST_MACHINES, Joined
from perfkit.show import words
from perfkit.show.report import Markdown
from perfkit.studies.several.pool import Pool, machine

SIMULATED = "Simulated, no machine was measured: "


def answer(found: Pool) -> Markdown:
    """Return the sentence, and what it rests on."""
    return Markdown(f"**{sentence(found)}**\n\n{basis(found)}")


def sentence(found: Pool) -> str:
    """Return what all runs say together, in one sentence."""
    pooled, a, b = found.pooled, found.a, found.b
    count = len(pooled.machines)
    size = f"{_percent(pooled.together)}, {_number(len(pooled.runs), 'run')} on {_number(count, 'machine')}"
    margin = f"{found.margin_pct:g} %"
    said = {
        DEPENDS: f"Whether {b} costs more or less CPU per call than {a} depends on the machine",
        verdict.NOT_KNOWN: f"Not known yet whether {b} and {a} differ in CPU per call by more than {margin}",
        verdict.NO_RELEVANT: f"{b} and {a} differ in CPU per call by less than {margin}",
        verdict.DEARER: f"{b} costs more CPU per call than {a}",
        verdict.CHEAPER: f"{b} costs less CPU per call than {a}",
    }[pooled.verdict]
    return f"{SIMULATED if found.is_simulated else ''}{said}: {size}."


def basis(found: Pool) -> str:
    """Return how far runs and machines lie apart, and what is expected of the next machine."""
    pooled, parts = found.pooled, []
    if pooled.spread_runs is not None:
        spread = f"{pooled.spread_runs * 100:.1f} %"
        parts.append(f"Runs of one machine lie {spread} apart (sd), beyond their own intervals.")
    if pooled.spread_machines is not None and pooled.differ_p is not None:
        beyond = "beyond chance" if pooled.differ_p < 0.05 else "by no more than chance"
        parts.append(
            f"Machines lie {pooled.spread_machines * 100:.1f} % apart (sd), {beyond} (p = {pooled.differ_p:.2g})."
        )
    if pooled.prediction:
        low, high = ((end - 1) * 100 for end in pooled.prediction)
        parts.append(f"On the next machine the difference lies from {low:+.1f} % to {high:+.1f} %, 19 times out of 20.")
    else:
        parts.append(f"Of the next machine nothing is said: that takes {FEWEST_MACHINES} machines.")
    if found.left_out:
        names = words.listed([one.name for one in found.left_out])
        parts.append(f"Left out, because the instrument was not trusted there: {names}.")
    return " ".join(parts)


def table(found: Pool) -> Markdown:
    """Return a row a run, a machine, and all."""
    lines = ["| machine | run | CPU per call | blocks |", "|---|---|---|---|"]
    for joined in found.pooled.machines:
        own = [one for one in found.pooled.runs if one.machine == joined.name]
        lines += [f"| {joined.name} | {one.name} | {words.percent(one.ratio)} | {one.ratio.blocks} |" for one in own]
        if len(own) > 1:
            lines.append(f"| {joined.name} | **together** | {_percent(joined)} | |")
    for one in found.left_out:
        lines.append(f"| {machine(one)} | {one.name} | not trusted, left out | |")
    return Markdown("\n".join([*lines, f"| **all** | | {_percent(found.pooled.together)} | |"]))


def _percent(one: Joined) -> str:
    low, middle, high = ((value - 1) * 100 for value in (one.low, one.ratio, one.high))
    return f"{middle:+.1f} % (95 % interval {low:+.1f} % to {high:+.1f} %)"


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
