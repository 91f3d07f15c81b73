"""What serves a counter over gRPC: one module an engine, all with the same face."""

from typing import Protocol


class Engine(Protocol):
    """A running server."""

    address: str
    """host:port, with the real port where 0 was asked for"""

    def stop(self, grace_s: float) -> None:
        """Stop accepting, let running calls end for up to `grace_s` seconds, then cancel what is left."""
