"""Trials on several hosts, against trials on one."""

import gzip
import json
import sys

import pytest
from distributed import Client

import perfkit
from perfkit.cli import main
from perfkit.errors import PlanError
from perfkit.record.load import load_environment, read_results
from perfkit.record.merging import GRID
from perfkit.record.rows import PERCENTILES
from perfkit.rig.cluster.connect import connected
from perfkit.rig.where import having
from perfkit.studies import sweep
from tests.support import ROOT
from tests.support.lab import HOSTS, LOADING, SCHEDULER
from tests.support.trials import own_flags

pytestmark = [pytest.mark.load, pytest.mark.usefixtures("lab")]

SWEEP = {"vus": [7], "arms": "mutex", "method": "solo", "duration_s": 5, "warmup_s": 0.3, "repeats": 1}


def test_the_same_sweep_gives_the_same_columns_and_exact_counts(tmp_path):
    run = perfkit.sweep(**SWEEP, cluster=SCHEDULER, server_on="s", out=tmp_path / "cluster")
    there, here = perfkit.load(run), perfkit.load(perfkit.sweep(**SWEEP, out=tmp_path / "here"))
    assert list(there.columns) == list(here.columns)
    assert own_flags(there) == set()
    for result in read_results(run, mend=False):
        (served,) = result.served
        assert served.final_count == served.calls.acknowledged_total >= served.calls.acknowledged > 0
        assert [one.host for one in result.generators] == list(LOADING)
        assert served.calls.latency.count == served.calls.acknowledged
    # Placed where they are wanted.
    assert set(there["generator_hosts"]) == {"g1; g2"}
    environment = load_environment(run)
    assert (environment.host, [one.host for one in environment.hosts]) == ("s", list(LOADING))
    assert "50" in set(there["percentiles_ms"].iloc[0]) & set(here["percentiles_ms"].iloc[0])
    assert (there["clock_error_ms"] >= 0).all()
    assert (there["start_spread_ms"] >= 0).all()


def summaries(run):
    """Give, trial by trial, what the k6 of each host said."""
    for path in sorted((run / "k6").glob("*.json.gz")):
        told = json.loads(gzip.decompress(path.read_bytes()))
        yield told if isinstance(told, list) else [told]


def counted(summary, metric):
    return summary["metrics"][f"{metric}{{scenario:server0,phase:measure}}"]["values"]["count"]


@pytest.mark.full
def test_vus_and_a_rate_are_shared_exactly_and_all_hosts_distributions_are_kept(tmp_path):
    asked = {**SWEEP, "rate": 40}
    run = perfkit.sweep(**asked, cluster=SCHEDULER, server_on="s", out=tmp_path / "run")
    for hosts in summaries(run):
        assert [one["metrics"]["vus_max"]["values"]["max"] for one in hosts] == [4, 3]
        sent = [counted(one, "sent") for one in hosts]
        assert 0 < sum(sent) <= 220, "the window may cut through one call"
        assert min(sent) > 0
        for one in hosts:
            values = one["metrics"]["grpc_req_duration{scenario:server0,phase:measure,status:0}"]["values"]
            assert {f"p({percentile})" for percentile in GRID} <= set(values)
    for result in read_results(run, mend=False):
        latency = result.served[0].calls.latency
        for percentile in PERCENTILES.values():
            if percentile in latency.percentiles_ms:
                low, high = latency.brackets_ms[percentile]
                assert low <= latency.percentiles_ms[percentile] <= high


@pytest.mark.full
def test_by_turns_the_servers_host_stops_and_continues_them(tmp_path):
    plan = sweep.STUDY.plan(vus=[7], duration_s=1, warmup_s=0.3, repeats=1)
    loads = [cell.load for cell in plan.cells]
    with having(loads, cluster=SCHEDULER, server_on="s") as bench, bench.session(plan, tmp_path) as measure:
        result, _ = measure(next(one for one in plan.block(0) if one.method == "turns"), 0)
    assert [one.final_count for one in result.served] == [one.calls.acknowledged_total for one in result.served]
    assert 0 < sum(one.own_s for one in result.served) <= 1
    assert result.turns.count > 0
    assert own_flags(result) == set()


def test_doctor_looks_at_every_host(capsys):
    assert main(["doctor", "--cluster", SCHEDULER, "--server-on", "s"]) == 0
    said = capsys.readouterr().out
    for host in HOSTS:
        for check in ("reach", "k6", "clock", "open files"):
            assert f"{host} {check}" in said
    assert "ok   alike" in said
    assert "LOOK apart" in said, "they are namespaces of one machine"


@pytest.mark.full
def test_a_client_of_ones_own_and_a_scheduler_file_are_clusters_too(tmp_path):
    (tmp_path / "scheduler.json").write_text(json.dumps({"type": "Scheduler", "id": "1", "address": SCHEDULER}))
    with Client(SCHEDULER) as client:
        for cluster in (client, str(tmp_path / "scheduler.json")):
            with connected(cluster, "g2") as hosts:
                assert [one.name for one in hosts.all] == ["g2", "g1", "s"]
                assert len(hosts.ask_all("now")) == 3
        assert client.status == "running", "it is its owner's"


@pytest.mark.full
def test_h2load_loads_from_several_hosts_too(tmp_path):
    run = perfkit.sweep(**SWEEP, generator="h2load", cluster=SCHEDULER, server_on="s", out=tmp_path / "run")
    for result in read_results(run, mend=False):
        (served,) = result.served
        assert served.calls.acknowledged_total <= served.final_count <= served.calls.sent_total
        assert served.calls.cut_off_total <= 7
    assert own_flags(perfkit.load(run)) == set()


@pytest.mark.full
def test_a_method_of_ones_own_is_known_on_every_host(tmp_path):
    """Only the servers' host has the server, only the coordinator its requests."""
    server = f"exec:{sys.executable} {ROOT}/examples/greeter/server.py --host {{host}} --port {{port}}"
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"name": "x"}\n{"name": "y"}\n')
    asked = {**SWEEP, "arms": server, "call": "greeter.Greeter/Greet", "request": str(requests), "expect": "text"}
    table = perfkit.load(perfkit.sweep(**asked, cluster=SCHEDULER, server_on="s", out=tmp_path / "run"))
    assert own_flags(table) == {"count not proven"}
    assert (table["acknowledged"] > 0).all()
    with pytest.raises(PlanError, match=r"service greeter\.Greeter has no method Hail"):
        perfkit.sweep(
            **{**asked, "call": "greeter.Greeter/Hail"}, cluster=SCHEDULER, server_on="s", out=tmp_path / "no"
        )
