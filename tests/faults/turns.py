"""What goes wrong while servers take turns: nothing may be left running, or stopped."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

import perfkit
from perfkit.errors import PerfkitError
from perfkit.record.load import load
from tests.faults.bench import TEST, Bench, fault
from tests.support.processes import command_of, descendants, find, send, wait_for, wait_for_end
from tests.support.servers import foreign

PLAN = {"vus": 3, "duration_s": 3, "warmup_s": 0.3, "budget_s": 60}


def _struck(bench: Bench, name: str, number: signal.Signals) -> tuple[str, str]:
    """Compare, and send a signal to a process in the first trial once turns are taken."""
    children: set[int] = set()

    def strike() -> None:
        _wait_for_turns(bench, os.getpid(), finished=0)
        children.update(descendants())
        send(name, number)

    striking = threading.Thread(target=strike)
    striking.start()
    with pytest.raises(PerfkitError) as raised:
        perfkit.compare(**PLAN, out=bench.out)
    striking.join()
    wait_for_end(children)
    assert bench.trials == b""
    return str(raised.value), "no trial was made of it"


def _kept(bench: Bench) -> str:
    table = load(bench.out, "turns")
    assert set(table["block"]) == {0}
    assert table["complete"].all()
    return "1 finished trial"


def _wait_for_turns(bench: Bench, parent: int, finished: int) -> None:
    """Return when turns are taken, in the trial after so many finished ones."""
    wait_for("turns", lambda: bench.trials.count(b"\n") == finished and find("programs/turns.py", parent))


def _own_process(bench: Bench, act: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Compare in a process of its own and act on that in its second trial."""
    call = f"perfkit.compare(**{PLAN!r}, out={str(bench.out)!r})"
    bench.own_process(call, lambda pid: _wait_for_turns(bench, pid, finished=1), act)


@fault("turns: the watchdog is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return _struck(bench, "programs/turns.py", signal.SIGKILL)


@fault("turns: k6 is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    return _struck(bench, "counter.js", signal.SIGKILL)


@fault("turns: a server is killed (SIGKILL), stopped or not")
def _(bench: Bench) -> tuple[str, str]:
    return _struck(bench, "perfkit serve", signal.SIGKILL)


@fault("turns: the comparison is killed (SIGKILL)", TEST)
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda run: run.kill())
    return "servers, k6 and watchdog end with it", _kept(bench)


@fault("turns: the comparison is interrupted (SIGINT, the stop button)")
def _(bench: Bench) -> tuple[str, str]:
    _own_process(bench, lambda run: run.send_signal(signal.SIGINT))
    return "servers, k6 and watchdog end with it", _kept(bench)


@fault("turns: a server's command has started another process, and the comparison is killed")
def _(bench: Bench) -> tuple[str, str]:
    arm = f"exec:/bin/sh -c '{foreign(bench.folder)} & wait'"
    call = f"perfkit.compare(**{ {**PLAN, 'duration_s': 20}!r}, b={arm!r}, out={str(bench.out)!r})"
    bench.own_process(call, lambda pid: _wait_for_turns(bench, pid, finished=0), lambda run: run.kill())
    return "all its processes end too, stopped or not", "no trial was made of it"


@fault("turns: somebody else continues a stopped server (SIGCONT)")
def _(bench: Bench) -> tuple[str, str]:
    ended = threading.Event()

    def strike() -> None:
        wait_for("turns", lambda: find("programs/turns.py"))
        while not ended.wait(0.005):
            for pid in descendants():
                if "serve" in command_of(pid).split("\0"):
                    os.kill(pid, signal.SIGCONT)

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        perfkit.sweep(vus=[3], duration_s=1, warmup_s=0.3, repeats=1, out=bench.out)
    finally:
        ended.set()
        striking.join()
    flags = set(load(bench.out, "turns")["flags"])
    assert any("disturbed turns" in one for one in flags), flags
    return "the trial is flagged: disturbed turns", "all trials, the flagged ones count for nothing"
