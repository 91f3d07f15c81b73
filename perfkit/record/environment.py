"""The machine and the software that numbers come from, and what must agree before they may stand in one run."""

from dataclasses import asdict, dataclass, field
from typing import Any

COMPARED = ("machine", "cpu_model", "cores", "kernel", "python", "gil", "packages", "k6", "h2load", "code", "programs",
            "host")  # fmt: skip
"""Fields that two halves of a run must agree in. The commit is not one: it also changes with a word in the README."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run was measured."""

    machine: str
    cpu_model: str
    cores: int
    """usable by this process"""
    kernel: str
    python: str
    gil: bool
    packages: dict[str, str]
    k6: str
    load_1m: float
    """runnable processes, averaged over the minute before the run"""
    autogroup: bool | None
    """whether the scheduler shares cores between sessions before processes; None: not known"""
    git_commit: str
    """of perfkit's checkout, with + behind it where files differed; empty: no checkout"""
    code: str = ""
    """digest of all that runs while a trial is measured: servers, rig, script and proto; empty: run before 0.2"""
    alike: bool | None = None
    """whether memory of servers can be laid out alike; None: not known"""
    h2load: str = ""
    """its version; empty: not used"""
    programs: dict[str, str] = field(default_factory=dict)
    """command of each foreign arm → digest of the program files that it names"""
    host: str = ""
    """the name in a cluster of the host that serves, or loads; empty: one machine does both"""
    hosts: tuple["Environment", ...] = ()
    """those that load, where they are not the one that serves"""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Environment":
        """Return the environment that `to_dict` made this of; a TypeError where it is none."""
        return cls(**{**data, "hosts": tuple(map(cls.from_dict, data.get("hosts", ())))})

    def to_dict(self) -> dict[str, Any]:
        """Return the environment as JSON can hold it."""
        return asdict(self)

    def difference(self, present: "Environment") -> str:
        """Return the first field that keeps this environment and the present one apart; empty: they compare."""
        if not self.code:
            return "it has no digest of the code that it measured, being of an older perfkit"
        for name in COMPARED:
            if getattr(self, name) != getattr(present, name):
                return f"{name} {getattr(self, name)!r} there, {getattr(present, name)!r} here"
        if len(self.hosts) != len(present.hosts):
            return f"{len(self.hosts)} hosts that load there, {len(present.hosts)} here"
        several = zip(self.hosts, present.hosts, strict=True)
        return next((f"host {one.host}: {found}" for one, now in several if (found := one.difference(now))), "")
