"""A simulated device: it keeps nothing, and takes its time for that."""

import time
from collections.abc import Mapping


class SimulatedDevice:
    """A store each commit to which takes at least so long, whatever it holds. It never fails."""

    def __init__(self, sync_us: int, count: int = 0) -> None:
        self.counts = {0: count}
        self._sync_s = sync_us / 1e6

    def commit(self, changed: Mapping[int, int]) -> None:  # noqa: D102
        time.sleep(self._sync_s)
        self.counts.update(changed)

    def close(self) -> None:  # noqa: D102
        pass
