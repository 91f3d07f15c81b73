"""What this machine is: its cores, its software, and what tells whether two halves of a run measured the same."""

import fcntl
import hashlib
import math
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from perfkit.checkout import IS_CHECKOUT, PACKAGE, ROOT
from perfkit.design.arms import Arm
from perfkit.design.factors import H2LOAD, K6
from perfkit.design.plan import Cell
from perfkit.errors import LoadError, PlanError
from perfkit.record.environment import Environment
from perfkit.rig import process

PACKAGES = ("grpcio", "protobuf", "pygrpc-native", "uvloop", "perfkit")
"""Those whose code runs in a server while it is measured; the optional ones are recorded where installed."""

MEASURING = ("perfkit/clock.py", "perfkit/errors.py", "perfkit/design", "perfkit/subject", "perfkit/rig", "k6", "proto")
"""What runs while a trial is measured, in servers, in k6 and around them."""


OTHER_FILES = 200
"""Files that k6 or a server holds open beside one for each connection, generously."""

LOCK = Path(tempfile.gettempdir()) / "perfkit-measuring.lock"
"""Held by the perfkit that measures on this machine."""


def collect(generators: Mapping[str, str], arms: Sequence[Arm] = ()) -> Environment:
    """Look at this machine, this interpreter, these generators' versions, and the code that is to be measured."""
    return Environment(
        machine=platform.node(),
        cpu_model=_cpu_model(),
        cores=len(usable_cpus()),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        packages={name: installed for name in PACKAGES if (installed := _version(name))},
        k6=generators[K6],
        h2load=generators.get(H2LOAD, ""),
        load_1m=os.getloadavg()[0],
        autogroup=_autogroup(),
        git_commit=_git_commit(),
        code=code_digest(),
        alike=process.can_lay_alike(),
        programs={arm.subject: _program_digest(arm) for arm in arms if arm.is_foreign and not arm.runs_already},
    )


def code_digest(package: Path = PACKAGE, root: Path = ROOT) -> str:
    """Return a digest of the files of MEASURING, by name and content; the same in a checkout and in a wheel."""
    named: dict[str, Path] = {}
    for name in MEASURING:
        home = package.parent if name.startswith("perfkit/") else root
        path = home / name
        named |= {
            str(one.relative_to(home)): one
            for one in (path.rglob("*") if path.is_dir() else [path])
            if one.suffix in (".py", ".js", ".proto")
        }
    return _digest(sorted(named.items()))


def _program_digest(arm: Arm) -> str:
    """Return a digest of those words of a command that are programs or files; what these load is not in it."""
    first, *others = shlex.split(arm.command)
    home = Path(arm.folder).expanduser()
    files = [Path(shutil.which(first) or home / first), *(home / word for word in (*others, arm.env) if word)]
    return _digest((path.name, path) for path in files if path.is_file())


def _digest(named: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in named:
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def alone() -> Iterator[None]:
    """Have this machine for measuring; a LoadError where another perfkit has it, by its process.

    Where the file that says so belongs to somebody else, or its file system has no locks, nobody is kept out.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(LOCK.open("a+"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LoadError(
                f"another perfkit measures on this machine (process {file.read().strip()}), and the two would take "
                "time from each other; wait for it"
            ) from error
        except OSError:
            pass
        else:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def refuse_connections(cells: Iterable[Cell], hosts: int = 1) -> None:
    """Raise a PlanError where a process, one of `hosts` that share them, could not hold a cell's connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for cell in cells:
        vus, servers = cell.load.vus, len(cell.seats)
        if most != resource.RLIM_INFINITY and math.ceil(vus / hosts) * servers + OTHER_FILES > most:
            fit = (most - OTHER_FILES) // servers * hosts
            each = f" at each of {servers} servers" if servers > 1 else ""
            raise PlanError(
                f"vus={vus}{each}: each VU is an open connection, and this machine's hard limit is {most} "
                f"open files; raise it (ulimit -Hn)" + (f" or stay at {fit} VUs" if fit > 0 else "")
            )


def refuse_cores(cells: Iterable[Cell]) -> None:
    """Raise a PlanError where servers are to have more cores than there are."""
    cores = len(usable_cpus())
    for wanted in {cell.load.server_cpus for cell in cells}:
        if wanted > cores:
            raise PlanError(f"server_cpus={wanted}: {cores} cores can be used here; say server_cpus={cores}, or fewer")


def usable_cpus() -> tuple[int, ...]:
    """Return the cores that this process may run on."""
    if sys.platform == "linux":
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def boot_id() -> str:
    """Return what the kernel calls the present run of this machine; empty: not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def siblings(cpu: int) -> tuple[int, ...]:
    """Return the hardware threads that share a physical core with `cpu`, itself included."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return (cpu,)
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)


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
    if not IS_CHECKOUT:
        return ""  # where a package lies may be in somebody else's repository
    try:
        # A hook's GIT_DIR is another repository's; and that somebody else owns the checkout does not change its commit.
        described = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=10,
            env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()
