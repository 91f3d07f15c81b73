"""What serves an arm: one of perfkit's own servers, a command of the user's, or a server that runs already."""

from contextlib import AbstractContextManager
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.rig.ports import LOOPBACK
from perfkit.rig.process import START_S, Place
from perfkit.rig.servers import foreign, own, running
from perfkit.rig.servers.own import STORE, Final, RunningServer
from perfkit.service.called import Called

__all__ = ["STORE", "Final", "RunningServer", "serving"]


def serving(
    arm: Arm,
    place: Place,
    start_s: float = START_S,
    folder: Path | None = None,
    address: str = LOOPBACK,
    called: Called | None = None,
    keys: int = 1,
) -> AbstractContextManager[RunningServer]:
    """Serve an arm on a free port until the end, unless it runs already; one with a store has its files in `folder`.

    `called` is the method of a server that is not perfkit's own; None: it counts, by so many
    `keys`.
    """
    if arm.runs_already:
        return running.server(arm, called, keys)
    if arm.is_foreign:
        return foreign.server(arm, place, start_s, address, called, keys)
    return own.server(arm, place, start_s, folder, address)
