"""What can go wrong, done to the real thing: each fault returns (what happened, what was kept).

`docs/faults.md` is the table of what is expected; `test_faults.py` runs each fault and compares.
"""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest

import perfkit
from perfkit import notebooks
from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load, plan_compare
from perfkit.errors import PerfkitError
from perfkit.record.results import flags
from perfkit.rig import k6, process
from perfkit.rig.process import Place

from .conftest import command_of
from .test_foreign import SERVER as FOREIGN
from .test_process import gone_within

PLAN = {"vus": [2], "duration_s": 1, "warmup_s": 0.3, "repeats": 1}
"""Two trials."""

METHOD = "/counter.incrementCounter/increment"

FAULTS: dict[str, Callable[["Bench"], tuple[str, str]]] = {}


class Bench:
    """Where a fault is done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, descendants: Callable[[int], set[int]]) -> None:
        self.folder, self.monkeypatch, self.descendants = folder, monkeypatch, descendants
        self.out = folder / "run"

    @property
    def trials(self) -> bytes:
        path = self.out / "trials.jsonl"
        return path.read_bytes() if path.exists() else b""

    def child(self, name: str) -> int | None:
        return next((pid for pid in self.descendants(os.getpid()) if name in command_of(pid)), None)

    def wait_for_second_trial(self) -> None:
        """Return when its load is on."""
        patience = time.monotonic() + 60
        while not (self.trials.count(b"\n") == 1 and self.child("counter.js")):
            assert time.monotonic() < patience, "no second trial"
            time.sleep(0.02)
        time.sleep(0.8)

    def refused(self, **changes: object) -> tuple[str, str]:
        """Start a sweep that is to be refused before anything is started."""
        before, there = self.trials, self.out.exists()
        with self.monkeypatch.context() as patch:
            patch.setattr(experiment.runner, "measure", lambda *_: pytest.fail("a trial was started"))
            with pytest.raises(PerfkitError) as told:
                perfkit.sweep(**{**PLAN, "out": self.out, **changes})
        assert self.trials == before
        assert self.out.exists() == there
        return str(told.value), "what was there" if there else "nothing was started"

    def broken(self, fault: Callable[[], object], mend: Callable[[], object] = lambda: None) -> tuple[str, str]:
        """Sweep, do the fault in the second trial once its load is on, mend it, and start the same again."""

        def strike() -> None:
            self.wait_for_second_trial()
            fault()

        striking = threading.Thread(target=strike)
        striking.start()
        try:
            perfkit.sweep(**PLAN, out=self.out)
            happened = self.noted()
        except PerfkitError as error:
            happened = str(error)
        striking.join()
        self.monkeypatch.undo()
        mend()
        return happened, self.continued()

    def noted(self) -> str:
        (flagged,) = {*perfkit.load(self.out)["flags"]} - {""} or {"nothing"}
        return f"the trial is flagged: {flagged}"

    def continued(self) -> str:
        """Start the same again where it did not end; every trial on file must still be there."""
        before = self.trials
        if not experiment.is_stored(self.out):
            perfkit.sweep(**PLAN, out=self.out)
            assert self.trials.startswith(before)
            assert perfkit.load(self.out)["complete"].sum() == 2
            return f"{len(before.splitlines())} finished trial; the same start again ran to the end"
        return f"all {len(before.splitlines())} trials, the flagged one counts for nothing"

    def fake_k6(self, body: str) -> str:
        path = self.folder / "k6"
        path.write_text(f"#!/bin/sh\nif [ \"$1\" = version ]; then echo 'k6 v1.1.0 (fake)'; exit; fi\n{body}\n")
        path.chmod(0o755)
        return str(path)


def fault(name: str):
    def add(function: Callable[[Bench], tuple[str, str]]) -> Callable[[Bench], tuple[str, str]]:
        FAULTS[name] = function
        return function

    return add


# Bad input


def _refusal(name: str, **changes: object) -> None:
    FAULTS[name] = lambda bench: bench.refused(**changes)


_refusal("no VU (`vus=0`)", vus=0)
_refusal("no level (`vus=[]`)", vus=[])
_refusal("a level twice (`vus=[10, 10]`)", vus=[10, 10])
_refusal("more VUs than open files", vus=100_000_000)
_refusal("no time (`duration_s=0`)", duration_s=0)
_refusal("no block (`repeats=0`)", repeats=0)
_refusal("an unknown arm", arms="mutex,spin")
_refusal("a shell command as a number", vus="$(touch /tmp/x)")
_refusal("no k6", k6="/no/such/k6")
_refusal("a folder that can't be made", out="/dev/null/run")


@fault("a misspelt parameter (`vuss`)")
def _(_bench: Bench) -> tuple[str, str]:
    with pytest.raises(PerfkitError) as told:
        notebooks.check_parameters("sweep", ["# Parameters\nvuss = 500\n"])
    return str(told.value), "nothing was started"


@fault("a k6 that is too old")
def _(bench: Bench) -> tuple[str, str]:
    path = bench.folder / "k6"
    path.write_text("#!/bin/sh\necho 'k6 v0.57.0 (go1.23)'\n")
    path.chmod(0o755)
    return bench.refused(k6=str(path))


@fault("a limit of 64 open files")
def _(bench: Bench) -> tuple[str, str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import perfkit; perfkit.sweep(**{PLAN!r}, out={str(bench.out)!r})"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not bench.out.exists()
    return told.stderr.strip().splitlines()[-1].partition(": ")[2], "nothing was started"


# Run folders


@fault("a folder with something else in it")
def _(bench: Bench) -> tuple[str, str]:
    bench.out.mkdir()
    (bench.out / "thesis.txt").write_text("mine")
    return bench.refused()


def _finished(bench: Bench) -> None:
    perfkit.sweep(**PLAN, out=bench.out)


@fault("a finished run's folder")
def _(bench: Bench) -> tuple[str, str]:
    _finished(bench)
    return bench.refused()


@fault("another plan's folder")
def _(bench: Bench) -> tuple[str, str]:
    _finished(bench)
    return bench.refused(seed=2)


def _edited(bench: Bench, name: str, **changes: object) -> None:
    _finished(bench)
    path = bench.out / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@fault("a run folder of a newer schema")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "plan.json", schema=99)
    return bench.refused()


@fault("another machine's folder")
def _(bench: Bench) -> tuple[str, str]:
    _edited(bench, "environment.json", machine="elsewhere")
    return bench.refused()


@fault("a hand-edited line in `trials.jsonl`")
def _(bench: Bench) -> tuple[str, str]:
    _finished(bench)
    path = bench.out / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"attempt"', b'"atempt"', 1))
    return bench.refused()


@fault("a torn last line in `trials.jsonl`")
def _(bench: Bench) -> tuple[str, str]:
    _finished(bench)
    path = bench.out / "trials.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + 100])
    assert len(perfkit.load(bench.out)) == 1
    perfkit.sweep(**PLAN, out=bench.out)
    assert bench.trials.startswith(whole[:first] + b"{")
    assert perfkit.load(bench.out)["complete"].sum() == 2
    return "a warning; the torn trial is left out", "1 finished trial; the same start again ran to the end"


@fault("two sweeps into one folder")
def _(bench: Bench) -> tuple[str, str]:
    told = []

    def second() -> None:
        try:
            perfkit.sweep(**PLAN, out=bench.out)
        except PerfkitError as error:
            told.append(str(error))

    bench.broken(second)
    return told[0], "the first sweep, which went on to its end"


# In mid-run


def _signal(bench: Bench, name: str, number: signal.Signals) -> Callable[[], None]:
    def send() -> None:
        pid = bench.child(name)
        assert pid, f"no {name}"
        os.kill(pid, number)

    return send


@fault("the server is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(_signal(bench, "serve", signal.SIGKILL))


@fault("the server is stopped (SIGSTOP)")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(k6, "TIMEOUT_S", 1.0)
    bench.monkeypatch.setattr(process, "STOP_S", 1.0)
    return bench.broken(_signal(bench, "serve", signal.SIGSTOP))


@fault("k6 is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(_signal(bench, "counter.js", signal.SIGKILL))


@fault("k6 is stopped (SIGSTOP)")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(runner, "AFTER_WINDOW_S", 2.0)
    return bench.broken(_signal(bench, "counter.js", signal.SIGSTOP))


@fault("the clock is set forward by an hour")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(runner.time, "time", lambda: now() + 3600))


@fault("the clock is set back by a tenth of a second")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(runner.time, "time", lambda: now() - 0.1))


@fault("the clock is set forward by a tenth of a second")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(runner.time, "time", lambda: now() + 0.1))


def _own_process(bench: Bench, act: Callable[[subprocess.Popen[bytes]], None]) -> str:
    """Sweep in a process of its own and act on that in its second trial; return what it said on stderr."""
    # What a shell has started in the background ignores SIGINT, and hands that on.
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    source = f"{begin}; import perfkit; perfkit.sweep(**{PLAN!r}, out={str(bench.out)!r})"
    sweep = subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.PIPE)
    bench.wait_for_second_trial()
    children = bench.descendants(sweep.pid)
    act(sweep)
    _, said = sweep.communicate(timeout=60)
    assert gone_within(children, 5), "a server or k6 outlived the sweep"
    return said.decode()


@fault("the sweep is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda sweep: sweep.kill())
    return "server and k6 end with it", bench.continued()


@fault("the sweep is interrupted (SIGINT, the stop button)")
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda sweep: sweep.send_signal(signal.SIGINT))
    return "server and k6 end with it", bench.continued()


@fault("the sweep is stopped for three seconds and continued (a laptop's sleep)")
def _(bench: Bench) -> tuple[str, str]:
    def pause(sweep: subprocess.Popen[bytes]) -> None:
        sweep.send_signal(signal.SIGSTOP)
        time.sleep(3)
        sweep.send_signal(signal.SIGCONT)

    return _own_process(bench, pause).splitlines()[-1].partition(": ")[2], bench.continued()


@fault("the disk is full")
def _(bench: Bench) -> tuple[str, str]:
    disk = bench.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        bench.out = disk / "run"
        told = bench.broken(lambda: _fill(disk), mend=(disk / "filler").unlink)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    return told


def _fill(disk: Path) -> None:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@fault("k6 prints nothing and does not start its load")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(k6, "START_S", 0.5)
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6("exec sleep 20"))
    return str(told.value), "no trial was made of it"


@fault("k6 ends with one of its exit codes, 99 to 110")
def _(bench: Bench) -> tuple[str, str]:
    for code in range(99, 111):
        with pytest.raises(PerfkitError) as told:
            perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6(f"echo aborted; exit {code}"))
        assert f"exit code {code}" in str(told.value)
    return str(told.value), "no trial was made of it"


@fault("k6 ends well and leaves no summary")
def _(bench: Bench) -> tuple[str, str]:
    body = 'now=$(date +%s000); echo "perfkit window $now $((now + 200))"; sleep 0.8; exit 0'
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6(body))
    return str(told.value), "no trial was made of it"


# Servers of the user's own


def _foreign(bench: Bench, counting: str) -> tuple[str, str]:
    path = bench.folder / "server.py"
    path.write_text(FOREIGN.replace("self.count += request.value", counting).replace(
        "MESSAGE", 'f"Incremented value is {self.count}"'))  # fmt: skip
    plan = plan_compare(b=f"exec:{sys.executable} {path} {{port}}", vus=3, duration_s=1, warmup_s=0.3)
    result, _ = runner.measure(plan.block(0)[0], 0, k6.find(), runner.place(pin=True))
    (flag,) = set(flags(result)) - {"unequal shares", "unsaturated", "generator limited"}
    return f"the trial is flagged: {flag}", "the trial, which counts for nothing"


@fault("a server that loses 1 update in 100,000")
def _(bench: Bench) -> tuple[str, str]:
    seen = "self.seen = getattr(self, 'seen', 0) + request.value"
    return _foreign(bench, f"{seen}; self.count += self.seen % 100_000 != 200")  # the first one soon


@fault("a server that counts everything twice")
def _(bench: Bench) -> tuple[str, str]:
    return _foreign(bench, "self.count += 2 * request.value")


def _foreign_start(bench: Bench, command: str) -> tuple[str, str]:
    bench.monkeypatch.setattr(process, "START_S", 1.0)
    plan = plan_compare(b=f"exec:{command}", vus=3, duration_s=1, warmup_s=0.3)
    with pytest.raises(PerfkitError) as told:
        runner.measure(plan.block(0)[0], 0, k6.find(), runner.place(pin=True))
    return str(told.value), "no trial was made of it"


@fault("a server's command that ends at once")
def _(bench: Bench) -> tuple[str, str]:
    return _foreign_start(bench, "/bin/sh -c 'echo no licence {port}; exit 3'")


@fault("a server's command that never answers")
def _(bench: Bench) -> tuple[str, str]:
    return _foreign_start(bench, "sleep {port}")


@fault("a server's command that does not exist")
def _(bench: Bench) -> tuple[str, str]:
    return _foreign_start(bench, "/no/such/server {port}")


# On the wire

ALIVE = "the server; its count is what was acknowledged"

SETTLE_S = 20.0

GROWTH_MB = 30.0
"""Memory that a server may have grown by, in MB: pools that a first storm fills; a leak of 1 kB a message is 100."""


SPARE_THREADS = 4
"""Threads that grpcio's own pool may have gained; a leak would be one a call."""


