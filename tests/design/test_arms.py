import json
import sys
from dataclasses import asdict
from importlib import import_module

import pytest

from perfkit.design.arms import Arm, parse_arm, parse_arms, told_apart
from perfkit.design.engines import DURABLE, ENGINES, LOOPS, PATTERNS
from perfkit.errors import PlanError
from perfkit.subject.counters_async import PATTERNS as ASYNC_COUNTERS
from perfkit.subject.patterns import PATTERNS as COUNTERS


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("inputQ", Arm("threads", "inputQ", 10)),
        ("inputq", Arm("threads", "inputQ", 10)),
        (" threads/mutex ", Arm("threads", "mutex", 10)),
        ("threads/mutex?workers=4", Arm("threads", "mutex", 4)),
        ("mutex?burn_us=10", Arm("threads", "mutex", 10, 10)),
        ("mutex?hold_us=500&burn_us=10", Arm("threads", "mutex", 10, 10, hold_us=500)),
        ("asyncio/mutex", Arm("asyncio", "mutex", loop="uvloop")),
        ("asyncio/inputQ?loop=asyncio", Arm("asyncio", "inputQ", loop="asyncio")),
        ("native/inputQ", Arm("native", "inputQ", 10)),
        ("native/inputQ?batch=64", Arm("native", "inputQ", batch=64)),
        ("inputQ?batch=64", Arm("threads", "inputQ", 10, batch=64)),
        ("leader", Arm("threads", "leader", 10, batch=1000)),
        ("native/combining?batch=8&sync_us=1000", Arm("native", "combining", 10, batch=8, sync_us=1000)),
        ("mutex?store=sqlite", Arm("threads", "mutex", 10, store="sqlite", sync="full")),
        ("mutex?sync=off&store=sqlite", Arm("threads", "mutex", 10, store="sqlite", sync="off")),
        ("mutex?store=append&work_us=5", Arm("threads", "mutex", 10, store="append", work_us=5)),
        ("mutex?store=memory", Arm("threads", "mutex", 10)),
    ],
)
def test_an_arm_reads_back_from_its_name(text, arm):
    assert parse_arm(text, workers=10) == arm
    assert parse_arm(arm.name, workers=1) == arm
    assert Arm(**json.loads(json.dumps(asdict(arm)))) == arm


def test_the_name_of_an_arm_has_just_the_options_that_count():
    assert parse_arm("asyncio/mutex?loop=asyncio", workers=10).name == "asyncio/mutex?loop=asyncio"
    assert parse_arm("native/inputQ?batch=8&burn_us=5", workers=10).name == "native/inputQ?batch=8&burn_us=5"
    assert Arm("asyncio", "mutex").name == "asyncio/mutex"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tornado/mutex", "an engine (threads, asyncio, native)"),
        ("threads/mutex?batch=4", "threads/mutex has no option 'batch'; it has workers, stages, shards, reads"),
        ("native/mutex?batch=4", "native/mutex has no option 'batch'"),
        ("asyncio/mutex?workers=4", "asyncio/mutex has no option 'workers'; it has loop, shards, reads, store"),
        ("native/inputQ?batch=0", "batch='0' is no whole number from 1"),
        ("native/inputQ?batch=4&workers=2", "with batch, one owner does everything, so there are no workers"),
        ("asyncio/mutex?loop=trio", "loop='trio' is no event loop; write loop=uvloop or loop=asyncio"),
        ("threads/mutex?workers=0", "workers='0' is no whole number from 1"),
        ("threads/mutex?hold_us=-1", "hold_us='-1' is no whole number from 0"),
        ("asyncio/leader", "asyncio has no leader: on one event loop no other thread waits or is free; it has mutex"),
        ("mutex?store=redis", "store='redis' is none of memory, sqlite, append"),
        ("mutex?store=sqlite&sync=maybe", "sync='maybe' is none of full, normal, off"),
        ("mutex?sync=full", "sync is SQLite's, and store=memory; say store=sqlite, or leave sync out"),
        ("mutex?store=append&sync=full", "sync is SQLite's, and store=append"),
        ("mutex?store=append&sync_us=9", "sync_us simulates a device, and store=append has a real one; leave out one"),
    ],
)  # fmt: skip
def test_what_makes_no_arm_is_refused_with_what_does(text, message):
    with pytest.raises(PlanError) as raised:
        parse_arm(text, workers=10)
    assert message in str(raised.value)


@pytest.mark.parametrize("engine", [name for name, facts in ENGINES.items() if facts.module])
def test_an_engine_that_is_not_installed_is_named_with_the_command_and_changes_nothing_else(monkeypatch, engine):
    monkeypatch.setitem(sys.modules, ENGINES[engine].module, None)
    with pytest.raises(PlanError) as raised:
        parse_arm(f"{engine}/mutex", workers=10)
    assert f"engine {engine} is not installed; install it: .venv/bin/pip install -e '.[{engine}]'" in str(raised.value)
    for other in set(ENGINES) - {engine}:
        assert parse_arm(f"{other}/mutex", workers=10).engine == other


def test_without_uvloop_an_arm_runs_on_asyncios_own_loop_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert parse_arm("asyncio/mutex", workers=10).name == "asyncio/mutex?loop=asyncio"
    with pytest.raises(PlanError, match=r"loop='uvloop' is not installed; install it: .*\[uvloop\]"):
        parse_arm("asyncio/mutex?loop=uvloop", workers=10)


def test_what_can_be_asked_for_can_be_served():
    assert set(PATTERNS) == set(COUNTERS)
    for engine, facts in ENGINES.items():
        assert set(facts.options) == set(ASYNC_COUNTERS if engine == "asyncio" else COUNTERS)
        assert callable(import_module(f"perfkit.subject.engines.{engine}").start)
    for store in DURABLE:
        assert callable(import_module(f"perfkit.subject.stores.{store}").open_store)
    for loop in LOOPS:
        assert callable(import_module(loop).new_event_loop)


def test_a_command_may_say_where_it_runs_and_in_which_environment():
    arm = parse_arm("exec?folder=../old&env=a.env:./server --port {port}", 10)
    assert (arm.command, arm.folder, arm.env) == ("./server --port {port}", "../old", "a.env")
    assert parse_arm(arm.name, 10) == arm
    assert arm.subject == "exec?folder=../old&env=a.env:./server --port {port}"
    assert parse_arm("exec:./server {port}", 10).subject == "./server {port}"


def test_one_command_in_two_folders_is_told_apart_by_them():
    old, new = (parse_arm(f"exec?folder={one}:./server {{port}}", 10) for one in ("old", "new"))
    assert told_apart(old, new) == ("exec:old", "exec:new")


def test_commands_with_options_stand_in_a_list_with_commas():
    written = "exec?folder=a:./s --x=1,2 {port},exec:./s {port},mutex"
    assert [arm.name for arm in parse_arms(written, 10)] == [
        "exec?folder=a:./s --x=1,2 {port}", "exec:./s {port}", "threads/mutex?workers=10",
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["exec?speed=9:./s {port}", "exec?folder=a:./s", "exec?folder=a"])
def test_a_command_with_what_is_not_there_is_refused(written):
    with pytest.raises(PlanError, match=r"has no option 'speed'; it has folder, env|does not say where the port goes"):
        parse_arm(written, 10)
