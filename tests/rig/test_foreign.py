import sys

import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import LoadError, ServerError
from perfkit.rig import generators, trial
from perfkit.rig.process import Place
from perfkit.rig.servers import foreign
from tests.conftest import plan_compare, solo

pytestmark = pytest.mark.load

SERVER = """
import signal, sys, threading
from concurrent import futures
import grpc
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


@pytest.fixture
def arm(tmp_path):
    """A server that has never heard of perfkit's lines, and answers in the original's one field."""

    def make(message='f"Incremented value is {self.count}"', before=""):
        path = tmp_path / "server.py"
        path.write_text(before + SERVER.replace("MESSAGE", message))
        return parse_arm(f"exec:{sys.executable} {path} {{port}}", 10)

    return make


def test_a_command_that_speaks_the_contract_is_loaded_counted_and_ended(arm):
    plan = plan_compare(b=arm().name, vus=3, turn_ms=20, duration_s=0.8, warmup_s=0.3)
    result, _ = trial.measure(plan.block(0)[0], 0, generators.find(), trial.place(pin=True))
    by_role = {seat.role: served for seat, served in zip(result.trial.seats, result.served, strict=True)}
    assert by_role["b"].final_count == by_role["b"].calls.acknowledged_total > 10


def test_a_foreign_a_brings_its_yardstick(arm):
    plan = plan_compare(a=arm().name, b="mutex", vus=3, turn_ms=20, duration_s=0.8, warmup_s=0.3)
    result, _ = trial.measure(plan.block(0)[0], 0, generators.find(), trial.place(pin=True))
    assert len(result.served) == 5
    assert all(one.final_count == one.calls.acknowledged_total for one in result.served)


def test_a_reply_without_a_number_is_named(arm):
    with pytest.raises(ServerError, match="answered 'done'; wanted 'Incremented value is N'"):
        with foreign.server(arm(message='"done"'), Place()) as server:
            server.ready()


def test_a_command_that_starts_processes_while_it_is_measured_is_refused(arm):
    before = "import subprocess, threading\nthreading.Timer(1.6, subprocess.Popen, (['sleep', '30'],)).start()\n"
    one = solo(parse_arm(arm(before=before).name, 10), Load(2, 0.8, 2.0))
    with pytest.raises(LoadError, match="started or ended processes inside the window, whose CPU time is not known"):
        trial.measure(one, 0, generators.find(), trial.place(pin=True))
