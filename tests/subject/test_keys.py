"""Keys: each has a count of its own, guarded by its shard; reads may be of what was committed last."""

import asyncio
import threading

import grpc
import pytest

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.design.engines import DURABLE, ENGINES
from perfkit.subject.counters import Asked, increment
from perfkit.subject.counters_async import PATTERNS as ASYNC_PATTERNS
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.serve import start, state_of
from perfkit.subject.shards import guarded, guarded_async
from perfkit.subject.state import State
from tests.support.disks import on_disk

KEYS, CALLS, THREADS = 6, 300, 6

ARMS = [
    f"{engine}/{pattern}?shards=3&reads=snapshot"
    for engine, facts in ENGINES.items()
    for pattern in facts.options
    if engine != "native" or pattern in ("mutex", "inputQ")
]


@pytest.fixture(params=sorted(PATTERNS))
def pattern(request):
    return request.param


def counter_of(arm, **state):
    parsed = parse_arm(arm, 1)
    own = State(**state) if state else state_of(parsed)
    return guarded(parsed, own, PATTERNS[parsed.pattern]), own


@pytest.mark.parametrize("shards", [1, 4])
def test_each_key_is_counted_apart_whatever_shard_guards_it(pattern, shards):
    counter, state = counter_of(f"{pattern}?shards={shards}")
    replies = {key: [] for key in range(KEYS)}

    def work():
        for number in range(CALLS):
            key = number % KEYS
            replies[key].append(increment(counter, 1, key=key))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
        assert not thread.is_alive()
    each = THREADS * CALLS // KEYS
    assert all(sorted(own) == list(range(1, each + 1)) for own in replies.values())
    assert counter.close() == THREADS * CALLS
    assert state.increments() == dict.fromkeys(range(KEYS), each)


def test_calls_for_other_shards_do_not_wait_for_a_key_that_is_held(pattern):
    counter, _ = counter_of(f"{pattern}?shards=2")
    entered, may_go = threading.Event(), threading.Event()

    def wanted():
        entered.set()
        return may_go.wait(60)

    held = threading.Thread(target=increment, args=(counter, 1, wanted), kwargs={"key": 0})
    held.start()
    assert entered.wait(60)
    assert increment(counter, 1, key=1) == 1, "it was answered while the other key was held"
    assert increment(counter, 0, key=1) == 1
    may_go.set()
    held.join()
    assert increment(counter, 0, key=0) == 1
    counter.close()


@pytest.mark.parametrize("kind", DURABLE)
def test_all_shards_keep_their_keys_in_one_file(pattern, kind, tmp_path):
    arm, folder = parse_arm(f"{pattern}?shards=3&store={kind}", 1), on_disk(tmp_path)
    state = state_of(arm, folder)
    counter = guarded(arm, state, PATTERNS[pattern])
    for key in range(KEYS):
        for _ in range(key + 1):
            increment(counter, 1, key=key)
    counter.close()
    state.close()
    again = state_of(arm, folder)
    again.close()
    assert {key: again.counts[key] for key in range(KEYS)} == {key: key + 1 for key in range(KEYS)}
    assert len([path for path in folder.iterdir() if path.suffix in (".db", ".log")]) == 1
    assert sum(state.told()["batches"].values()) == state.count, "the commits of all shards are told"


class SlowStore:
    """A store that a test lets go on."""

    def __init__(self):
        self.counts, self.begun, self.may_end = {0: 0}, threading.Event(), threading.Event()

    def commit(self, changed):
        self.begun.set()
        assert self.may_end.wait(60)
        self.counts.update(changed)

    def close(self):
        pass


def test_a_snapshot_read_waits_for_nobody_and_sees_only_what_is_committed(pattern):
    store = SlowStore()
    counter, _ = counter_of(f"{pattern}?reads=snapshot", store=store)
    writing = Asked(1, lambda: True)
    thread = threading.Thread(target=counter.handle, args=(writing,))
    thread.start()
    assert store.begun.wait(60)
    assert increment(counter, 0) == 0, "it was answered while a write was under way, without it"
    store.may_end.set()
    assert writing.wait() == 1
    thread.join()
    assert increment(counter, 0) == 1, "what was answered is read"
    counter.close()


@pytest.mark.slow
def test_snapshot_reads_never_go_back_for_one_client(pattern):
    counter, _ = counter_of(f"{pattern}?shards=2&reads=snapshot&sync_us=50")
    stop, gone_back = threading.Event(), []

    def read():
        last = dict.fromkeys(range(KEYS), 0)
        while not stop.is_set():
            for key in last:
                found = increment(counter, 0, key=key)
                if found < last[key]:
                    gone_back.append((key, last[key], found))
                last[key] = found

    def write():
        for number in range(40):
            answered = increment(counter, 1, key=number % KEYS)
            if increment(counter, 0, key=number % KEYS) < answered:
                gone_back.append(("own write", number))

    readers, writers = [[threading.Thread(target=work, daemon=True) for _ in range(2)] for work in (read, write)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join(120)
        assert not thread.is_alive()
    stop.set()
    for thread in readers:
        thread.join(120)
        assert not thread.is_alive()
    assert gone_back == []
    assert counter.close() == 80


@pytest.mark.parametrize("name", sorted(ASYNC_PATTERNS))
def test_on_an_event_loop_it_is_the_same(name):
    async def main():
        arm = parse_arm(f"asyncio/{name}?shards=2&reads=snapshot&hold_us=200", 1)
        state = state_of(arm)
        counter = guarded_async(arm, state, ASYNC_PATTERNS[name])

        async def work(key):
            own = [await counter.increment(1, lambda: True, key) for _ in range(20)]
            assert own == sorted(own)
            assert await counter.increment(0, lambda: True, key) >= own[-1]

        await asyncio.gather(*(work(key) for key in range(KEYS)))
        return await counter.close(), state.increments()

    assert asyncio.run(main()) == (KEYS * 20, dict.fromkeys(range(KEYS), 20))


@pytest.mark.parametrize("arm", ARMS)
def test_the_key_is_on_the_wire_and_comes_back(arm):
    engine = start(parse_arm(arm, 2), "127.0.0.1", 0)
    with grpc.insecure_channel(engine.address) as channel:
        stub = counter_pb2_grpc.incrementCounterStub(channel)

        def ask(**request):
            reply = stub.increment(counter_pb2.incrementBy(**request), timeout=60)
            return reply.key, reply.count

        assert [ask(value=2, key=5), ask(value=1), ask(value=3, key=5)] == [(5, 2), (0, 1), (5, 5)]
        assert [ask(value=0, key=5), ask(value=0), ask(value=0, key=7)] == [(5, 5), (0, 1), (7, 0)]
        for key in (-1, 1_000_000):
            with pytest.raises(grpc.RpcError) as told:
                ask(value=1, key=key)
            assert told.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert told.value.details() == f"key {key} is none; keys go from 0 to 999,999"
        raw = channel.unary_unary("/counter.incrementCounter/increment")
        old = counter_pb2.status(message="Incremented value is 2", count=2).SerializeToString()
        assert raw(counter_pb2.incrementBy(value=1).SerializeToString()) == old, "without a key not a byte is new"
    assert engine.stop(1) == 7