@contextmanager
def _abused():
    """A server that must come out of it alive, with as many threads and files, and about as much memory."""
    with process.server(parse_arm("threads/inputQ", 10), Place()) as server:
        address = server.ready()
        with grpc.insecure_channel(address) as channel:
            increment = counter_pb2_grpc.incrementCounterStub(channel).increment
            for _ in range(500):
                increment(counter_pb2.incrementBy(value=1))
        own = psutil.Process(server.pid)
        time.sleep(0.5)
        before = own.num_threads(), own.num_fds(), own.memory_info().rss
        told: dict[str, str] = {}
        yield address, told
        patience = time.monotonic() + SETTLE_S
        while own.num_fds() > before[1] or own.num_threads() > before[0] + SPARE_THREADS:
            assert time.monotonic() < patience, f"{own.num_threads()} threads, {own.num_fds()} files, before {before}"
            time.sleep(0.1)
        grown_mb = (own.memory_info().rss - before[2]) / 1e6
        assert grown_mb < GROWTH_MB, f"{grown_mb:.0f} MB more"
        with grpc.insecure_channel(address) as channel:
            count = counter_pb2_grpc.incrementCounterStub(channel).increment(counter_pb2.incrementBy(value=0)).count
        assert server.stop() == count
        told["count"] = str(count - 500)


