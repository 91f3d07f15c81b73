"""A host's clock, and how far off another is: bounds that hold for certain, whatever the way there takes."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question for the time: when it was asked, what was answered, and when that came back."""

    asked_s: float
    told_s: float
    """by the other machine's clock"""
    heard_s: float


@dataclass(frozen=True, slots=True)
class Offset:
    """How much later it is on the other machine: `offset_s`, within `error_s` on either side."""

    offset_s: float
    error_s: float

    def there(self, here_s: float) -> float:
        """Return what the other machine's clock shows when this one shows that."""
        return here_s + self.offset_s

    def agrees_with(self, other: "Offset") -> bool:
        """Return whether both can be true: neither clock was set between the two."""
        return abs(self.offset_s - other.offset_s) <= self.error_s + other.error_s


def offset(exchanges: Iterable[Exchange]) -> Offset:
    """Return the offset by the exchange that took the shortest (Cristian 1989); at least one.

    The answer was given between question and hearing, so the true offset is between told - heard and told - asked,
    however unequal the two ways are.
    """
    best = min(exchanges, key=lambda one: one.heard_s - one.asked_s)
    return Offset(best.told_s - (best.asked_s + best.heard_s) / 2, (best.heard_s - best.asked_s) / 2)
