"""A real sshd on each host, and a home whose keys they take."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.lab import HOSTS
from tests.support.net import ADDRESSES, Net
from tests.support.processes import wait_for


def missing() -> str:
    """Return why there can be none; empty: there can."""
    programs = ("sshd", "ssh-keygen")
    absent = [name for name in programs if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    return f"no {absent[0]} here (Debian's openssh-server brings it): SSH can't be tried" if absent else ""


class Sshd:
    """Servers on s, g1 and g2; `home` is what a user of them has as HOME."""

    def __init__(self, net: Net) -> None:
        self.net, self.home = net, net.folder / "home"
        keys = self.home / ".ssh"
        keys.mkdir(parents=True, mode=0o700)
        for name in ("id_ed25519", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
        known = (keys / "host_key.pub").read_text()
        (keys / "known_hosts").write_text("".join(f"{ADDRESSES[host]} {known}" for host in HOSTS))
        (keys / "config").write_text("".join(f"Host {host}\n  HostName {ADDRESSES[host]}\n" for host in HOSTS))
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "sshd"
        self.processes = {host: net.start(host, [sshd, "-D", "-e", "-f", self._config(host)]) for host in HOSTS}
        for host in HOSTS:
            log = net.folder / f"log-{host}"
            wait_for(f"sshd on {host}", lambda log=log: "Server listening" in log.read_text())

    def _config(self, host: str) -> str:
        path = self.net.folder / f"sshd-{host}"
        keys = self.home / ".ssh"
        path.write_text(
            f"ListenAddress {ADDRESSES[host]}\nHostKey {keys}/host_key\nAuthorizedKeysFile {keys}/id_ed25519.pub\n"
            "StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPidFile none\n"
            f"SetEnv TMPDIR={self.net.temporary(host)}\n"
        )
        return str(path)

    def left(self, host: str) -> dict[int, str]:
        """Return what runs on a host beside its sshd."""
        return {pid: one for pid, one in self.net.processes(host).items() if pid != self.processes[host].pid}

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