@fault("100,000 messages that are no protobuf")
def _(_bench: Bench) -> tuple[str, str]:
    chance = random.Random(1)
    with _abused() as (address, told):
        codes = set()
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(METHOD)
            for _ in range(200):
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
    assert told["count"] == "0"
    return "the server closes them", ALIVE


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
            counter_pb2_grpc.incrementCounterStub(channel).increment(counter_pb2.incrementBy(value=1), timeout=5)
        raw.close()
    assert 1 <= int(told["count"]) <= sent + 1
    return "others are served meanwhile", ALIVE


@fault("a storm of 20,000 calls, each cancelled at once")
def _(_bench: Bench) -> tuple[str, str]:
    with _abused() as (address, told):
        ok = 0
        with grpc.insecure_channel(address) as channel:
            increment = counter_pb2_grpc.incrementCounterStub(channel).increment
            for _ in range(40):
                calls = [increment.future(counter_pb2.incrementBy(value=1)) for _ in range(500)]
                for call in calls:
                    call.cancel()
                ok += sum(call.code() == grpc.StatusCode.OK for call in calls)
    assert ok <= int(told["count"]) <= 20_000
    return "CANCELLED, or answered before", "the server; its count is between acknowledged and sent"


@fault("a message of 5 MB")
def _(_bench: Bench) -> tuple[str, str]:
    with _abused() as (address, _):
        with grpc.insecure_channel(address) as channel:
            code = channel.unary_unary(METHOD).future(b"\x0a" + bytes(5 * 2**20)).code()
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    return "RESOURCE_EXHAUSTED", ALIVE


