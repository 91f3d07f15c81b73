"""Which cores of a machine servers and load generators have."""

from dataclasses import dataclass, replace
from pathlib import Path

from perfkit.rig import process
from perfkit.rig.host import siblings, usable_cpus
from perfkit.rig.process import START_S


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores servers and generators are pinned to (empty: not), and how servers are started."""

    server: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()
    own_sessions: bool = True
    """whether servers have sessions of their own"""
    start_s: float = START_S
    """how long a server may take until it accepts calls"""
    alike: bool = True
    """whether the servers of a joint trial are laid out alike in memory, as process.Place says why"""
    folder: Path | None = None
    """where servers may keep files; None: where the system has temporary ones"""
    address: str = "127.0.0.1"
    """that servers listen on"""

    def with_servers_on(self, cores: int) -> "Placement":
        """Return the same with so many cores for servers; the generator keeps its own where none would be left."""
        if cores == len(self.server) or not self.server:
            return self
        cpus = tuple(sorted({*self.server, *self.generator}))
        return replace(self, server=cpus[:cores], generator=cpus[cores:] or self.generator)


def place(
    *,
    pin: bool,
    own_sessions: bool = True,
    start_s: float = START_S,
    folder: Path | None = None,
    address: str = "127.0.0.1",
) -> Placement:
    """Give servers one core (a `threads` server is faster so) and k6 the rest, without the servers' sibling if any.

    No pinning on one core, or where the system offers none.
    """
    cpus = usable_cpus()
    if not pin or len(cpus) < 2 or not process.CAN_PIN:
        return Placement((), (), own_sessions, start_s, folder=folder, address=address)
    rest = cpus[1:]
    apart = tuple(cpu for cpu in rest if cpu not in siblings(cpus[0]))
    return Placement(cpus[:1], apart or rest, own_sessions, start_s, folder=folder, address=address)
