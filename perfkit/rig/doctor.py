"""What this machine can and can't measure: thirteen checks, each with what was found and what to do."""

import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from perfkit.errors import PerfkitError
from perfkit.rig import family, machine, process
from perfkit.rig.generators import h2load, k6
from perfkit.rig.host import OTHER_FILES, siblings, usable_cpus
from perfkit.rig.process import Place

NOISE_S = 2.0
"""How long the fixed loop is repeated."""

LOOP = 100_000
"""Turns of the fixed loop: some milliseconds."""

QUIET = 0.05
"""Coefficient of variation of the fixed loop up to which a machine is called quiet."""

SHARES_S = 0.4

ENOUGH_VUS = 500
"""VUs at each server of a comparison that the limit of open files should leave room for."""

SERVERS = 4
"""of a joint trial"""

LEAST_MEMORY_MB = 1000
"""k6 takes 120 MB at 1,000 VUs, each of four servers 60 MB, the notebook's kernel 250 MB; and as much again."""

LEAST_DISK_MB = 200
"""A sweep writes 3 MB."""

STEP_MS = 5.0
"""How far the wall clock may move against the monotonic one during NOISE_S."""

SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool
    result: str
    advice: str
    """what to do, or what it means; "": nothing"""

    def line(self, width: int = 13) -> str:
        """Return the finding as a line; `width` is that of the column of checks."""
        return f"{'ok  ' if self.ok else 'LOOK'} {self.check:{width}} {self.result}" + (
            f": {self.advice}" if self.advice else ""
        )


def examine(k6_program: str = "k6", folder: Path = Path()) -> list[Finding]:
    """Look at this machine, for about three seconds; runs are meant to lie in `folder`."""
    checks: list[Callable[[], Finding]] = [
        cores,
        lambda: quota(machine.quota(), len(usable_cpus())),
        lambda: generator(k6_program),
        second_generator,
        noise,
        shares,
        lambda: layout(process.can_lay_alike()),
        lambda: open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        ports,
        gil,
        lambda: memory(psutil.virtual_memory().available / 1e6),
        lambda: disk(shutil.disk_usage(folder).free / 1e6),
        clock,
    ]
    return [check() for check in checks]


def cores() -> Finding:
    """Whether servers and k6 can have cores of their own."""
    cpus = usable_cpus()
    if len(cpus) < 2:
        return Finding("cores", False, "1 usable", "server and k6 take time from each other; give perfkit two cores")
    if not process.CAN_PIN:
        return Finding("cores", False, f"{len(cpus)}, no pinning here", "compare on Linux; elsewhere noise is larger")
    apart = [cpu for cpu in cpus[1:] if cpu not in siblings(cpus[0])]
    if not apart:
        return Finding(
            "cores", False, f"{len(cpus)} threads of one core", "server and k6 slow each other; give two cores"
        )
    return Finding("cores", True, f"servers on {cpus[0]}, k6 on {','.join(map(str, apart))}", "")


def generator(program: str = "k6") -> Finding:
    """Whether there is a k6 that may be used."""
    try:
        program_found = k6.find(program)
    except PerfkitError as error:
        return Finding("k6", False, "none to use", str(error))
    return Finding("k6", True, f"{program_found.version} at {program_found.path}", "")


def quota(cores: float | None, usable: int) -> Finding:
    """Whether a control group lets perfkit use its cores."""
    if cores is None or cores >= usable:
        return Finding("quota", True, "none", "")
    advice = "throttled trials are flagged, and their throughput gives no verdict; lift it (--cpus, limits.cpu)"
    return Finding("quota", False, f"{cores:g} of {usable} cores", advice)


def second_generator() -> Finding:
    """Whether there is an h2load."""
    try:
        program = h2load.find()
    except PerfkitError:
        return Finding("h2load", True, "not installed", h2load.INSTALL)
    return Finding("h2load", True, f"{program.version} at {program.path}", "")


def noise() -> Finding:
    """How much the time of one and the same loop varies."""
    took, until = [], time.perf_counter() + NOISE_S
    while time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(LOOP):
            pass
        took.append(time.perf_counter() - began)
    variation = statistics.stdev(took) / statistics.fmean(took)
    quiet = variation <= QUIET
    advice = "" if quiet else "single runs can't tell small differences here; compare by turns, in many blocks"
    return Finding("noise", quiet, f"a fixed loop varies by {variation * 100:.1f} % (CV, {len(took)} runs)", advice)


