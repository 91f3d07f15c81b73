"""k6 told from outside when to begin, through its own REST interface, and which part of a load it has."""

import http.client
import json
from contextlib import closing, suppress
from typing import Any

from perfkit.errors import LoadError
from perfkit.rig.generators.contract import Part, Window

READY = 4
"""What k6 calls PausedBeforeRun: VUs are initialised, setup() has not run."""

BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What comes instead of an answer."""

ANSWER_S = 5.0
"""How long an answer on loopback may take."""


def segment(part: Part) -> list[str]:
    """Return k6's options for a part of a load: it waits to be told, and does no setup() of its own.

    All parts must know the same full sequence: then VUs, and ticks of a rate, are striped over them without a gap.
    """
    ends = [f"{number}/{part.of}" if 0 < number < part.of else str(number // part.of) for number in range(part.of + 1)]
    return [
        "--paused",
        "--no-setup",
        f"--execution-segment={ends[part.number]}:{ends[part.number + 1]}",
        f"--execution-segment-sequence={','.join(ends)}",
    ]


class Control:
    """A k6 that listens on a port of loopback."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    def is_ready(self) -> bool:
        """Return whether it could begin now."""
        with suppress(*BROKEN):
            return bool(self._ask("GET", "status")["attributes"]["status"] == READY)
        return False  # it does not listen yet

    def begin(self, window: Window) -> None:
        """Say when the window is, instead of setup(), and let it begin; a LoadError where it does not answer."""
        try:
            self._ask("PUT", "setup", {"from": window.from_ms, "until": window.until_ms})
            self._ask("PATCH", "status", {"data": {"type": "status", "id": "default", "attributes": {"paused": False}}})
        except BROKEN as error:
            raise LoadError(f"k6 could not be told to begin ({error})") from error

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        with closing(http.client.HTTPConnection(self.address, timeout=ANSWER_S)) as connection:
            connection.request(method, f"/v1/{path}", json.dumps(body) if body else None)
            reply = connection.getresponse()
            text = reply.read().decode(errors="replace")
        if reply.status != http.client.OK:
            raise LoadError(f"k6 answered {method} {path} with status {reply.status}: {text[:200]}")
        found: dict[str, Any] = json.loads(text)["data"]
        return found
