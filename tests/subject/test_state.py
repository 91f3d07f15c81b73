"""What a critical section does, and what it tells of it; what goes wrong with files is in tests/faults/stores.py."""

import json
import time
from pathlib import Path

import pytest

from perfkit._proto import counter_pb2
from perfkit.design.arms import parse_arm
from perfkit.design.engines import DURABLE
from perfkit.errors import ServerError, StoreFailed
from perfkit.subject.counters import Asked, take
from perfkit.subject.serve import state_of
from perfkit.subject.state import State
from perfkit.subject.stores import disk
from tests.support.disks import on_disk
from tests.support.servers import served


def yes():
    return True


class Broken:
    """A store that fails at its third commit."""

    def __init__(self):
        self.counts, self.commits = {0: 5}, 0

    def commit(self, changed):
        self.commits += 1
        if self.commits == 3:
            raise StoreFailed("the disk is gone")
        self.counts.update(changed)

    def close(self):
        pass


def test_a_wait_is_reported_as_long_as_it_really_was():
    state = State(hold_us=10)
    for _ in range(50):
        state.add(1, yes)
    held = state.told()["held_us"]
    assert 10 <= held["p50"] <= held["p99"]
    assert held["mean"] > 10, "a sleep is never as short as asked for"


def test_work_uses_cpu_time_inside_the_section():
    state, before = State(work_us=2000), time.thread_time_ns()
    for _ in range(5):
        state.add(1, yes)
    assert time.thread_time_ns() - before >= 5 * 2_000_000


def test_a_simulated_device_takes_its_time_for_each_commit_and_reads_commit_nothing():
    state = state_of(parse_arm("mutex?sync_us=2000", 1))
    for by in (1, 0, 1):
        state.add(by, yes)
        state.commit(1)
    told = state.told()
    assert told["commit_us"]["p50"] >= 2000
    assert told["batches"] == {"1": 2}


def test_what_is_taken_together_is_committed_once_and_answered_after_that():
    state = state_of(parse_arm("mutex?sync_us=1", 1))
    requests = [Asked(by, yes) for by in (1, -1, 2)]
    take(state, requests)
    assert (requests[0].wait(), requests[2].wait()) == (1, 3)
    with pytest.raises(Exception, match="negative"):
        requests[1].wait()
    assert state.told()["batches"] == {"2": 1}


def test_after_a_failed_commit_nothing_more_is_acknowledged_and_the_server_is_told():
    store, ended = Broken(), []
    state = State(store=store)
    state.on_failure = lambda: ended.append(True)
    requests = [Asked(1, yes) for _ in range(6)]
    for pair in (requests[:2], requests[2:4], requests[4:]):
        take(state, pair)
    assert [one.wait() for one in requests[:4]] == [6, 7, 8, 9]
    for one in requests[4:]:
        with pytest.raises(StoreFailed, match="the disk is gone"):
            one.wait()
    late = Asked(1, yes)
    take(state, [late])
    with pytest.raises(StoreFailed):
        late.wait()
    assert (state.count, store.commits, ended) == (9, 3, [True])


@pytest.mark.load
@pytest.mark.parametrize("store", DURABLE)
def test_a_store_that_is_opened_again_goes_on_with_its_count(store, tmp_path):
    arm, folder = f"threads/mutex?store={store}", on_disk(tmp_path) / "files"
    for first in (0, 3):
        with served(arm, folder) as (stub, server):
            replies = [stub.increment(counter_pb2.incrementBy(value=1)).count for _ in range(3)]
            server.terminate()
            out, err = server.communicate(timeout=60)
        assert replies == [first + 1, first + 2, first + 3]
        last = json.loads(out.splitlines()[-1])
        assert (server.returncode, err, last["increments"]) == (0, "", 3)
        assert last["section"]["batches"] == {"1": 3}
        assert last["section"]["commit_us"]["p50"] > 1


def test_a_durable_store_wants_a_folder_on_a_disk(tmp_path, monkeypatch):
    with pytest.raises(ServerError, match="name one on a disk with --folder"):
        state_of(parse_arm("mutex?store=append", 1))
    with pytest.raises(ServerError, match=r"--folder /dev/null/x can't be made \(Not a directory\)"):
        state_of(parse_arm("mutex?store=append", 1), Path("/dev/null/x"))
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "none")
    disk.refuse_memory(tmp_path, "x")  # where it is not known, nobody is refused
