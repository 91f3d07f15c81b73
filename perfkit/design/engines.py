"""What is known of patterns and engines without importing them: names, options, and what must be installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

PATTERNS = ("mutex", "inputQ")

LOOPS = ("uvloop", "asyncio")
"""Event loops of engine asyncio; the first that is installed where an arm names none."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of an engine without importing it."""

    options: Mapping[str, tuple[str, ...]]
    """pattern → options of its arms, apart from COMMON_OPTIONS"""
    module: str = ""
    """of an optional package, which the extra with the engine's name installs; empty: needs none"""

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported here."""
        return not self.module or find_spec(self.module) is not None


ENGINES = {
    "threads": EngineFacts({"mutex": ("workers",), "inputQ": ("workers",)}),
    "asyncio": EngineFacts({"mutex": ("loop",), "inputQ": ("loop",)}),
    "native": EngineFacts({"mutex": ("workers",), "inputQ": ("workers", "batch")}, module="pygrpc_native"),
}

DEFAULT_ENGINE = next(iter(ENGINES))
"""That of an arm which names none."""

COMMON_OPTIONS = ("hold_us", "burn_us")
"""Options that every engine and pattern has."""


def installed_loops() -> list[str]:
    """Return the event loops that can be imported here, the preferred one first."""
    return [loop for loop in LOOPS if find_spec(loop) is not None]


def install(extra: str) -> str:
    """Return what to type to install an optional part of perfkit."""
    return f"install it: .venv/bin/pip install -e '.[{extra}]'"
