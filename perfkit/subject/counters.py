"""The subject of the experiment: shared counts that many callers add to. `patterns` has the ways to guard it."""

import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Protocol

from perfkit.subject.state import State, Wanted

_log = logging.getLogger(__name__)


class Request(Protocol):
    """One call as a counter sees it: what to add, and where the answer goes, exactly once."""

    by: int
    key: int

    def wanted(self) -> bool:
        """Whether somebody still waits for the answer."""

    def answer(self, count: int) -> object:
        """Take the count as this call left it."""

    def refuse(self, error: Exception) -> object:
        """Take why nothing changed."""


class Counter(Protocol):
    """64-bit counts by key that any number of threads may increment."""

    def handle(self, request: Request) -> None:
        """Add `request.by` ≥ 0 and answer, or refuse with a CounterError; before this returns, or later."""

    def close(self) -> int:
        """Refuse what is still queued and all that comes later; return all counts together."""


def take(state: State, requests: Sequence[Request]) -> None:
    """Apply requests that are taken together, commit once for all, and only then answer; never raises."""
    added: list[tuple[Request, int]] = []
    for request in requests:
        try:
            added.append((request, state.add(request.by, request.wanted, request.key)))
        except Exception as error:  # the caller's to handle, and nobody else's
            _tell(request.refuse, error)
    try:
        state.commit(len(added))
    except Exception as error:
        for request, _ in added:
            _tell(request.refuse, error)
    else:
        for request, count in added:
            _tell(request.answer, count)


def _tell(say: Callable[..., object], what: object) -> None:
    try:
        say(what)
    except Exception:  # whatever one caller is like, the others are told
        _log.exception("a call could not be answered")


class Asked:
    """A request whose caller sleeps until it is answered."""

    def __init__(self, by: int, wanted: Wanted, key: int = 0) -> None:
        self.by = by
        self.key = key
        self.wanted = wanted
        self._outcome: SimpleQueue[int | Exception] = SimpleQueue()
        self.answer: Callable[[int], None] = self._outcome.put
        self.refuse: Callable[[Exception], None] = self._outcome.put

    def wait(self) -> int:
        """Return the count as this call left it, or raise why nothing changed."""
        outcome = self._outcome.get()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def increment(counter: Counter, by: int, wanted: Wanted = lambda: True, key: int = 0) -> int:
    """Ask a counter and wait for the answer."""
    request = Asked(by, wanted, key)
    counter.handle(request)
    return request.wait()
