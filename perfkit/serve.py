"""The server process: one arm served until a signal, told about in two JSON lines on stdout."""

import json
import os
import signal
import time

from perfkit.arms import Arm
from perfkit.counters import PATTERNS
from perfkit.engines.threads import ThreadsEngine

DRAIN_S = 5.0
"""How long running calls may take to end after the signal."""

ENGINES = {"threads": ThreadsEngine}

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(arm: Arm, host: str, port: int) -> None:
    """Serve `arm` until SIGTERM or SIGINT, then drain; a ServerError says that the port could not be had.

    First line: `{"event": "ready", "address", "pid", "arm"}`, as soon as calls are accepted. Last line:
    `{"event": "stopped", "increments", "cpu_s"}`, the final count and the CPU time of this process.
    """
    # Blocked before any thread exists, so that every thread inherits it and sigwait below is the one to get them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    counter = PATTERNS[arm.pattern]()
    engine = ENGINES[arm.engine](counter, host, port, arm.workers, arm.burn_us)
    _tell(event="ready", address=engine.address, pid=os.getpid(), arm=arm.name)
    signal.sigwait(STOP_SIGNALS)
    engine.stop(DRAIN_S)
    _tell(event="stopped", increments=counter.close(), cpu_s=time.process_time())


def _tell(**line: object) -> None:
    print(json.dumps(line), flush=True)
