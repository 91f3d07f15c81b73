"""What goes wrong in mid-run."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

import perfkit
from perfkit.design import paired
from perfkit.errors import PerfkitError
from perfkit.rig import host
from perfkit.rig.generators import k6
from perfkit.rig.servers import own
from perfkit.rig.trial import here, observing
from tests.faults.bench import PLAN, Bench, fault, fill


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
    bench.monkeypatch.setattr(paired, "TIMEOUT_S", 1.0)
    bench.monkeypatch.setattr(own, "STOP_S", 1.0)
    return bench.broken(_signal(bench, "serve", signal.SIGSTOP))


@fault("k6 is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(_signal(bench, "counter.js", signal.SIGKILL))


@fault("k6 is stopped (SIGSTOP)")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(paired, "TIMEOUT_S", 1.0)
    bench.monkeypatch.setattr(here, "SUMMING_UP_S", 1.0)
    return bench.broken(_signal(bench, "counter.js", signal.SIGSTOP))


@fault("the clock is set forward by an hour")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(observing.time, "time", lambda: now() + 3600))


@fault("the clock is set back by a twentieth of a second")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(observing.time, "time", lambda: now() - 0.05))


@fault("the clock is set forward by a twentieth of a second")
def _(bench: Bench) -> tuple[str, str]:
    now = time.time
    return bench.broken(lambda: bench.monkeypatch.setattr(observing.time, "time", lambda: now() + 0.05))


def _own_process(bench: Bench, act: Callable[[subprocess.Popen[bytes]], None]) -> str:
    """Sweep in a process of its own and act on that in its second trial; return what it said on stderr."""
    call = f"perfkit.sweep(**{PLAN!r}, out={str(bench.out)!r})"
    return bench.own_process(call, lambda _pid: bench.wait_for_second_trial(), act, within_s=5)


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
        told = bench.broken(lambda: fill(disk), mend=(disk / "filler").unlink)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    return told


@fault("k6 prints nothing and does not start its load")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(k6, "START_S", 0.5)
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6("exec sleep 20"))
    return str(told.value), "no trial was made of it"


@fault("k6 ends with one of its exit codes, 99 to 110")
def _(bench: Bench) -> tuple[str, str]:
    for code in (99, 104, 110):
        with pytest.raises(PerfkitError) as told:
            perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6(f"echo aborted; exit {code}"))
        assert f"exit code {code}" in str(told.value)
    return str(told.value), "no trial was made of it"


@fault("k6 ends well and leaves no summary")
def _(bench: Bench) -> tuple[str, str]:
    body = 'now=$(date +%s%3N); echo "perfkit window $((now + 1500)) $((now + 1700))"; sleep 2.2; exit 0'
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6(body))
    return str(told.value), "no trial was made of it"


@fault("another perfkit measures on the machine")
def _(bench: Bench) -> tuple[str, str]:
    with host.alone(), pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out)
    assert not bench.trials
    return str(told.value), "no trial was made"
