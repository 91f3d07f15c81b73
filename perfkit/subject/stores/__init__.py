"""Where a count is kept: one module a store, all with the same face; none knows a pattern."""

from importlib import import_module
from pathlib import Path

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.subject.stores.contract import Store
from perfkit.subject.stores.disk import refuse_memory
from perfkit.subject.stores.simulated import SimulatedDevice
from perfkit.subject.work import OwnClock


def open_store(arm: Arm, folder: Path | None, count: int = 0, clock: OwnClock | None = None) -> Store | None:
    """Open what keeps an arm's count; None: memory alone. A ServerError says why that can't be.

    `folder` is where a store on disk has its files, made if need be; opened again, it goes on with its count. A
    simulated device begins at `count`, and its commits take their time by `clock`.
    """
    if not arm.is_durable:
        return SimulatedDevice(arm.sync_us, count, clock) if arm.sync_us else None
    if folder is None:
        raise ServerError(f"store={arm.store} keeps its files in a folder; name one on a disk with --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerError(f"--folder {folder} can't be made ({error.strerror}); name another") from error
    refuse_memory(folder, f"store={arm.store}")
    store: Store = import_module(f"perfkit.subject.stores.{arm.store}").open_store(folder, arm)
    return store
