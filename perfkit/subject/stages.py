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
from perfkit.subject.engines.workers import Submitted, Workers
from perfkit.subject.state import State

EVERY = 16

LAST = 200_000
"""So many of the last watched calls are kept."""


class Watched:
    """When one call was where, ns by perf_counter."""

    __slots__ = ("answered", "committed", "committing", "entered", "handed", "started", "submitted")

    def __init__(self) -> None:
        self.submitted = time.perf_counter_ns()
        self.started = self.handed = self.entered = self.committing = self.committed = self.answered = 0

    def stamps(self) -> tuple[int, ...]:
        """Return when it entered each stage, and when it left the last; one past the section took no time there."""
        inside = (self.entered, self.committing, self.committed) if self.entered else (self.handed,) * 3
        return (self.submitted, self.started, self.handed, *inside, self.answered)


class Watch(threading.local):
    """What a thread is at: the watched call it has started, and those it has in the critical section."""

    def __init__(self) -> None:
        self.started: Watched | None = None
        self.inside: list[Watched] = []


class WatchingWorkers(Workers):
    """Workers that watch one call in EVERY."""

    def __init__(self, count: int, watch: Watch) -> None:
        self._watch = watch
        self._submitted = 0
        super().__init__(count)

    def submit(self, function: Callable[..., object], *arguments: Any) -> Submitted:  # noqa: D102
        self._submitted += 1  # by grpcio's one thread
        if self._submitted % EVERY:
            return super().submit(function, *arguments)
        return super().submit(self._start, Watched(), function, *arguments)

    def _start(self, watched: Watched, function: Callable[..., object], *arguments: Any) -> None:
        watched.started = time.perf_counter_ns()
        self._watch.started = watched
        try:
            function(*arguments)
        finally:
            self._watch.started = None


class WatchedRequest:
    """A request that notes when it enters the section and when it is answered."""

    def __init__(self, request: Request, watched: Watched, watch: Watch, answered: "deque[Watched]") -> None:
        self.by, self.key = request.by, request.key
        self.refuse = request.refuse
        self._request, self._watched = request, watched
        self._watch, self._answered = watch, answered
        watched.handed = time.perf_counter_ns()

    def wanted(self) -> bool:  # noqa: D102
        self._watched.entered = time.perf_counter_ns()
        self._watch.inside.append(self._watched)
        return self._request.wanted()

    def answer(self, count: int) -> None:  # noqa: D102
        self._request.answer(count)
        self._watched.answered = time.perf_counter_ns()
        self._answered.append(self._watched)


class WatchedState(State):
    """A state that notes when those in its section are committed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.watch = Watch()
        self.answered: deque[Watched] = deque(maxlen=LAST)

    def commit(self, calls: int) -> None:  # noqa: D102
        inside = self.watch.inside
        if not inside:
            super().commit(calls)
            return
        began = time.perf_counter_ns()
        try:
            super().commit(calls)
        finally:
            committed = time.perf_counter_ns()
            for one in inside:
                one.committing, one.committed = began, committed
            inside.clear()

    def watched(self, request: Request) -> Request:
        """Return a request as it is to be handed to the pattern: as it is, unless this thread has it watched."""
        started = self.watch.started
        return WatchedRequest(request, started, self.watch, self.answered) if started else request

    def keep_seen(self, folder: Path) -> None:
        """Write when each watched call was where."""
        ahead = time.time_ns() - time.perf_counter_ns()
        lines = [",".join(str((stamp + ahead) // 1000) for stamp in one.stamps()) for one in self.answered]
        (folder / STAGES_FILE).write_text("".join(f"{line}\n" for line in lines))
