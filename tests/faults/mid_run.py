"""What goes wrong in mid-run."""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

import perfkit
from perfkit.errors import PerfkitError
from perfkit.record.results import TrialResult
from perfkit.rig import host
from perfkit.rig.generators.contract import Window
from perfkit.rig.trial.observing import observe
from tests.faults.bench import PLAN, QUICK, STRUCK, TEST, Bench, fault, fill
from tests.support.clock import SimulatedClock
from tests.support.processes import send, state, wait_for
from tests.support.results import simulated_trials


@fault("the server is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(lambda: send("perfkit serve", signal.SIGKILL))


@fault("the server is stopped (SIGSTOP)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(lambda: send("perfkit serve", signal.SIGSTOP))


@fault("k6 is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(lambda: send("counter.js", signal.SIGKILL))


@fault("k6 is stopped (SIGSTOP)")
def _(bench: Bench) -> tuple[str, str]:
    return bench.broken(lambda: send("counter.js", signal.SIGSTOP))


def _set(bench: Bench, by_s: float) -> None:
    """Sweep, and let the clock be set in the second trial's window, in simulated time."""

    def observed(result: TrialResult) -> TrialResult:
        clock, length_s = SimulatedClock(epoch_s=1000), result.trial.load.duration_s
        clock.at(1 + length_s / 2, lambda: clock.set(by_s))
        seen = observe([], Window(1_001_000, 1_001_000 + round(length_s * 1e3)), (), clock=clock)
        one, *_ = result.generators
        used = replace(one, usage=replace(one.usage, window_s=seen.window_s))
        return replace(result, generators=(used,), late_ms=seen.late_ms)

    with simulated_trials(lambda result: result, observed):
        perfkit.sweep(**PLAN, out=bench.out)


@fault("the clock is set forward by an hour", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    with pytest.raises(PerfkitError) as told:
        _set(bench, 3600)
    with simulated_trials():
        return str(told.value), bench.continued(PLAN)


def _set_a_little(bench: Bench, by_s: float) -> tuple[str, str]:
    _set(bench, by_s)
    table = perfkit.load(bench.out)
    assert table["valid"].tolist() == [True, False]
    return f"the trial is flagged: {table['flags'].iloc[1]}", "all 2 trials, the flagged one counts for nothing"


@fault("the clock is set back by a twentieth of a second", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _set_a_little(bench, -0.05)


@fault("the clock is set forward by a twentieth of a second", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    return _set_a_little(bench, 0.05)


def _own_process(bench: Bench, act: Callable[[subprocess.Popen[bytes]], None]) -> str:
    """Sweep in a process of its own and act on that in its second trial; return what it said on stderr."""
    call = f"perfkit.sweep(**{STRUCK!r}, out={str(bench.out)!r})"
    return bench.own_process(call, bench.wait_for_second_trial, act)


@fault("the sweep is killed (SIGKILL)", TEST)
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda sweep: sweep.kill())
    return "server and k6 end with it", bench.continued(STRUCK)


@fault("the sweep is interrupted (SIGINT, the stop button)")
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda sweep: sweep.send_signal(signal.SIGINT))
    return "server and k6 end with it", bench.continued(STRUCK)


@fault("the sweep is stopped for some seconds and continued (a laptop's sleep)")
def _(bench: Bench) -> tuple[str, str]:
    def pause(sweep: subprocess.Popen[bytes]) -> None:
        sweep.send_signal(signal.SIGSTOP)
        wait_for("a stop", lambda: state(sweep.pid) == "T")
        time.sleep(STRUCK["warmup_s"] + STRUCK["duration_s"] + 2)  # more than a second over the window's end
        sweep.send_signal(signal.SIGCONT)

    return _own_process(bench, pause).splitlines()[-1].partition(": ")[2], bench.continued(STRUCK)


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
        # With keys a trial is longer than what is left of its file's last page.
        told = bench.broken(lambda: fill(disk), mend=(disk / "filler").unlink, keys=16, read_pct=50)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    return told


@fault("k6 prints nothing and does not start its load")
def _(bench: Bench) -> tuple[str, str]:
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6("exec sleep 100"))
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
    body = 'now=$(date +%s%3N); echo "perfkit window $((now + 10000)) $((now + 10200))"; sleep 14; exit 0'
    with pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out, k6=bench.fake_k6(body))
    return str(told.value), "no trial was made of it"


@fault("another perfkit measures on the machine", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    with host.alone(), pytest.raises(PerfkitError) as told:
        perfkit.sweep(**PLAN, out=bench.out)
    assert not bench.trials
    return str(told.value), "no trial was made"
