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


def serve(arm: Arm, host: str, port: int, tls: Tls | None = None) -> None:
    """Serve `arm` until SIGTERM or SIGINT, then drain; a ServerError says why it could not begin.

    First line: `{"event": "ready", "address", "pid", "arm"}`, as soon as calls are accepted. Last line:
    `{"event": "stopped", "increments", "cpu_s"}`, the final count and the CPU time of this process.
    """
    credentials = _credentials(tls) if tls else None
    if credentials is None and not _is_loopback(host):
        _log.warning(
            "%s can be reached from elsewhere, and without TLS: whoever reaches it can read and change the count; "
            "give --tls-cert and --tls-key, or stay on 127.0.0.1", host
        )  # fmt: skip
    # Blocked before any thread exists, so that every thread inherits it and sigwait below is the one to get them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    engine = start(arm, host, port, credentials)
    _print_line(event="ready", address=engine.address, pid=os.getpid(), arm=arm.name)
    signal.sigwait(STOP_SIGNALS)
    increments = engine.stop(DRAIN_S)
    _print_line(event="stopped", increments=increments, cpu_s=time.process_time())


def start(arm: Arm, host: str, port: int, credentials: grpc.ServerCredentials | None = None, count: int = 0) -> Engine:
    """Start what serves `arm`, its count beginning at `count`; a ServerError says why that can't be."""
    engine: Engine = import_module(f"perfkit.subject.engines.{arm.engine}").start(arm, host, port, credentials, count)
    return engine


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