def shares() -> Finding:
    """Whether the scheduler shares a core between sessions, as joint trials like it, or between processes.

    Measured, because in containers and slices sessions count for nothing whatever the setting says.
    """
    cpus = usable_cpus()[:1] if process.CAN_PIN else ()
    if not cpus:
        return Finding("shares", False, "not measured", "comparisons may get unequal shares, which they say")
    alone, crowd = "while True: pass", "import os; os.fork(); os.fork()\nwhile True: pass"
    with ExitStack() as stack:
        one, _ = (
            stack.enter_context(
                process.child(
                    [sys.executable, "-I", "-S", "-c", source],
                    Place(cpus),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            for source in (alone, crowd)
        )
        time.sleep(SHARES_S / 2)  # until all five run
        began, used = time.monotonic(), family.cpu_ns([one.pid])
        time.sleep(SHARES_S)
        share = (family.cpu_ns([one.pid]) - used) / 1e9 / (time.monotonic() - began)
    return judge_share(share)


def judge_share(share: float) -> Finding:
    """Judge the share that one process got next to four of another session: a half or a fifth."""
    fair = share > 0.35
    result = f"one process next to four of another session gets {share * 100:.0f} % of a core"
    advice = "" if fair else "sessions don't count here; comparisons may get unequal shares, which move CPU per call"
    return Finding("shares", fair, result, advice)


def layout(alike: bool | None) -> Finding:
    """Whether the memory of servers that are compared can be laid out alike."""
    if alike:
        return Finding("layout", True, "servers' memory can be laid out alike", "")
    refused = "not known" if alike is None else "personality(ADDR_NO_RANDOMIZE) is refused"
    advice = "copies of one server differ by some per cent; in Docker or Podman: --security-opt seccomp=unconfined"
    return Finding("layout", False, refused, advice)


def open_files(most: int) -> Finding:
    """How many VUs the hard limit of open files allows."""
    if most == resource.RLIM_INFINITY:
        return Finding("open files", True, "no limit", "")
    solo = max(0, most - OTHER_FILES)
    result = f"{most}: up to {solo} VUs in a sweep, {solo // SERVERS} at each server of a comparison"
    enough = solo // SERVERS >= ENOUGH_VUS
    return Finding("open files", enough, result, "" if enough else "raise the hard limit (ulimit -Hn) for more")


def ports() -> Finding:
    """Whether a connection in each iteration would use up the ports."""
    settings = Path("/proc/sys/net/ipv4")
    try:
        first, last = map(int, (settings / "ip_local_port_range").read_text().split())
        reuse = (settings / "tcp_tw_reuse").read_text().strip() in ("1", "2")  # 2: on loopback
    except OSError:
        return Finding("ports", True, "not readable here", "connect_per_iteration may run out of them")
    result = f"{last - first + 1} ephemeral, {'used again after a second' if reuse else 'idle a minute after use'}"
    advice = "" if reuse else "connect_per_iteration runs out of them in seconds; set net.ipv4.tcp_tw_reuse=1"
    return Finding("ports", reuse, result, advice)


def gil() -> Finding:
    """Whether Python's global lock keeps threads from running at once."""
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return Finding("GIL", True, "on", "the counter's lock is hardly contended; what is compared is the way to it")
    return Finding("GIL", True, "off", "")


def memory(available_mb: float) -> Finding:
    """Whether servers, k6 and notebook fit."""
    enough = available_mb >= LEAST_MEMORY_MB
    advice = "" if enough else f"free some: {LEAST_MEMORY_MB} MB are enough for 1,000 VUs"
    return Finding("memory", enough, f"{available_mb:,.0f} MB available", advice)


def disk(free_mb: float) -> Finding:
    """Whether runs fit."""
    enough = free_mb >= LEAST_DISK_MB
    advice = "" if enough else "a sweep writes 3 MB and stops where it can't, finished trials kept; make room"
    return Finding("disk", enough, f"{free_mb:,.0f} MB free for runs", advice)


def clock(seconds: float = 0.2) -> Finding:
    """Whether the wall clock, by which the window is agreed with k6, runs with the monotonic one."""
    try:
        source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text().strip()
    except OSError:
        source = "unknown"
    wall, steady = time.time(), time.monotonic()
    time.sleep(seconds)
    return judge_clock(source, ((time.time() - wall) - (time.monotonic() - steady)) * 1e3)


def judge_clock(source: str, apart_ms: float) -> Finding:
    """Judge the clock's source, and how far wall and monotonic clock moved apart."""
    result = f"source {source}, wall and monotonic clock {abs(apart_ms):.2f} ms apart in a moment"
    if abs(apart_ms) > STEP_MS:
        return Finding("clock", False, result, "something steps the clock; wait until it is set")
    if source in SLOW_CLOCKS:
        return Finding("clock", False, result, "each reading is slow; choose tsc or the hypervisor's")
    return Finding("clock", True, result, "")
