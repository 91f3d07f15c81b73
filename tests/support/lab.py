"""A Dask cluster on hosts that are network namespaces, for tests that do things to it."""

import subprocess
import sys
from pathlib import Path

from perfkit.manifests import VARIABLES, WORKER
from tests.support.net import ADDRESSES, Net
from tests.support.processes import wait_for

PORT = 8786

SCHEDULER = f"tcp://{ADDRESSES['c']}:{PORT}"

LOADING = ("g1", "g2")
HOSTS = ("s", *LOADING)


class Lab:
    """A scheduler on c, a worker on each other host; what was killed is started again by `mend`."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.programs: dict[str, subprocess.Popen[bytes]] = {}

    def mend(self) -> None:
        """Have all of it as it was in the beginning."""
        for host in HOSTS:
            self.net.plug(host, into=True)
        if self._is_gone("c"):
            for host in [*self.programs]:
                self.end(host)
            module = ["-m", "distributed.cli.dask_scheduler", "--host", ADDRESSES["c"], "--port", str(PORT)]
            self.programs["c"] = self.net.start("c", [sys.executable, *module, "--no-dashboard"], **VARIABLES)
            wait_for("scheduler", lambda: self._says("c", "Scheduler at:"))
        for host in HOSTS:
            if self._is_gone(host):
                self.worker(host)
        for host in HOSTS:
            self.wait_for_worker(host)

    def worker(self, host: str, before: str = "", **variables: str) -> None:
        """Start the worker of a host, in place of the one that it has."""
        self.end(host)
        (self.net.folder / f"log-{host}").unlink(missing_ok=True)
        argv = [
            sys.executable, "-m", "distributed.cli.dask_worker", SCHEDULER, "--host", ADDRESSES[host], "--name", host,
            *WORKER,
        ]  # fmt: skip
        self.programs[host] = self.net.start(host, argv, before, **VARIABLES, **variables)

    def wait_for_worker(self, host: str) -> None:
        wait_for(f"worker of {host}", lambda: self._says(host, "Starting established connection"))

    def end(self, host: str) -> None:
        program = self.programs.pop(host, None)
        if program is not None:
            program.kill()
            program.wait()

    def left(self, host: str) -> dict[int, str]:
        """Return what runs on a host beside its worker."""
        own = self.programs[host].pid if host in self.programs else 0
        return {pid: command for pid, command in self.net.processes(host).items() if pid != own}

    def find(self, host: str, words: str) -> int:
        """Return the process on a host that has these words in its command."""
        return next((pid for pid, command in self.net.processes(host).items() if words in command), 0)

    def _is_gone(self, host: str) -> bool:
        if host not in self.programs or self.programs[host].poll() is not None:
            return True
        return Path(f"/proc/{self.programs[host].pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"

    def _says(self, host: str, words: str) -> bool:
        log: Path = self.net.folder / f"log-{host}"
        return log.exists() and words in log.read_text(errors="replace")
