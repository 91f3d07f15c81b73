"""The same service on grpc.aio, without health service and reflection, on IPv6 alone.

python server_aio.py --port 50061
"""

import asyncio

import grpc
from server import greeting, options, rounds_of, services


class Greeter(services.GreeterServicer):
    """The service, with so many rounds a signature."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    async def Greet(self, request, context):  # noqa: N802 - gRPC's name
        """Answer with a signed greeting; without a name it is an error."""
        if not request.name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name is wanted")
        return greeting(request, self._rounds)


async def main() -> None:
    """Serve until the process is ended."""
    asked = options()
    server = grpc.aio.server()
    services.add_GreeterServicer_to_server(Greeter(rounds_of(asked)), server)
    server.add_insecure_port(f"[::1]:{asked.port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
