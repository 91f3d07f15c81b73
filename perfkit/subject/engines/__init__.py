"""What serves a counter over gRPC: one module an engine, all with the same face; `design.engines` lists them."""

from typing import Protocol


class Engine(Protocol):
    """A running server; each module has `start(arm, host, port, credentials, state) -> Engine`."""

    address: str
    """host:port, with the real port where 0 was asked for"""

    def stop(self, grace_s: float) -> int:
        """Stop accepting, let running calls end for up to `grace_s` seconds, cancel what is left; return the count."""
