"""Loads of several keys, and with reads: what is proven, what is told apart, and on how many cores."""

from dataclasses import replace

import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import PlanError
from perfkit.record.calls import GROUPS
from perfkit.record.rows import rows
from perfkit.record.validity import flags, is_valid
from perfkit.rig import host
from tests.support import ROOT
from tests.support.plans import plan_sweep, solo
from tests.support.servers import keyed_foreign
from tests.support.trials import measure, own_flags

KEYED = Load(5, 0.4, 1.0, keys=8, zipf=1.2, read_pct=50)


def keyed(arm, load=KEYED):
    return measure(solo(parse_arm(arm, 4), load))


def foreign_arm(tmp_path, reply):
    """A server with keys, which answers as is said."""
    return f"exec:{keyed_foreign(tmp_path, reply)}"


@pytest.mark.load
@pytest.mark.parametrize(
    "arm",
    [
        "mutex?shards=4",
        *(
            pytest.param(one, marks=pytest.mark.full)
            for one in ("inputQ?shards=4&reads=snapshot", "asyncio/inputQ?shards=2")
        ),
    ],
)
def test_reads_are_no_increments_and_each_key_is_proven(arm):
    result = keyed(arm)
    (served,) = result.served
    calls = served.calls
    assert own_flags(result) == set()
    assert set(calls.parts) == {"read", "write", "hot", "cold"}
    assert calls.parts["read"].count + calls.parts["write"].count == calls.acknowledged > 0
    assert calls.parts["hot"].count + calls.parts["cold"].count == calls.acknowledged
    assert served.final_count == sum(acknowledged for acknowledged, _ in calls.writes.values())
    assert 0 < served.final_count < calls.acknowledged_total
    assert max(served.final_by_key, key=lambda key: served.final_by_key[key]) == "0", "the first key is the hot one"
    (row,) = rows(result, complete=True)
    assert row["read_p50_ms"] > 0
    assert row["cold_max_ms"] >= row["cold_p50_ms"] > 0
    # An update that went to another key does not show in the sum.
    first, second = list(served.final_by_key)[:2]
    moved = {**served.final_by_key, first: served.final_by_key[first] - 1, second: served.final_by_key[second] + 1}
    cheated = replace(result, served=(replace(served, final_by_key=moved),))
    assert not is_valid(cheated)
    assert "lost update" in flags(cheated)


@pytest.mark.full
@pytest.mark.load
def test_a_server_of_ones_own_is_asked_for_each_key(tmp_path):
    result = keyed(foreign_arm(tmp_path, "count=count, key=request.key"))
    (served,) = result.served
    assert own_flags(result) == set()
    assert len(served.final_by_key) == 8
    assert sum(served.final_by_key.values()) == served.final_count > 0


@pytest.mark.full
@pytest.mark.load
def test_a_reply_for_another_key_fails_the_trial(tmp_path):
    arm = foreign_arm(tmp_path, "count=count, key=request.key + (count % 10 == 9)")
    result = keyed(arm, replace(KEYED, keys=1, zipf=0.0))
    assert result.served[0].calls.failed_by_status["other key"] > 0
    assert "failures" in flags(result)


@pytest.mark.full
@pytest.mark.load
@pytest.mark.skipif(len(host.usable_cpus()) < 2, reason="one core has no second to give")
def test_servers_on_all_cores_share_the_generators_and_the_trial_says_so():
    cores = len(host.usable_cpus())
    result = keyed("mutex", Load(5, 0.4, 0.8, server_cpus=cores))
    assert result.served[0].usage.cpus == host.usable_cpus()
    assert own_flags(result) == {"shared cores"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"keys": 0}, "keys=0 is no whole number from 1"),
        ({"keys": 10_001}, "keys=10001 is over 10,000; take fewer"),
        ({"zipf": 6, "keys": 4}, "zipf=6 is no number from 0 to 5"),
        ({"read_pct": 100}, "read_pct=100 is no number of per cent from 0 to under 100"),
        ({"keys": 4, "generator": "h2load"}, "generator=h2load and keys=4: only k6 can do that"),
        ({"read_pct": 5, "generator": "h2load"}, "generator=h2load and read_pct=5: only k6 can do that"),
        ({"server_cpus": 2, "pin": False}, "server_cpus=2 and pin=False: unpinned servers have all cores"),
        ({"arms": "native/inputQ?batch=4&shards=2"}, "one owner does everything, so there are no shards"),
        ({"arms": "mutex?reads=dirty"}, "reads='dirty' is none of guard, snapshot"),
        ({"arms": "asyncio/mutex?stages=True"}, "asyncio/mutex has no option 'stages'"),
        ({"rate": "500,500", "method": "solo"}, "rate='500,500' must name each once"),
        ({"rate": "500,1000"}, "rate=500,1000 is of solo trials, and method=turns"),
        ({"slo_ms": 0}, "slo_ms=0 is no number from 0.001 to 10000"),
    ],
)  # fmt: skip
def test_what_no_load_can_be_is_refused_by_its_value(asked, message):
    with pytest.raises(PlanError, match=message):
        plan_sweep(**asked)


def test_what_counts_keys_here_counts_them_in_k6():
    assert f"const GROUPS = {GROUPS};" in (ROOT / "k6/keys.js").read_text()
