"""Processes, as a test sees them."""

import os
import signal
import socket
from collections.abc import Callable, Collection
from pathlib import Path

import psutil

from perfkit.clock import wait_until

PATIENCE_S = 60.0
"""How long anything may take on a busy machine, before it is not going to happen."""


def wait_for(what: str, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait until something holds; fail with `what` where it never does."""
    assert wait_until(holds, within_s), f"{what}: not within {within_s:g} s"


def state(pid: int) -> str:
    """Return a process's state as in /proc; Z also where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def wait_for_end(pids: Collection[int]) -> None:
    """Wait until processes are gone, or wait for nobody but their parent."""
    wait_for(f"the end of {pids}", lambda: all(state(pid) == "Z" for pid in pids))


def is_connected(pid: int | None) -> bool:
    """Return whether a process has an open connection."""
    try:
        return bool(pid) and any(
            one.status == psutil.CONN_ESTABLISHED for one in psutil.Process(pid).net_connections(kind="tcp")
        )
    except psutil.NoSuchProcess:
        return False


def is_connected_to(pid: int, address: str) -> bool:
    """Return whether on a process's host, which may be a network namespace, somebody is connected to an address."""
    remote = socket.inet_aton(address)[::-1].hex().upper()
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return False  # it ended meanwhile
    return any(line[2].startswith(remote) and line[3] == "01" for line in lines)


def command_of(pid: int) -> str:
    """Return a process's command line, with NUL between its words; empty where it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def descendants(ancestor: int = 0) -> set[int]:
    """Return the processes that descend from one; 0: from this."""
    ancestor = ancestor or os.getpid()
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def send(words: str, number: signal.Signals, ancestor: int = 0) -> None:
    """Send a signal to the descendant that has these words in its command."""
    pid = find(words, ancestor)
    assert pid, f"no {words}"
    os.kill(pid, number)


def find(words: str, ancestor: int = 0) -> int | None:
    """Return a descendant that has these words in its command; None: there is none."""
    return next((pid for pid in descendants(ancestor) if words in command_of(pid).replace("\0", " ")), None)
