"""A scheduler's address with TLS on both sides, as Dask's own configuration has it."""

import os
import subprocess
import sys
from contextlib import ExitStack

import dask
import distributed  # noqa: F401 - whose defaults must be there before they are changed
import pytest
import trustme

from perfkit.manifests import VARIABLES, WORKER
from perfkit.rig.cluster import connect
from tests.support.processes import wait_for

SCHEDULER = "tls://127.0.0.9:8791"


@pytest.mark.full
@pytest.mark.load
def test_a_cluster_by_tls_is_reached_with_its_certificates(tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("perfkit")
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    authority.cert_pem.write_to_path(str(ca))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    files = (f"--tls-ca-file={ca}", f"--tls-cert={cert}", f"--tls-key={key}")
    settings = {
        "distributed.comm.tls.ca-file": str(ca),
        "distributed.comm.tls.client.cert": str(cert),
        "distributed.comm.tls.client.key": str(key),
    }
    with ExitStack() as stack:

        def start(name, *words):
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            argv = [sys.executable, "-m", *words, *files]
            process = subprocess.Popen(argv, env={**os.environ, **VARIABLES}, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)

        where = ("--protocol", "tls", "--host", "127.0.0.9", "--port", "8791", "--no-dashboard")
        start("scheduler", "distributed.cli.dask_scheduler", *where)
        for name, host in (("s", "127.0.0.2"), ("g1", "127.0.0.3")):
            start(name, "distributed.cli.dask_worker", SCHEDULER, "--host", host, "--name", name, *WORKER)
        log = tmp_path / "scheduler.log"
        wait_for("two workers", lambda: log.read_text().count("Register worker") == 2)
        with dask.config.set(settings), connect.connected(SCHEDULER, "s") as hosts:
            assert [one.name for one in hosts.all] == ["s", "g1"]
            assert all(one.worker.startswith("tls://") for one in hosts.all)
            assert len(hosts.ask_all("now")) == 2
