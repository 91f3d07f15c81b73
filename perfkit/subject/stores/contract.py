"""What a store is."""

from pathlib import Path
from typing import Protocol

from perfkit.errors import ServerError, StoreFailed


class Store(Protocol):
    """A number that is kept."""

    count: int
    """as it was last committed, at first as it was found"""

    def commit(self, count: int) -> None:
        """Keep this count; when it returns, it is kept. A StoreFailed says why that is not known to be so."""

    def close(self) -> None:
        """Let go of the files; what was committed stays."""


def unusable(store: str, path: Path, why: object) -> ServerError:
    """Return the error for files that can't be opened."""
    return ServerError(f"store {store}: {path} can't be used: {why}; nothing was changed, name another --folder")


def unwritable(store: str, path: Path, why: object) -> StoreFailed:
    """Return the error for a commit that can't be known to have happened."""
    return StoreFailed(
        f"store {store}: {path} can't be written: {why}; what was acknowledged is there: mend that and start again"
    )
