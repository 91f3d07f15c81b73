"""One call in EVERY watched through its stages; nothing at all is done for the others.

A call is submitted by grpcio's thread, started by a worker, handed to the pattern, enters the critical section, is
committed with others or alone, and answered: the times between are `design.engines.STAGES`. All that goes on inside a
section, from entering to the commit, goes on in one thread, whatever the pattern.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.design.engines import STAGES_FILE
from perfkit.subject.counters import Request
from perfkit.subject.engines.workers import SUBMITTED, Submitted, Workers
from perfkit.subject.state import State
from perfkit.subject.work import OwnClock

EVERY = 16

LAST = 200_000
"""So many of the last watched calls are kept."""


class Watched:
    """When one call was where, ns by its server's own clock."""

    __slots__ = ("answered", "committed", "committing", "entered", "handed", "started", "submitted")

    def __init__(self, now_ns: int) -> None:
        self.submitted = now_ns
        self.started = self.handed = self.entered = self.committing = self.committed = self.answered = 0

    def stamps(self) -> tuple[int, ...]:
        """Return when it entered each stage, and when it left the last; one past the section took no time there."""
        inside = (self.entered, self.committing, self.committed) if self.entered else (self.handed,) * 3
        return (self.submitted, self.started, self.handed, *inside, self.answered)


class Started(threading.local):
    """The watched call that a thread has started."""

    call: Watched | None = None


class WatchingWorkers(Workers):
    """Workers that watch one call in EVERY."""

    def __init__(self, count: int, started: Started, clock: OwnClock) -> None:
        self._started, self._clock = started, clock
        self._submitted = 0
        super().__init__(count)

    def submit(self, function: Callable[..., object], *arguments: Any) -> Submitted:  # noqa: D102
        self._submitted += 1  # by grpcio's one thread
        if self._submitted % EVERY:
            self._calls.put((function, arguments))
        else:
            self._calls.put((self._start, (Watched(self._clock.now_ns()), function, *arguments)))
        return SUBMITTED

    def _start(self, watched: Watched, function: Callable[..., object], *arguments: Any) -> None:
        watched.started = self._clock.now_ns()
        self._started.call = watched
        try:
            function(*arguments)
        finally:
            self._started.call = None


class WatchedRequest:
    """A request that notes when it enters the section and when it is answered."""

    def __init__(
        self, request: Request, watched: Watched, inside: list[Watched], answered: "deque[Watched]", clock: OwnClock
    ) -> None:
        self.by, self.key = request.by, request.key
        self.refuse = request.refuse
        self._request, self._watched = request, watched
        self._inside, self._answered, self._clock = inside, answered, clock
        watched.handed = clock.now_ns()

    def wanted(self) -> bool:  # noqa: D102
        self._watched.entered = self._clock.now_ns()
        self._inside.append(self._watched)
        return self._request.wanted()

    def answer(self, count: int) -> None:  # noqa: D102
        self._request.answer(count)
        self._watched.answered = self._clock.now_ns()
        self._answered.append(self._watched)


class WatchedState(State):
    """A state that notes when those in its section are committed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.inside: list[Watched] = []
        """watched calls in the section, where one thread is at a time"""
        self.answered: deque[Watched] = deque(maxlen=LAST)

    def split(self, shards: int) -> list[State]:  # noqa: D102
        parts = super().split(shards)
        for part in parts if shards > 1 else ():
            assert isinstance(part, WatchedState)  # noqa: S101 - a copy of this one
            part.inside = []
        return parts

    def commit(self, calls: int) -> None:  # noqa: D102
        if not self.inside:
            State.commit(self, calls)
            return
        began = self.clock.now_ns()
        try:
            State.commit(self, calls)
        finally:
            committed = self.clock.now_ns()
            for one in self.inside:
                one.committing, one.committed = began, committed
            self.inside.clear()

    def watched(self, request: Request, watched: Watched) -> Request:
        """Return a request that notes where it is."""
        part = self._parts[request.key % len(self._parts)] if self._parts else self
        assert isinstance(part, WatchedState)  # noqa: S101 - as in split
        return WatchedRequest(request, watched, part.inside, self.answered, self.clock)

    def keep_seen(self, folder: Path) -> None:
        """Write when each watched call was where."""
        ahead = time.time_ns() - self.clock.now_ns()
        lines = [",".join(str((stamp + ahead) // 1000) for stamp in one.stamps()) for one in self.answered]
        (folder / STAGES_FILE).write_text("".join(f"{line}\n" for line in lines))
