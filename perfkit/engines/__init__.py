"""What serves a counter over gRPC: one module an engine, all with the same face, and a line each in ENGINES."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol


class Engine(Protocol):
    """A running server; each module has `start(arm, host, port, credentials, count) -> Engine`."""

    address: str
    """host:port, with the real port where 0 was asked for"""

    def stop(self, grace_s: float) -> int:
        """Stop accepting, let running calls end for up to `grace_s` seconds, cancel what is left; return the count."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an engine without importing it."""

    options: Mapping[str, tuple[str, ...]]
    """pattern → options of its arms, beside those that every arm has"""
    needs: str = ""
    """a module of an optional package, installed by the extra that has the engine's name"""

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported here."""
        return not self.needs or find_spec(self.needs) is not None


ENGINES = {
    "threads": Facts({"mutex": ("workers",), "inputQ": ("workers",)}),
    "asyncio": Facts({"mutex": ("loop",), "inputQ": ("loop",)}),
    "native": Facts({"mutex": ("workers",), "inputQ": ("workers", "batch")}, needs="pygrpc_native"),
}
