"""Hosts that are network namespaces of this machine: s serves, g1 and g2 load, and c coordinates and has the switch."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ADDRESSES = {"s": "10.77.0.1", "g1": "10.77.0.2", "g2": "10.77.0.3", "c": "10.77.0.4"}

CLONE_NEWNET = 0x40000000  # linux/sched.h


def missing() -> str:
    """Return why there can be no such hosts here; empty: there can."""
    if sys.platform != "linux" or not shutil.which("ip"):
        return "no network namespaces here (ip, of iproute2): several hosts can't be had"
    tried_name = f"perfkit-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", tried_name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", tried_name], capture_output=True, check=False)
    return f"no network namespaces here ({tried.stderr.strip()}): that takes root" if tried.returncode else ""


class Net:
    """The hosts, each with a folder for temporary files of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = {host: f"perfkit-{os.getpid()}-{host}" for host in ADDRESSES}
        for host, name in self.names.items():
            self.temporary(host).mkdir()
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        switch = self.names["c"]
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        _ip("-n", switch, "address", "add", f"{ADDRESSES['c']}/24", "dev", "br0")
        _ip("-n", switch, "route", "add", "default", "dev", "br0")
        for host in ("s", "g1", "g2"):
            name = self.names[host]
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", host, "netns", switch)
            _ip("-n", switch, "link", "set", host, "master", "br0", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "address", "add", f"{ADDRESSES[host]}/24", "dev", "eth0")
            # By which Dask finds a host's own address; nothing is ever sent there.
            _ip("-n", name, "route", "add", "default", "via", ADDRESSES["c"])

    def temporary(self, host: str) -> Path:
        return self.folder / f"tmp-{host}"

    def start(self, host: str, argv: Sequence[str], before: str = "", **variables: str) -> subprocess.Popen[bytes]:
        """Start a program on a host, in mounts of its own; `before` is shell that changes these."""
        script = f'{before or ":"}; exec "$@"'
        with (self.folder / f"log-{host}").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.names[host], "sh", "-c", script, "sh", *argv],
                env={**os.environ, "TMPDIR": str(self.temporary(host)), **variables},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def plug(self, host: str, *, into: bool) -> None:
        """Plug a host's cable in or out."""
        _ip("-n", self.names["c"], "link", "set", host, "up" if into else "down")

    def processes(self, host: str) -> dict[int, str]:
        """Return pid → command line of all that runs on a host, stopped or not."""
        told = subprocess.run(["ip", "netns", "pids", self.names[host]], capture_output=True, text=True, check=True)
        found = {}
        for pid in map(int, told.stdout.split()):
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
        return {pid: command for pid, command in found.items() if command}

    def kill_all(self) -> None:
        for host in self.names:
            for pid in self.processes(host):
                if pid != os.getpid():
                    with suppress(ProcessLookupError):  # it has ended meanwhile
                        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self.kill_all()
        for name in self.names.values():
            _ip("netns", "delete", name)


@contextmanager
def inside(net: Net, host: str) -> Iterator[None]:
    """Be on a host, with this thread and all that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{net.names[host]}", os.O_RDONLY)
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(home)
        os.close(there)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
