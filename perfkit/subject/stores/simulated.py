"""A simulated device: it keeps nothing, and takes its time for that."""

from collections.abc import Mapping

from perfkit.subject.work import OwnClock


class SimulatedDevice:
    """A store each commit to which takes at least so long, whatever it holds. It never fails."""

    def __init__(self, sync_us: int, count: int = 0, clock: OwnClock | None = None) -> None:
        self.counts = {0: count}
        self._sync_s = sync_us / 1e6
        self._clock = clock or OwnClock()

    def commit(self, changed: Mapping[int, int]) -> None:  # noqa: D102
        self._clock.sleep(self._sync_s)
        self.counts.update(changed)

    def close(self) -> None:  # noqa: D102
        pass
