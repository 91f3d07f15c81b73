"""The textbook's gRPC server: ThreadPoolExecutor, a lock, the same services. Frozen: the baseline of `make bench`.

    python bench/textbook_server.py PORT WORKERS

It shares none of perfkit's code but the generated stubs.
"""

import signal
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from perfkit._proto import counter_pb2, counter_pb2_grpc


class Counter(counter_pb2_grpc.incrementCounterServicer):
    """The count behind a lock."""

    def __init__(self):
        self.count = 0
        self.lock = threading.Lock()

    def increment(self, request, context):
        """Add and answer."""
        if request.value < 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Value cannot be negative")
        with self.lock:
            self.count += request.value
            count = self.count
        return counter_pb2.status(message=f"Incremented value is {count}", count=count)


def main(port, workers):
    stopping = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=workers), options=[("grpc.so_reuseport", 0)])
    counter_pb2_grpc.add_incrementCounterServicer_to_server(Counter(), server)
    service = counter_pb2.DESCRIPTOR.services_by_name["incrementCounter"].full_name
    health_servicer = health.HealthServicer()
    health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((service, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    signal.sigwait(stopping)
    server.stop(5).wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
