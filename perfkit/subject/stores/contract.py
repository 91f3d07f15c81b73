"""What a store is."""

from typing import Protocol


class Store(Protocol):
    """A number that is kept."""

    count: int
    """as it was last committed, at first as it was found"""

    def commit(self, count: int) -> None:
        """Keep this count; when it returns, it is kept. A StoreFailed says why that is not known to be so."""

    def close(self) -> None:
        """Let go of the files; what was committed stays."""
