"""A power cut for one process: it is killed, and its files lose what it had written and not synced.

Killing alone proves nothing: the system's cache lives on, so that what was never synced is still there. Here each fsync
and fdatasync of the process stops at a seccomp filter until this side has seen what the file holds (seccomp_unotify(2),
Linux 5.5), so that it is known at any time what a disk would have. A name counts as kept once its file was synced.

    python tests/support/lost_cache.py FD COMMAND...

goes under the filter, sends its descriptor to FD, and becomes COMMAND.
"""

import ctypes
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from fcntl import ioctl
from pathlib import Path

SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""machine → numbers of fsync and fdatasync"""

SECCOMP = {"x86_64": 317, "aarch64": 277}

SET_MODE_FILTER, NEW_LISTENER, NO_NEW_PRIVS = 1, 8, 38

LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000

RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTICE, REPLY = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
GO_ON = 1

LINGER_S = 0.05
"""How long an answer that was given before its sync may take to arrive, before the process is killed."""


def supported():
    """Return why it can't be done here; empty: it can."""
    machine = platform.machine()
    return "" if sys.platform == "linux" and machine in SYNCS else f"no seccomp numbers of {sys.platform} {machine}"


class DoomedProcess:
    """A running command that loses its cache at a sync of a file in `folder`, or when it is told to."""

    def __init__(self, argv, folder):
        self.folder = Path(folder)
        self.syncs = 0
        self._kept = {}
        self._dies_at = None
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(theirs.fileno()), *argv],
                pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            _, (self._notices,), _, _ = socket.recv_fds(ours, 1, 1)
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def dies_in(self, syncs):
        """Let it lose its cache instead of doing its so-and-so-many-th sync from now on."""
        self._dies_at = self.syncs + syncs

    def dies_now(self):
        """Let it lose its cache."""
        self.process.send_signal(signal.SIGKILL)

    def wait(self, timeout_s):
        """Wait until it is dead, and leave on the disk what was synced."""
        self.process.wait(timeout_s)
        self._watching.join(timeout_s)
        os.close(self._notices)
        self.process.stdout.close()
        self.process.stderr.close()
        for path in self.folder.iterdir():
            path.write_bytes(self._kept.get(path, b""))

    def _watch(self):
        poll = select.poll()
        poll.register(self._notices, select.POLLIN)
        while self.process.poll() is None:
            for _, events in poll.poll(50):
                if not events & select.POLLIN:
                    return
                try:
                    self._look(bytearray(ioctl(self._notices, RECEIVE, bytes(NOTICE.size))))
                except OSError:  # it died meanwhile
                    continue

    def _look(self, notice):
        number, task, _, _, _, _, file, *_ = NOTICE.unpack(notice)
        path = Path(f"/proc/{task}/fd/{file}").readlink()
        if path.parent == self.folder and path.is_file():
            self.syncs += 1
            if self.syncs == self._dies_at:
                time.sleep(LINGER_S)
                self.process.send_signal(signal.SIGKILL)
                return
            self._kept[path] = path.read_bytes()
        ioctl(self._notices, SEND, REPLY.pack(number, 0, 0, GO_ON))


def _filtered():
    """Put this process under the filter; return the descriptor at which its syncs are told."""
    libc = ctypes.CDLL(None, use_errno=True)
    fsync, fdatasync = SYNCS[platform.machine()]
    program = b"".join(
        struct.pack("=HBBI", *one)
        for one in (
            (LOAD_NUMBER, 0, 0, 0),
            (JUMP_IF_EQUAL, 1, 0, fsync),
            (JUMP_IF_EQUAL, 0, 1, fdatasync),
            (RETURN, 0, 0, NOTIFY),
            (RETURN, 0, 0, ALLOW),
        )
    )
    code = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = libc.syscall(SECCOMP[platform.machine()], SET_MODE_FILTER, NEW_LISTENER, header)
    if listener < 0:
        sys.exit(f"no seccomp filter: {os.strerror(ctypes.get_errno())}")
    return listener


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as told:
        socket.send_fds(told, [b"x"], [_filtered()])
    os.execvp(sys.argv[2], sys.argv[2:])
