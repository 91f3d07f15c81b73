"""What the universal scalability law says of a sweep, in words."""

from collections.abc import Iterator

from perfkit.analysis.curves.scalability import Estimate, Scalability, scalability
from perfkit.analysis.levels import SweepAnswer
from perfkit.show import words


def sentence(one: Scalability, name: str) -> str:
    """Return what keeps an arm from scaling, as far as the data tell."""
    span = f"from {one.levels[0]} to {one.levels[-1]} VUs"
    sigma, kappa = _percent(one.contention), _percent(one.coherency)
    if one.contention.is_there and one.coherency.is_there:
        peak = f"most calls/s at about {one.peak_vus:.0f} VUs" if one.peak_vus else "no peak"
        return f"{name}, {span}: contention {sigma} and coherency {kappa}; {peak}."
    if one.contention.is_there:
        return f"{name}, {span}: contention {sigma}; coherency is not shown, {kappa}."
    if one.coherency.is_there:
        return f"{name}, {span}: coherency {kappa}; contention is not shown, {sigma}."
    if one.contention.value or one.coherency.value:
        return f"{name}, {span}: these data can't tell contention ({sigma}) from coherency ({kappa})."
    return f"{name}, {span}: nothing keeps it from scaling that these data could show."


def _percent(one: Estimate) -> str:
    return f"{one.value * 100:.2g} % ({one.low * 100:.2g} to {one.high * 100:.2g})"


def lines(answer: SweepAnswer) -> Iterator[str]:
    """Give a line an arm; none where levels or blocks are too few."""
    names = words.labels(answer.solo)
    for one in scalability(answer.solo):
        yield (
            f"- {sentence(one, names[one.arm])} One VU gets {one.rate_rps.value:,.0f} calls/s "
            f"({one.rate_rps.low:,.0f} to {one.rate_rps.high:,.0f}); the law misses a level's mean by "
            f"{one.worst * 100:.0f} % at most."
        )