@fault("a port that is taken")
def _(_bench: Bench) -> tuple[str, str]:
    with process.server(parse_arm("threads/mutex", 10), Place()) as server:
        port = server.ready().rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "perfkit", "serve", "--pattern", "mutex", "--port", port],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert second.returncode == 2
        server.stop()
    return second.stderr.splitlines()[-1].removeprefix("perfkit: error: "), "the server that has it"


@fault("1,000 VUs for 10 s")
def _(bench: Bench) -> tuple[str, str]:
    arm, load, own = parse_arm("threads/inputQ", 10), Load(1000, 2, 10), psutil.Process()
    before = own.num_threads(), own.num_fds(), bench.descendants(own.pid)
    sizes = []
    with process.server(arm, Place(runner.place(pin=True).server)) as server:
        address = server.ready()
        with k6.running(k6.find(), [address], load, Place(runner.place(pin=True).k6)) as running:
            window = running.window()
            for moment in (window.from_ms + 1000, window.until_ms - 1000):
                time.sleep(max(0.0, moment / 1e3 - time.time()))
                sizes.append(psutil.Process(server.pid).memory_info().rss / 1e6)
            told = k6.calls(running.finish(60), 0)
        final_count = server.stop()
    assert final_count == told.acknowledged_total
    assert not told.failed_total
    assert own.num_threads() <= before[0] + SPARE_THREADS
    assert own.num_fds() <= before[1]
    assert bench.descendants(own.pid) <= before[2]
    assert sizes[1] - sizes[0] < GROWTH_MB
    print(f"1,000 VUs for 10 s: {told.acknowledged} calls; RSS of the server {sizes[0]:.1f} MB, then {sizes[1]:.1f} MB")
    return "no failure; threads, files and processes at the end are those of the start", "every call"
