"""A service to try perfkit on: it greets, and signs each greeting. `--slower-pct 6` builds a regression in.

python server.py --port 50061
"""

import argparse
import hashlib
import sys
from concurrent import futures
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

sys.path.insert(0, str(Path(__file__).parent))
messages, services = grpc.protos_and_services("greeter.proto")

WORDS = {messages.ENGLISH: "Hello", messages.GERMAN: "Guten Tag", messages.FRENCH: "Bonjour"}

ROUNDS = 500
"""Times that a greeting is hashed until it counts as signed."""

ROUNDS_A_PERCENT = 10
"""So many rounds more make a whole call, gRPC included, 1 % dearer (docs/own-service.md says how that was measured)."""


def sign(text: str, rounds: int) -> str:
    """Return a token that takes some work to make."""
    token = text.encode()
    for _ in range(rounds):
        token = hashlib.blake2s(token, digest_size=16).digest()
    return token.hex()


class Greeter(services.GreeterServicer):
    """The service, with so many rounds a signature."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def Greet(self, request, context):  # noqa: N802 - gRPC's name
        """Answer with a signed greeting; without a name it is an error."""
        if not request.name:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name is wanted")
        return greeting(request, self._rounds)


def greeting(request, rounds: int):
    """Return the reply to a request."""
    text = f"{WORDS[request.language]}, {request.name}!"
    details = messages.Details(visits=request.visits, token=sign(text, rounds))
    return messages.Greeting(text=text, details=details)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=50061)
    parser.add_argument("--slower-pct", type=float, default=0.0, help="how much dearer a call is made")
    parser.add_argument("--no-reflection", action="store_true")
    return parser.parse_args()


def rounds_of(asked: argparse.Namespace) -> int:
    """Return how many rounds a signature takes."""
    return ROUNDS + round(ROUNDS_A_PERCENT * asked.slower_pct)


def main() -> None:
    """Serve until the process is ended."""
    asked = options()
    server = grpc.server(futures.ThreadPoolExecutor(10))
    services.add_GreeterServicer_to_server(Greeter(rounds_of(asked)), server)
    states = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    if not asked.no_reflection:
        names = (messages.DESCRIPTOR.services_by_name["Greeter"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    server.add_insecure_port(f"{asked.host}:{asked.port}")
    server.start()
    states.set("", health_pb2.HealthCheckResponse.SERVING)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
