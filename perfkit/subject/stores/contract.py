"""What a store is."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from perfkit.errors import ServerError, StoreFailed


class Store(Protocol):
    """Counts that are kept."""

    counts: dict[int, int]
    """key → count as it was last committed, at first as it was found"""

    def commit(self, changed: Mapping[int, int]) -> None:
        """Keep the counts of these keys; when it returns, they are. A StoreFailed says why that is not known to be so.

        Some of them may be kept then, and others not; one key's count is always as it was before or after.
        """

    def close(self) -> None:
        """Let go of the files; what was committed stays."""


class OneAtATime:
    """A store that several critical sections share: a device does one commit after the other."""

    def __init__(self, store: Store) -> None:
        self.counts = store.counts
        self._store = store
        self._lock = threading.Lock()

    def commit(self, changed: Mapping[int, int]) -> None:  # noqa: D102
        with self._lock:
            self._store.commit(changed)

    def close(self) -> None:  # noqa: D102
        self._store.close()


def unusable(store: str, path: Path, why: object) -> ServerError:
    """Return the error for files that can't be opened."""
    return ServerError(f"store {store}: {path} can't be used: {why}; nothing was changed, name another --folder")


def unwritable(store: str, path: Path, why: object) -> StoreFailed:
    """Return the error for a commit that can't be known to have happened."""
    return StoreFailed(
        f"store {store}: {path} can't be written: {why}; what was acknowledged is there: mend that and start again"
    )
