"""What serves an arm in a process: one of perfkit's own servers, or a command of the user's."""

from contextlib import AbstractContextManager
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.rig.process import START_S, Place
from perfkit.rig.servers import foreign, own
from perfkit.rig.servers.own import STORE, Final, RunningServer

__all__ = ["STORE", "Final", "RunningServer", "serving"]


def serving(
    arm: Arm, place: Place, start_s: float = START_S, folder: Path | None = None
) -> AbstractContextManager[RunningServer]:
    """Serve an arm on a free loopback port until the end; one whose store is on a disk has its files in `folder`."""
    return foreign.server(arm, place, start_s) if arm.is_foreign else own.server(arm, place, start_s, folder)
