"""Servers that run already."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import trustme

import perfkit
from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm, parse_arms
from perfkit.errors import PerfkitError, PlanError
from perfkit.record.load import read_results
from tests.support import ROOT
from tests.support.plans import plan_sweep
from tests.support.trials import own_flags

SMALL = {"vus": [3], "method": "solo", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 1}


def swept(arm, out):
    return perfkit.sweep(**SMALL, arms=arm, out=out)


@contextmanager
def serving(*options):
    argv = [sys.executable, "-m", "perfkit", "serve", "--arm=threads/mutex", "--port=0", *options]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield json.loads(process.stdout.readline())["address"].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("addr:somewhere", "names no server that runs; write addr:HOST:PORT"),
        ("addr:host:99999", "names no server that runs"),
        ("addr:host:1?password=x", "has no option 'password'; it has ca, cert, key, metadata"),
        ("addr:host:1?cert=c.pem&key=k.pem", "cert and key go together, and with ca"),
    ],
)
def test_what_names_no_server_is_refused(text, message):
    with pytest.raises(PlanError, match=message):
        parse_arm(text, 10)


def test_it_is_an_arm_among_others_and_only_of_solo_trials():
    first, second = parse_arms("addr:[::1]:50055?ca=ca.pem,threads/mutex", 10)
    assert (first.name, first.runs_already, second.pattern) == ("addr:[::1]:50055?ca=ca.pem", True, "mutex")
    for method in ("turns", "joint"):
        with pytest.raises(PlanError, match=r"runs already, so .* use method=solo"):
            plan_sweep(arms="addr:host:1,mutex", vus=3, method=method)
    with pytest.raises(PlanError, match="only k6 can do TLS and metadata"):
        plan_sweep(arms="addr:host:1?ca=ca.pem", vus=3, method="solo", generator="h2load")


@pytest.mark.load
def test_a_server_on_this_machine_is_loaded_and_left_with_its_cpu_and_count_known(tmp_path):
    with serving() as address:
        run = swept(f"addr:{address}", tmp_path / "first")
        again = swept(f"addr:{address}", tmp_path / "again")  # its count begins where it was
    for folder in (run, again):
        table = perfkit.load(folder)
        assert own_flags(table) == set()
        assert (table["cpu_per_call_us"] > 0).all()
        (served,) = read_results(folder, mend=False)[0].served
        assert served.final_count == served.calls.acknowledged_total > 0
    assert "addr:" in str(perfkit.report.sweep_parts(run)[0])


@pytest.mark.full
@pytest.mark.load
def test_tls_with_a_certificate_of_the_clients(tmp_path):
    authority = trustme.CA()
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key", "client", "client-key")}
    authority.cert_pem.write_to_path(files["ca"])
    for issued, cert, key in (
        (authority.issue_cert("localhost"), "cert", "key"),
        (authority.issue_cert("client"), "client", "client-key"),
    ):
        issued.cert_chain_pems[0].write_to_path(files[cert])
        issued.private_key_pem.write_to_path(files[key])
    tls = (f"--tls-cert={files['cert']}", f"--tls-key={files['key']}", f"--tls-client-ca={files['ca']}")
    with serving(*tls) as address:
        port = address.rpartition(":")[2]
        arm = f"addr:localhost:{port}?ca={files['ca']}&cert={files['client']}&key={files['client-key']}"
        run = swept(arm, tmp_path / "run")
        with pytest.raises(PerfkitError, match=r"did not answer increment\(value=0\) \(UNAVAILABLE"):
            perfkit.sweep(**SMALL, arms=f"addr:localhost:{port}", out=tmp_path / "plain")
    assert own_flags(perfkit.load(run)) == set()


class Guarded(counter_pb2_grpc.incrementCounterServicer):
    """It lets in who knows the word, and does not tell its count."""

    def increment(self, request, context):  # noqa: ARG002
        if dict(context.invocation_metadata()).get("authorization") != "sesame":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "say the word")
        return counter_pb2.status(message="done")


@pytest.mark.full
@pytest.mark.load
def test_metadata_comes_from_a_file_or_the_environment_and_a_count_that_is_not_told_is_said(tmp_path, monkeypatch):
    server = grpc.server(ThreadPoolExecutor(4))
    counter_pb2_grpc.add_incrementCounterServicer_to_server(Guarded(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    word = json.dumps({"Authorization": "sesame"})
    (tmp_path / "word.json").write_text(word)
    monkeypatch.setenv("THE_WORD", word)
    try:
        for number, metadata in enumerate((f"{tmp_path}/word.json", "env:THE_WORD")):
            arm = f"addr:127.0.0.1:{port}?metadata={metadata}"
            run = swept(arm, tmp_path / f"run{number}")
            table = perfkit.load(run)
            assert own_flags(table) == {"count not proven"}
            assert table["final_count"].isna().all()
        with pytest.raises(PerfkitError, match="UNAUTHENTICATED: say the word"):
            perfkit.sweep(**SMALL, arms=f"addr:127.0.0.1:{port}", out=tmp_path / "none")
        with pytest.raises(PerfkitError, match=r"metadata=env:NO_WORD can't be read \(KeyError"):
            perfkit.sweep(**SMALL, arms=f"addr:127.0.0.1:{port}?metadata=env:NO_WORD", out=tmp_path / "none")
    finally:
        server.stop(None)
    assert "did not say its count" in str(perfkit.report.sweep_parts(run)[0])
