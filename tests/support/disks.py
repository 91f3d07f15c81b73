"""Folders that are on a disk."""

import tempfile
from pathlib import Path

from perfkit.subject.stores.disk import IN_MEMORY, filesystem
from tests.support import ROOT


def on_disk(folder: Path) -> Path:
    """Return a folder that is on a disk: this one, or where temporary ones are in memory, one in the checkout."""
    if filesystem(folder) not in IN_MEMORY:
        return folder
    return Path(tempfile.mkdtemp(prefix="test-", dir=ROOT / "data/runs"))
