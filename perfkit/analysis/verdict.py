"""What an interval lets one conclude: the one rule of the margin."""

from perfkit.analysis.statistics import Ratio

DEARER, CHEAPER, NO_RELEVANT, NOT_KNOWN = "dearer", "cheaper", "no relevant difference", "not known yet"


def band(margin_pct: float) -> tuple[float, float]:
    """Return the least and the largest ratio that are no relevant difference, as far apart from 1 on logarithms."""
    margin = 1 + margin_pct / 100
    return 1 / margin, margin


def judge(result: Ratio, margin_pct: float) -> str:
    """Return what a ratio of costs says, by its interval and the largest difference that does not matter.

    `NO_RELEVANT`: the whole interval is within the margin (`result` may still exclude 1: then the sign is known too).
    `DEARER`, `CHEAPER`: it excludes 1 and is not within the margin. `NOT_KNOWN`: neither, or one block has no interval.
    """
    if result.low is None or result.high is None:
        return NOT_KNOWN
    least, largest = band(margin_pct)
    if least <= result.low and result.high <= largest:
        return NO_RELEVANT
    if result.low <= 1 <= result.high:
        return NOT_KNOWN
    return DEARER if result.ratio > 1 else CHEAPER
