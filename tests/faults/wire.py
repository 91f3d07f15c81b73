"""What a server meets on the wire."""

import contextlib
import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import grpc
import psutil

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.rig import trial
from perfkit.rig.generators import k6
from perfkit.rig.generators.contract import Target
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from tests.faults.bench import TEST, Bench, fault
from tests.support.processes import descendants, wait_for

METHOD = "/counter.incrementCounter/increment"

ALIVE = "the server; its count is what was acknowledged"

GROWTH_MB = 30.0
"""Memory that a server may have grown by, in MB: pools that a first storm fills; a leak of 2 kB a message is 40."""


SPARE_THREADS = 4
"""Threads that grpcio's own pool may have gained; a leak would be one a call."""


@contextmanager
def _abused():
    """A server that must come out of it alive, with as many threads and files, and about as much memory."""
    with serving(parse_arm("threads/inputQ", 10), Place()) as server:
        server.ready()
        address = server.address
        with grpc.insecure_channel(address) as channel:
            increment = counter_pb2_grpc.incrementCounterStub(channel).increment
            for _ in range(500):
                increment(counter_pb2.incrementBy(value=1))
        own = psutil.Process(server.pid)
        before = own.num_threads(), own.num_fds(), own.memory_info().rss
        told: dict[str, str] = {}
        yield address, told
        wait_for(
            "as many files and threads as before",
            lambda: own.num_fds() <= before[1] and own.num_threads() <= before[0] + SPARE_THREADS,
        )
        grown_mb = (own.memory_info().rss - before[2]) / 1e6
        assert grown_mb < GROWTH_MB, f"{grown_mb:.0f} MB more"
        with grpc.insecure_channel(address) as channel:
            count = counter_pb2_grpc.incrementCounterStub(channel).increment(counter_pb2.incrementBy(value=0)).count
        assert server.stop().increments == count
        told["count"] = str(count - 500)


@fault("5,000 messages that are no protobuf")
def _(_bench: Bench) -> tuple[str, str]:
    chance = random.Random(1)
    with _abused() as (address, told):
        codes = set()
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(METHOD)
            for _ in range(10):
                # A first byte of wire type 7, which there is none of.
                calls = [call.future(b"\x0f" + chance.randbytes(chance.randrange(40))) for _ in range(500)]
                codes |= {one.code() for one in calls}
        assert codes == {grpc.StatusCode.INTERNAL}, codes
    assert told["count"] == "0"
    return "INTERNAL, each of them", ALIVE


@fault("500 connections with broken HTTP/2 frames")
def _(_bench: Bench) -> tuple[str, str]:
    chance = random.Random(2)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    closed = 0
    with _abused() as (address, told):
        host, port = address.split(":")
        for number in range(500):
            kinds = (
                chance.randbytes(200),
                preface + chance.randbytes(200),
                preface + b"\xff\xff\xff\x00" + bytes(100),
                b"GET / HTTP/1.1\r\n\r\n",
                preface + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x10\x00\x01\x04\x00\x00\x00\x01" + bytes(9),
            )
            with socket.create_connection((host, int(port)), timeout=5) as raw:
                raw.sendall(kinds[number % len(kinds)])
                raw.settimeout(5)
                if number < len(kinds):  # who closes, is seen once of each kind
                    with contextlib.suppress(TimeoutError):
                        with contextlib.suppress(ConnectionError):
                            while raw.recv(4096):
                                pass
                        closed += 1
    assert told["count"] == "0"
    return f"the server closes those of {closed} kinds out of 5, the client the others", ALIVE


def _literal(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


@fault("a client that sends 5,000 calls and never reads")
def _(_bench: Bench) -> tuple[str, str]:
    head = (
        b"\x83\x86" + b"\x04" + _literal(METHOD) + b"\x01" + _literal("localhost")
        + b"\x0f\x10" + _literal("application/grpc") + b"\x00" + _literal("te") + _literal("trailers")
    )  # fmt: skip
    message = b"\x00\x00\x00\x00\x02\x08\x01"  # uncompressed, two bytes: value = 1

    def frame(kind: int, flag: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flag]) + stream.to_bytes(4, "big") + payload

    with _abused() as (address, told):
        host, port = address.split(":")
        raw = socket.create_connection((host, int(port)), timeout=0.5)
        sent = 0
        try:
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
            for number in range(5000):
                stream = 2 * number + 1
                raw.sendall(frame(1, 4, stream, head) + frame(0, 1, stream, message))
                sent += 1
        except TimeoutError:
            pass  # the server reads no more: that bounds what it must hold
        with grpc.insecure_channel(address) as channel:  # others are served meanwhile
            counter_pb2_grpc.incrementCounterStub(channel).increment(counter_pb2.incrementBy(value=1), timeout=60)
        raw.close()
    assert 1 <= int(told["count"]) <= sent + 1
    return "others are served meanwhile", ALIVE


@fault("a storm of 5,000 calls, each cancelled at once")
def _(_bench: Bench) -> tuple[str, str]:
    with _abused() as (address, told):
        ok = 0
        with grpc.insecure_channel(address) as channel:
            increment = counter_pb2_grpc.incrementCounterStub(channel).increment
            for _ in range(10):
                calls = [increment.future(counter_pb2.incrementBy(value=1)) for _ in range(500)]
                for call in calls:
                    call.cancel()
                ok += sum(call.code() == grpc.StatusCode.OK for call in calls)
    assert ok <= int(told["count"]) <= 5_000
    return "CANCELLED, or answered before", "the server; its count is between acknowledged and sent"


@fault("a message of 5 MB", TEST)
def _(_bench: Bench) -> tuple[str, str]:
    with _abused() as (address, _):
        with grpc.insecure_channel(address) as channel:
            code = channel.unary_unary(METHOD).future(b"\x0a" + bytes(5 * 2**20)).code()
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    return "RESOURCE_EXHAUSTED", ALIVE


@fault("a port that is taken", TEST)
def _(_bench: Bench) -> tuple[str, str]:
    with serving(parse_arm("threads/mutex", 10), Place()) as server:
        server.ready()
        port = server.address.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "perfkit", "serve", "--pattern", "mutex", "--port", port],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert second.returncode == 2
        server.stop()
    return second.stderr.splitlines()[-1].removeprefix("perfkit: error: "), "the server that has it"


@fault("1,000 VUs for 5 s")
def _(_bench: Bench) -> tuple[str, str]:
    arm, load, own = parse_arm("threads/inputQ", 10), Load(1000, 2, 5), psutil.Process()
    before = own.num_threads(), own.num_fds(), descendants()
    sizes = []
    with serving(arm, Place(trial.place(pin=True).server)) as server:
        server.ready()
        address = server.address
        with k6.running(k6.find(), [Target(address)], load, Place(trial.place(pin=True).generator)) as running:
            window = running.window()
            for moment in (window.from_ms + 1000, window.until_ms - 1000):
                time.sleep(max(0.0, moment / 1e3 - time.time()))
                sizes.append(psutil.Process(server.pid).memory_info().rss / 1e6)
            told = k6.calls(running.finish(60), 0)
        final_count = server.stop().increments
    assert final_count == told.acknowledged_total
    assert not told.failed_total
    assert own.num_threads() <= before[0] + SPARE_THREADS
    assert own.num_fds() <= before[1]
    assert descendants() <= before[2]
    assert sizes[1] - sizes[0] < GROWTH_MB
    print(f"1,000 VUs for 5 s: {told.acknowledged} calls; RSS of the server {sizes[0]:.1f} MB, then {sizes[1]:.1f} MB")
    return "no failure; threads, files and processes at the end are those of the start", "every call"
