"""Servers for tests: perfkit's own as a process, and one that has never heard of perfkit."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from perfkit._proto import counter_pb2_grpc
from tests.support import ROOT

FOREIGN = """
import signal, sys, threading
from concurrent import futures
import grpc
import pytest
from perfkit._proto import counter_pb2, counter_pb2_grpc

class Counter(counter_pb2_grpc.incrementCounterServicer):
    count, lock = 0, threading.Lock()
    def increment(self, request, context):
        with self.lock:
            self.count += request.value
            return counter_pb2.status(message=MESSAGE)

server = grpc.server(futures.ThreadPoolExecutor(4))
counter_pb2_grpc.add_incrementCounterServicer_to_server(Counter(), server)
server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
server.wait_for_termination()
"""
"""It answers in the original's one field; MESSAGE is to be replaced."""

COUNTED = 'f"Incremented value is {self.count}"'

COUNTING = "count = self.counts[request.key] = self.counts.get(request.key, 0) + request.value"
"""What a server with keys does instead of the other's one count."""


def foreign(folder: Path, message: str = COUNTED, before: str = "") -> str:
    """Write that server into a folder; return the command that starts it."""
    text = before + FOREIGN.replace("MESSAGE", message)
    path = folder / "server.py"
    path.write_text(text)
    return f"{sys.executable} {path} {{port}}"


def keyed_foreign(folder: Path, reply: str) -> str:
    """Write one with keys, which adds `reply` to its answer; return the command that starts it."""
    path = folder / "server.py"
    path.write_text(
        FOREIGN.replace("count, lock = 0", "counts, lock = {}")
        .replace("self.count += request.value", COUNTING)
        .replace("message=MESSAGE", f"message=f'Incremented value is {{count}}', {reply}")
    )
    return f"{sys.executable} {path} {{port}}"


def status_of(call: Callable[..., object], *arguments: object, **options: object) -> tuple[grpc.StatusCode, str]:
    """Make a call that must fail; return its status and what it says."""
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, **options)
    return raised.value.code(), raised.value.details()


@contextmanager
def served(arm: str, folder: Path) -> Iterator[tuple[counter_pb2_grpc.incrementCounterStub, subprocess.Popen[str]]]:
    """Serve an arm that has its files in a folder; give what calls it, and the process."""
    argv = [sys.executable, "-m", "perfkit", "serve", f"--arm={arm}", "--port=0", f"--folder={folder}"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        with grpc.insecure_channel(json.loads(line)["address"]) as channel:
            yield counter_pb2_grpc.incrementCounterStub(channel), process
    finally:
        process.kill()
        process.communicate()
