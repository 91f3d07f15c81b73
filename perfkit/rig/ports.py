"""Ports of this machine that nobody listens on."""

import itertools
import random
import socket

from perfkit.errors import ServerError

LOOPBACK = "127.0.0.1"

PORTS = range(20_000, 30_000)
"""Below what Linux gives to outgoing connections, with which a port chosen beforehand could collide."""

_PORTS = itertools.cycle(random.sample(PORTS, len(PORTS)))
"""Each comes again when all others have been."""


def free_port(address: str = LOOPBACK) -> int:
    """Return a port of this machine that nobody listens on, and that this process was not given before."""
    for port in itertools.islice(_PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise ServerError(f"no port is free from {PORTS[0]} to {PORTS[-1]}")
