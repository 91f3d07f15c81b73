"""grpcio's floor: its sync server with the leanest executor, bytes in and out, no message classes, a lock. Frozen.

    python bench/floor_server.py PORT WORKERS

It shares none of perfkit's code. It reads requests as k6 sends them, value under 128, and checks nothing.
"""

import signal
import sys
import threading
from queue import SimpleQueue

import grpc

SERVICE = "counter.incrementCounter"


class Executor:
    """Threads and one queue, no Future for a call."""

    def __init__(self, workers):
        self.calls = SimpleQueue()
        for _ in range(workers):
            threading.Thread(target=self.work, daemon=True).start()

    def submit(self, function, *arguments):  # noqa: D102
        self.calls.put((function, arguments))
        return self

    def add_done_callback(self, callback):  # noqa: D102
        callback(self)

    def work(self):  # noqa: D102
        while True:
            function, arguments = self.calls.get()
            function(*arguments)


def main(port, workers):
    stopping = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    count, lock = 0, threading.Lock()

    def increment(request, _):
        nonlocal count
        with lock:
            count += request[1] if request else 0
            mine = count
        text = b"Incremented value is %d" % mine
        return b"\n%c%s" % (len(text), text)

    handlers = {"increment": grpc.unary_unary_rpc_method_handler(increment)}
    server = grpc.server(Executor(workers), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    signal.sigwait(stopping)
    server.stop(5).wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
