"""What a sweep over offered rates says: how far each arm gets within the limit on p99."""

from collections.abc import Iterator

from perfkit.analysis.curves.knee import Knee, Level, knees
from perfkit.analysis.levels import SweepAnswer
from perfkit.show import words


def sentence(answer: SweepAnswer) -> str:
    """Return how far each arm gets, a sentence each."""
    names, found = words.labels(answer.solo), knees(answer.solo, answer.plan.slo_ms)
    return " ".join(_of(one, names[one.arm]) for one in found) or "Nothing is known yet."


def _of(knee: Knee, name: str) -> str:
    what = f"p99 within {knee.slo_ms:g} ms and no call dropped"
    if knee.rate is None:
        if knee.high == knee.levels[0].rate:
            return f"{name} does not keep {what} at {knee.high:,} offered calls/s, the lowest rate tried."
        lowest = f"{knee.levels[0].rate:,} offered calls/s, the lowest rate tried"
        return f"It is not known whether {name} keeps {what} at {lowest}."
    surely = f"surely up to {knee.low:,}" if knee.low else "not surely at any"
    beyond = f"surely no more at {knee.high:,}" if knee.high else "beyond what was tried it is not known"
    return f"{name} keeps {what} up to {knee.rate:,} offered calls/s ({surely}, {beyond})."


def table_lines(answer: SweepAnswer) -> Iterator[str]:
    """Give the lines of a Markdown table, a row a rate and arm."""
    names = words.labels(answer.solo)
    yield "| offered calls/s | | p99 (ms) | 95 % interval, all together | blocks with drops |"
    yield "|---|---|---|---|---|"
    for knee in knees(answer.solo, answer.plan.slo_ms):
        for level in knee.levels:
            yield f"| {level.rate:,} | {names[knee.arm]} | {_p99(level)} | {level.dropped} of {level.blocks} |"


def _p99(level: Level) -> str:
    found = level.p99_ms
    if found is None:
        return "not known | "
    ends = f"{found.low:.1f} to {found.high:.1f}" if found.low is not None else "one block"
    return f"{found.estimate:.1f} | {ends}"
