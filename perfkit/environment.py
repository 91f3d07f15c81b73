"""The machine and the software that numbers come from, and what must agree before they may stand in one run."""

import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("grpcio", "protobuf", "pygrpc-native", "uvloop", "perfkit")
"""Those whose code runs in a server while it is measured; the optional ones are told of where installed."""

COMPARED = ("machine", "cpu_model", "cores", "kernel", "python", "gil", "packages", "k6")
"""Fields that two halves of a run must agree in."""


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
    """whether the scheduler shares cores between sessions before processes; None: not told"""
    git_commit: str
    """of perfkit's checkout, with + behind it where files differed; empty: no checkout"""

    def to_dict(self) -> dict[str, Any]:
        """Return the environment as JSON can hold it."""
        return asdict(self)

    def difference(self, other: "Environment") -> str:
        """Return the first field that keeps the two apart, with both values; empty: they compare."""
        for name in COMPARED:
            if getattr(self, name) != getattr(other, name):
                return f"{name} {getattr(self, name)!r} against {getattr(other, name)!r}"
        return ""


def collect(k6_version: str) -> Environment:
    """Look at this machine and this interpreter."""
    return Environment(
        machine=platform.node(),
        cpu_model=_cpu_model(),
        cores=len(usable_cpus()),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        packages={name: told for name in PACKAGES if (told := _version(name))},
        k6=k6_version,
        load_1m=os.getloadavg()[0],
        autogroup=_autogroup(),
        git_commit=_git_commit(),
    )


def usable_cpus() -> tuple[int, ...]:
    """Return the cores that this process may run on."""
    if sys.platform == "linux":
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def siblings(cpu: int) -> tuple[int, ...]:
    """Return the hardware threads that share a physical core with `cpu`, itself included."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return (cpu,)
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _autogroup() -> bool | None:
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() == "1"
    except OSError:
        return None


def _git_commit() -> str:
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=here, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()
