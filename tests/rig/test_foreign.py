"""A command of the user's own: until when it must answer, on simulated time; and real ones that are loaded."""

import tempfile
from types import SimpleNamespace

import grpc
import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import LoadError, ServerError
from perfkit.rig import generators, trial
from perfkit.rig.process import Place
from perfkit.rig.servers import foreign
from tests.support.clock import SimulatedClock
from tests.support.plans import plan_compare, solo
from tests.support.servers import COUNTED
from tests.support.servers import foreign as command
from tests.support.trials import measure


class Refused(grpc.RpcError):
    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code


START_S = 7.0


@pytest.fixture
def asked():
    """Ask a server on simulated time: question → (its answer, when)."""
    clock = SimulatedClock()
    arm, process = parse_arm("exec:./server {port}", 10), SimpleNamespace(pid=1, poll=lambda: None)
    with tempfile.TemporaryFile() as log:
        server = foreign.ForeignServer(arm, process, log, ("127.0.0.1", 50055), START_S, None, clock=clock)

        def ask(question):
            try:
                return server._until_answered(lambda: question(clock.monotonic(), server.address))
            finally:
                ask.at_s = clock.monotonic()

        yield ask


def test_a_server_is_asked_until_it_answers(asked):
    def question(now_s, _):
        if now_s < 3:
            raise Refused(grpc.StatusCode.UNAVAILABLE)
        return "good"

    assert asked(question) == "good"
    assert asked.at_s == pytest.approx(3, abs=0.03)


def test_a_server_that_listens_on_ipv6_alone_is_found_there(asked):
    def question(_, address):
        if address.startswith("127"):
            raise Refused(grpc.StatusCode.UNAVAILABLE)
        return address

    assert asked(question) == "[::1]:50055"


def test_a_server_that_never_answers_is_named_after_its_time_to_start(asked):
    def question(*_):
        raise Refused(grpc.StatusCode.UNAVAILABLE)

    with pytest.raises(ServerError, match=r"did not answer increment\(value=0\) on 127.0.0.1:50055 within 7 s "):
        asked(question)
    assert asked.at_s == pytest.approx(START_S, abs=0.05)


def test_a_health_service_that_never_says_serving_is_named_after_that_time_too(asked):
    with pytest.raises(ServerError, match="its health service says that it is not serving"):
        asked(lambda *_: None)
    assert asked.at_s == pytest.approx(START_S, abs=0.05)


@pytest.mark.parametrize("error", [Refused(grpc.StatusCode.UNIMPLEMENTED), ServerError("answered 'done'")])
def test_a_server_that_answers_wrongly_may_do_so_for_two_seconds_and_no_longer(asked, error):
    def question(now_s, _):
        if now_s < 1:
            raise Refused(grpc.StatusCode.UNAVAILABLE)
        raise error

    with pytest.raises(ServerError, match=r"is there, and answers|answered 'done'"):
        asked(question)
    assert asked.at_s == pytest.approx(1 + foreign.GOOD_S, abs=0.05)


@pytest.fixture
def arm(tmp_path):
    """A server that has never heard of perfkit's lines, and answers in the original's one field."""

    def make(message=COUNTED, before=""):
        return parse_arm(f"exec:{command(tmp_path, message, before)}", 10)

    return make


@pytest.mark.load
def test_a_command_that_speaks_the_contract_is_loaded_counted_and_ended(arm):
    plan = plan_compare(b=arm().name, vus=3, turn_ms=20, duration_s=0.8, warmup_s=0.3)
    result = measure(plan.block(0)[0])
    by_role = {seat.role: served for seat, served in zip(result.trial.seats, result.served, strict=True)}
    assert by_role["b"].final_count == by_role["b"].calls.acknowledged_total > 0


@pytest.mark.full
@pytest.mark.load
def test_a_foreign_a_brings_its_yardstick(arm):
    plan = plan_compare(a=arm().name, b="mutex", vus=3, turn_ms=20, duration_s=0.8, warmup_s=0.3)
    result = measure(plan.block(0)[0])
    assert len(result.served) == 5
    assert all(one.final_count == one.calls.acknowledged_total for one in result.served)


@pytest.mark.load
def test_a_reply_without_a_number_is_named(arm):
    with pytest.raises(ServerError, match="answered 'done'; wanted 'Incremented value is N'"):
        with foreign.server(arm(message='"done"'), Place()) as server:
            server.ready()


@pytest.mark.full
@pytest.mark.load
def test_a_command_that_starts_processes_while_it_is_measured_is_refused(arm):
    often = """
import subprocess, threading, time
def start():
    while True:
        time.sleep(0.2)
        subprocess.Popen(["sleep", "60"])
threading.Thread(target=start, daemon=True).start()
"""
    one = solo(parse_arm(arm(before=often).name, 10), Load(2, 0.3, 3.0))
    with pytest.raises(LoadError, match="started or ended processes inside the window, whose CPU time is not known"):
        trial.measure(one, 0, generators.find(), trial.place(pin=True))
