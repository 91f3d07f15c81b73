"""Engine threads with another way from callers to the owner and back, for bench/hops.py.

python bench/hop_server.py PORT WORKERS WAY
"""

import sys
import threading
import time
from queue import Empty

from grpc import _server
from grpc._cython import cygrpc

from perfkit.design.arms import parse_arm
from perfkit.subject.counters import Asked, take
from perfkit.subject.engines import threads, workers
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.patterns.combining import CombiningCounter
from perfkit.subject.patterns.input_q import InputQCounter
from perfkit.subject.serve import serve


class ReplyQueue(InputQCounter):
    """The caller's thread sleeps at a queue of its own until the owner has told it."""

    def handle(self, request):  # noqa: D102
        asked = Asked(request.by, request.wanted, request.key)
        super().handle(asked)
        try:
            count = asked.wait()
        except Exception as error:
            request.refuse(error)
        else:
            request.answer(count)


class ReplyLock(InputQCounter):
    """The same, but at a lock that each thread uses again and again."""

    slots = threading.local()

    def handle(self, request):  # noqa: D102
        slot = getattr(self.slots, "slot", None)
        if slot is None:
            slot = self.slots.slot = Slot()
        slot.by, slot.key, slot.wanted = request.by, request.key, request.wanted
        super().handle(slot)
        slot.told.acquire()
        if isinstance(slot.outcome, Exception):
            request.refuse(slot.outcome)
        else:
            request.answer(slot.outcome)


class Slot:
    """Where a thread waits for its answer."""

    def __init__(self):
        self.told = threading.Lock()
        self.told.acquire()

    def answer(self, outcome):  # noqa: D102
        self.outcome = outcome
        self.told.release()

    refuse = answer


class Drained(ReplyLock):
    """The same, and the owner takes all that waits before it tells anybody."""

    def __init__(self, state, batch=sys.maxsize):
        super().__init__(state, batch)


class Yielding(ReplyLock):
    """The same, but owner and callers let others run once before they sleep."""

    def _own(self):
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                time.sleep(0)
                request = self._requests.get()
            if not request:
                return
            take(self._state, [request])


class HandedOver(workers.Workers):
    """Not another hop to the owner, but one less to the worker: it gets a call once the request has been read."""

    def submit(self, function, *arguments):  # noqa: D102
        if arguments[0] is not _server._stream_response_in_pool:
            return super().submit(function, *arguments)
        respond, event, state, behavior, _, deserializer, serializer = arguments
        stock = _server._receive_message(state, event.call, deserializer)

        def received(message):
            done = stock(message)
            request, state.request = state.request, None
            if request is not None:
                self._calls.put(
                    (function, (respond, event, state, behavior, lambda: request, deserializer, serializer))
                )
            return done

        event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
        state.due.add(_server._RECEIVE_MESSAGE_TOKEN)
        return workers.SUBMITTED


WAYS = {"reply-queue": ReplyQueue, "reply-lock": ReplyLock, "drained": Drained, "yielding": Yielding,
        "combining": CombiningCounter}  # fmt: skip

HANDED_OVER = "handed-over"


def main(port, workers, way):
    pattern = "mutex" if way == HANDED_OVER else "inputQ"
    if way == HANDED_OVER:
        threads.Workers = HandedOver
    else:
        PATTERNS["inputQ"] = WAYS[way]
    serve(parse_arm(f"threads/{pattern}", workers), "127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
