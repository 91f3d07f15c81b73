"""The server process: one arm served until a signal; it prints a JSON line when it is ready and one when it stops."""

import json
import logging
import os
import signal
import time
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path

import grpc

from perfkit.design.arms import Arm
from perfkit.errors import ServerError
from perfkit.subject.engines import Engine
from perfkit.subject.stages import WatchedState
from perfkit.subject.state import State
from perfkit.subject.stores import open_store
from perfkit.subject.work import OwnClock

DRAIN_S = 5.0
"""How long running calls may take to end after the signal."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form."""

    certificate: str
    key: str
    client_ca: str = ""
    """with it, only clients with a certificate of that authority are let in"""


def serve(
    arm: Arm, host: str, port: int, tls: Tls | None = None, folder: Path | None = None, stopped: Path | None = None
) -> None:
    """Serve `arm` until SIGTERM or SIGINT, then drain; a ServerError says why it could not begin, or not go on.

    `folder` is where a durable store has its files, and where a server that watches calls leaves what it saw;
    `stopped` is a file that says for how many ns it has been stopped (`OwnClock`).
    First line: `{"event": "ready", "address", "pid", "arm", "count"}`, as soon as calls are accepted. Last line:
    `{"event": "stopped", "increments", "by_key", "cpu_s", "section"}`: by how much the counts were raised, together and
    each, as the store has it, the CPU time of this process, and what `State.told` says.
    """
    credentials = _credentials(tls) if tls else None
    if credentials is None and not _is_loopback(host):
        _log.warning(
            "%s can be reached from elsewhere, and without TLS: whoever reaches it can read and change the count; "
            "give --tls-cert and --tls-key, or stay on 127.0.0.1", host
        )  # fmt: skip
    if arm.stages and folder is None:
        raise ServerError("stages=True leaves what it saw in a folder; name one with --folder")
    # Blocked before any thread exists, so that every thread inherits it and sigwait below is the one to get them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    state = state_of(arm, folder, clock=OwnClock(stopped))
    state.on_failure = lambda: os.kill(os.getpid(), signal.SIGTERM)  # who can't commit has nothing left to do
    engine = start(arm, host, port, credentials, state)
    _print_line(event="ready", address=engine.address, pid=os.getpid(), arm=arm.name, count=state.first)
    signal.sigwait(STOP_SIGNALS)
    engine.stop(DRAIN_S)
    state.close()
    if state.failure:
        raise ServerError(str(state.failure))
    if arm.is_durable:
        _refuse_another(state, arm, folder)
    if isinstance(state, WatchedState) and folder:
        state.keep_seen(folder)
    raised = state.increments()
    _print_line(
        event="stopped", increments=sum(raised.values()), by_key=raised, cpu_s=time.process_time(), section=state.told()
    )


def state_of(arm: Arm, folder: Path | None = None, count: int = 0, clock: OwnClock | None = None) -> State:
    """Open the state of an arm: its count begins at `count`, or where its store left off."""
    store = open_store(arm, folder, count, clock)
    kind = WatchedState if arm.stages else State
    return kind(count, hold_us=arm.hold_us, work_us=arm.work_us, store=store, clock=clock)


def start(
    arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None = None, state: State | None = None
) -> Engine:
    """Start what serves `arm`; a ServerError says why that can't be."""
    module = import_module(f"perfkit.subject.engines.{arm.engine}")
    engine: Engine = module.start(arm, host, port, credentials, state or state_of(arm))
    return engine


def _refuse_another(state: State, arm: Arm, folder: Path | None) -> None:
    """Read the files again: what was said to be kept must be there."""
    kept = state_of(arm, folder)
    kept.close()
    for key, count in state.counts.items():
        if (found := kept.counts.get(key, 0)) != count:
            raise ServerError(f"store={arm.store} in {folder} has {found} of key {key}, and {count} was acknowledged")


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (_pem(tls.key, "--tls-key"), _pem(tls.certificate, "--tls-cert"))
    authority = _pem(tls.client_ca, "--tls-client-ca") if tls.client_ca else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _pem(path: str, option: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ServerError(f"{option}={path} can't be read ({error.strerror}); name a file in PEM form") from error
    if b"-----BEGIN " not in content:
        raise ServerError(f"{option}={path} is not in PEM form; it should begin with -----BEGIN")
    return content


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _print_line(**line: object) -> None:
    print(json.dumps(line), flush=True)
