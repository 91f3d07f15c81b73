"""What else takes time from the measured cores: other processes, the hypervisor, a quota. Linux; elsewhere nothing."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfkit.record.results import Machine

TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine's own clocks, in seconds."""

    busy_s: float
    """that some cores ran processes; interrupts are left out, which nobody's clock has"""
    stolen_s: float
    """that the hypervisor took from them"""
    throttled_s: float
    """that a quota has kept this process and its children from running"""


def read(cpus: Sequence[int]) -> Reading | None:
    """Return the clocks of some cores; None where there are none to read."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    busy = stolen = 0
    for line in lines:
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cpus:
            user, nice, system, _idle, _iowait, _irq, _softirq, steal, *_ = map(int, values)
            busy, stolen = busy + user + nice + system, stolen + steal
    return Reading(busy * TICK_S, stolen * TICK_S, _throttled_s())


def between(opened: Reading | None, closed: Reading | None, own_s: float, window_s: float) -> Machine | None:
    """Return what others took of the cores between two readings, of which `own_s` was the trial's own."""
    if opened is None or closed is None:
        return None
    others_s = closed.busy_s - opened.busy_s - own_s
    return Machine(
        others=max(0.0, others_s / window_s),
        stolen=(closed.stolen_s - opened.stolen_s) / window_s,
        throttled=(closed.throttled_s - opened.throttled_s) / window_s,
    )


def quota() -> float | None:
    """Return how many cores a control group lets this process use; None: as many as there are."""
    found = [limit for folder in _folders() if (limit := _limit(folder)) is not None]
    return min(found, default=None)


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    except OSError:
        return None
    return None if most in ("max", "-1") else int(most) / int(period)


def _throttled_s() -> float:
    total_s = 0.0
    for folder in _folders():
        try:
            lines = (folder / "cpu.stat").read_text().splitlines()
        except OSError:
            continue
        values = {name: int(value) for name, value in (line.split() for line in lines)}
        total_s += values.get("throttled_usec", 0) / 1e6 + values.get("throttled_time", 0) / 1e9
    return total_s


def _folders() -> Iterator[Path]:
    """Give the folders of this process's control group of CPU time and of all above it, of both versions."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            roots = [CGROUPS, CGROUPS / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [CGROUPS / controllers, CGROUPS / "cpu"]
        else:
            continue
        root = next((one for one in roots if one.is_dir()), None)
        if root is not None:
            own = root / path.lstrip("/")
            yield from (one for one in (own, *own.parents) if one == root or root in one.parents)
