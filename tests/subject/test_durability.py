"""What was acknowledged outlives a power cut: each durable combination loses its cache under load (lost_cache.py)."""

import json
import sys
import threading

import grpc
import pytest

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.engines import ENGINES
from perfkit.subject.serve import state_of
from tests.support import lost_cache
from tests.support.disks import on_disk
from tests.support.lost_cache import DoomedProcess

CALLERS = 8

DURABLE = [
    f"{engine}/{pattern}?{batch}store={store}"
    for engine, facts in ENGINES.items()
    for pattern in facts.options
    for batch in (["", "batch=4&"] if pattern == "inputQ" else [""])
    for store in ("append", "sqlite")
]

OFTEN = (
    "threads/mutex?store=append",
    "threads/inputQ?batch=4&store=sqlite",
    "asyncio/inputQ?store=append",
    "native/leader?store=sqlite",
)
"""What `make test` tries; `make test-all` tries them all."""

pytestmark = pytest.mark.load

needs_seccomp = pytest.mark.skipif(bool(lost_cache.supported()), reason=lost_cache.supported() or "-")


@pytest.fixture
def doomed(tmp_path):
    """Start a server on files that it will lose; give what callers were told, and what the disk has."""
    started, folder = [], on_disk(tmp_path)

    def run(argv, arm, how):
        process = DoomedProcess([sys.executable, *argv, "--port=0", f"--folder={folder}"], folder)
        started.append(process.process)
        line = process.process.stdout.readline()
        assert line, process.process.stderr.read()
        told, sent, enough = [0], [], threading.Event()

        def call():
            with grpc.insecure_channel(
                json.loads(line)["address"], options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                stub = counter_pb2_grpc.incrementCounterStub(channel)
                while True:
                    sent.append(1)
                    try:
                        told.append(stub.increment(counter_pb2.incrementBy(value=1), timeout=60).count)
                    except grpc.RpcError:
                        return
                    if len(told) > 200:
                        enough.set()

        callers = [threading.Thread(target=call, daemon=True) for _ in range(CALLERS)]
        if how:
            process.dies_in(how)
        for caller in callers:
            caller.start()
        if not how:
            assert enough.wait(120)
            process.dies_now()
        process.wait(120)
        for caller in callers:
            caller.join(120)
            assert not caller.is_alive()
        state = state_of(parse_arm(arm, workers=4), folder)
        state.close()
        return max(told), state.first, len(sent)

    yield run
    for process in started:
        process.kill()


def serve(arm):
    return ["-m", "perfkit", "serve", f"--arm={arm}", "--workers=4"]


@needs_seccomp
@pytest.mark.parametrize("arm", [pytest.param(arm, marks=() if arm in OFTEN else pytest.mark.full) for arm in DURABLE])
def test_what_was_acknowledged_outlives_the_loss_of_the_cache(doomed, arm):
    acknowledged, kept, sent = doomed(serve(arm), arm, 12)
    assert 0 < acknowledged <= kept <= sent


CHEAT = """
from perfkit.subject.patterns import PATTERNS, mutex
class Cheat(mutex.MutexCounter):
    def handle(self, request):
        with self._lock:
            request.answer(self._state.add(request.by, request.wanted))
            self._state.commit(1)
PATTERNS["mutex"] = Cheat
from perfkit.cli import main
main()
"""


@needs_seccomp
@pytest.mark.parametrize("store", ["append", pytest.param("sqlite", marks=pytest.mark.full)])
@pytest.mark.parametrize("syncs", [2, pytest.param(30, marks=pytest.mark.full)])
def test_a_server_that_acknowledges_before_it_commits_is_caught(doomed, store, syncs):
    arm = f"threads/mutex?store={store}"
    acknowledged, kept, _ = doomed(["-c", CHEAT, *serve(arm)[2:]], arm, syncs)
    assert kept < acknowledged


@needs_seccomp
@pytest.mark.parametrize("sync", [pytest.param("normal", marks=pytest.mark.full), "off"])
def test_sqlite_that_does_not_wait_for_the_disk_is_caught_too(doomed, sync):
    arm = f"threads/mutex?store=sqlite&sync={sync}"
    acknowledged, kept, _ = doomed(serve(arm), arm, 0)
    assert kept < acknowledged
