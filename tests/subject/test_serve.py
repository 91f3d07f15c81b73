import json
import signal
import subprocess
import sys
import threading

import grpc
import pytest
import trustme

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.rig.generators import k6
from tests.support import ROOT

pytestmark = pytest.mark.load


@pytest.fixture
def serve():
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "perfkit", "serve", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("pattern", ["mutex", "inputQ", "inputq"])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_server_lives_from_one_json_line_to_another(serve, pattern, stop):
    process = serve("--pattern", pattern, "--port", "0", "--workers", "3")
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready"
    assert ready["pid"] == process.pid
    assert ready["arm"].lower() == f"threads/{pattern}?workers=3".lower()
    with grpc.insecure_channel(ready["address"]) as channel:
        stub = counter_pb2_grpc.incrementCounterStub(channel)
        for _ in range(5):
            stub.increment(counter_pb2.incrementBy(value=2))
    process.send_signal(stop)
    out, err = process.communicate(timeout=120)
    (last,) = map(json.loads, out.splitlines())
    assert (last["event"], last["increments"]) == ("stopped", 10)
    assert 0 < last["cpu_s"] < 20
    assert process.returncode == 0
    assert err == ""


def test_calls_that_run_when_the_signal_comes_are_answered(serve):
    process = serve("--pattern", "inputQ", "--port", "0")
    ready = json.loads(process.stdout.readline())
    outcomes, running = [], threading.Barrier(5)

    def call():
        with grpc.insecure_channel(ready["address"]) as channel:
            stub = counter_pb2_grpc.incrementCounterStub(channel)
            for number in range(100_000):
                try:
                    stub.increment(counter_pb2.incrementBy(value=1), timeout=60)
                    outcomes.append("ok")
                except grpc.RpcError as error:
                    outcomes.append(error.code().name)
                    return
                if number == 20:
                    running.wait(60)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    running.wait(60)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert json.loads(out.splitlines()[-1])["increments"] == outcomes.count("ok")
    assert set(outcomes) <= {"ok", "UNAVAILABLE", "CANCELLED"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pattern", "spinlock"], "arm 'threads/spinlock"),
        (["--pattern", "mutex", "--port", "70000"], "70000 is not in the range"),
        (["--pattern", "mutex", "--workers", "0"], "workers"),
        (["--pattern", "mutex", "--host", "203.0.113.1", "--port", "0"], "can't listen on 203.0.113.1:0"),
        ([], "--pattern"),
    ],
)
def test_bad_input_is_one_clear_error(serve, arguments, message):
    out, err = (process := serve(*arguments)).communicate(timeout=120)
    assert process.returncode == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority with a certificate for the server and one for a client, as files."""
    folder, made = tmp_path_factory.mktemp("tls"), trustme.CA()
    made.cert_pem.write_to_path(folder / "ca.pem")
    for name, one in {"server": made.issue_cert("127.0.0.1"), "client": made.issue_cert("client@example.org")}.items():
        one.private_key_pem.write_to_path(folder / f"{name}.key")
        one.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    return folder


def load_by_hand(address, **settings):
    argv = [k6.find().path, "run", "--quiet", "--no-color", "--address="]
    for name, value in {
        "ADDRESS": address,
        "VUS": 2,
        "WARMUP_S": 0.5,
        "DURATION_S": 0.6,
        "TIMEOUT_S": 2,
        **settings,
    }.items():
        argv += ["-e", f"{name}={value}"]
    return subprocess.run([*argv, ROOT / "k6/counter.js"], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.full
@pytest.mark.load
def test_a_server_with_tls_is_loaded_by_tls_and_by_nothing_else(serve, authority):
    process = serve("--pattern", "mutex", "--port", "0", "--tls-cert", str(authority / "server.pem"),
                    "--tls-key", str(authority / "server.key"))  # fmt: skip
    address = json.loads(process.stdout.readline())["address"]
    assert "calls acknowledged" in (told := load_by_hand(address, TLS_CA=authority / "ca.pem")).stdout, told.stderr
    assert ": 0 calls acknowledged" not in told.stdout
    assert "failed with" not in told.stdout
    assert ": 0 calls acknowledged" in load_by_hand(address).stdout, "it answers in plaintext"


@pytest.mark.full
@pytest.mark.load
def test_a_server_with_a_client_authority_lets_in_only_its_clients(serve, authority):
    process = serve(
        "--pattern", "mutex", "--port", "0", "--tls-cert", str(authority / "server.pem"),
        "--tls-key", str(authority / "server.key"), "--tls-client-ca", str(authority / "ca.pem"),
    )  # fmt: skip
    address = json.loads(process.stdout.readline())["address"]
    own = {"TLS_CERT": authority / "client.pem", "TLS_KEY": authority / "client.key"}
    assert ": 0 calls acknowledged" not in load_by_hand(address, TLS_CA=authority / "ca.pem", **own).stdout
    assert ": 0 calls acknowledged" in load_by_hand(address, TLS_CA=authority / "ca.pem").stdout


def test_an_engine_without_tls_says_so(serve, authority):
    process = serve("--arm", "native/inputQ?batch=8", "--port", "0", "--tls-cert", str(authority / "server.pem"),
                    "--tls-key", str(authority / "server.key"))  # fmt: skip
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert "engine native has no TLS; leave out --tls-cert, or take engine threads or asyncio" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tls-cert", "/no/file", "--tls-key", "/no/file"], "--tls-key=/no/file can't be read (No such file"),
        (["--tls-cert", str(ROOT / "LICENSE"), "--tls-key", str(ROOT / "LICENSE")], "is not in PEM form"),
        (["--tls-cert", "x"], "--tls-cert and --tls-key go together"),
        (["--tls-client-ca", "x"], "--tls-client-ca with both"),
    ],
)
def test_bad_tls_is_one_clear_error(serve, arguments, message):
    out, err = (process := serve("--pattern", "mutex", "--port", "0", *arguments)).communicate(timeout=120)
    assert process.returncode == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(("host", "warns"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])  # noqa: S104
def test_listening_beyond_loopback_without_tls_is_warned_of(serve, host, warns):
    process = serve("--pattern", "mutex", "--port", "0", "--host", host)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert ("can be reached from elsewhere, and without TLS" in err) == warns
