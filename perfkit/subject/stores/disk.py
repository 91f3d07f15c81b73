"""Folders on a disk: tmpfs would make a durable store a lie."""

import os
from pathlib import Path

from perfkit.errors import ServerError

IN_MEMORY = ("tmpfs", "ramfs")

MOUNTS = Path("/proc/self/mountinfo")


def refuse_memory(folder: Path, who: str) -> None:
    """Raise a ServerError where a folder, or where it is to be made, lies in memory; elsewhere than on Linux never."""
    if (kind := filesystem(folder)) in IN_MEMORY:
        raise ServerError(
            f"{who}: {folder} lies on {kind}, which is memory, so that nothing would be durable there; name a folder "
            "on a disk"
        )


def filesystem(folder: Path) -> str:
    """Return the type of the file system that a folder lies on, or will; empty where that is not known."""
    home = folder.resolve()
    while not home.exists():
        home = home.parent
    device = home.stat().st_dev
    found = ""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return found
    for line in lines:  # man 5 proc: ID, parent, major:minor, root, mount point, options, ..., -, type, source, options
        mount, _, kind = line.partition(" - ")
        major, minor = mount.split()[2].split(":")
        if (int(major), int(minor)) == (os.major(device), os.minor(device)):
            found = kind.split()[0]
    return found
