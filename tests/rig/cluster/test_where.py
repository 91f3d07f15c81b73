import pytest

from perfkit.errors import PlanError
from perfkit.rig import where
from perfkit.rig.bench import Here
from perfkit.rig.cluster.hosts import address_of


def test_without_a_cluster_it_is_this_machine():
    with where.having() as bench:
        assert isinstance(bench, Here)


def test_a_cluster_without_its_extra_is_refused_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr(where, "find_spec", lambda name: None if name == "distributed" else object())
    with pytest.raises(PlanError, match=r"needs distributed; .venv/bin/pip install -e '.\[cluster\]' brings it"):
        with where.having(cluster="ssh:s,g1"):
            pytest.fail("there is none")


def test_a_host_that_serves_is_of_a_cluster():
    with pytest.raises(PlanError, match="server_on='s' is a host of a cluster, and cluster is empty"):
        with where.having(server_on="s"):
            pytest.fail("there is none")


@pytest.mark.parametrize("cluster", ["ssh:s", "ssh:", "ssh:s,,g1"])
def test_ssh_names_two_hosts_at_least(cluster):
    with pytest.raises(PlanError, match="must name two hosts at least"):
        with where.having(cluster=cluster):
            pytest.fail("there is none")


@pytest.mark.parametrize(
    ("worker", "address"), [("tcp://10.0.0.1:4567", "10.0.0.1"), ("tls://[fe80::1]:80", "fe80::1"), ("s:1", "s")]
)
def test_a_worker_is_reached_at_the_host_of_its_address(worker, address):
    assert address_of(worker) == address
