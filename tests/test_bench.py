"""The servers that the benchmarks bring with them serve calls."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from perfkit._proto import counter_pb2, counter_pb2_grpc
from perfkit.design.arms import parse_arm
from perfkit.subject.engines import threads
from perfkit.subject.patterns import PATTERNS
from perfkit.subject.serve import start
from tests.support import ROOT

WAYS = ["reply-queue", "reply-lock", "drained", "yielding", "combining", "handed-over"]


@pytest.fixture
def hop_server(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    module = importlib.import_module("hop_server")
    assert [*module.WAYS, module.HANDED_OVER] == WAYS
    return module


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_the_owner_and_back_counts_each_call_once(way, hop_server, monkeypatch):
    if way == hop_server.HANDED_OVER:
        monkeypatch.setattr(threads, "Workers", hop_server.HandedOver)
    else:
        monkeypatch.setitem(PATTERNS, "inputQ", hop_server.WAYS[way])
    engine = start(parse_arm("threads/mutex" if way == hop_server.HANDED_OVER else "threads/inputQ", 4), "127.0.0.1", 0)
    with grpc.insecure_channel(engine.address) as channel, ThreadPoolExecutor(8) as pool:
        call = counter_pb2_grpc.incrementCounterStub(channel).increment
        told = list(pool.map(lambda _: call(counter_pb2.incrementBy(value=1), timeout=60).count, range(200)))
    assert sorted(told) == list(range(1, 201))
    assert engine.stop(1) == 200
