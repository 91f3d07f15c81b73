"""Every fault of `faults.py` is done, and comes out as `docs/faults.md` has it."""

import pytest

import perfkit
from tests.conftest import ROOT
from tests.faults import FAULTS, Bench
from tests.faults.bench import PLAN, comes_out, table

TABLE = ROOT / "docs/faults.md"


def test_the_table_has_every_fault_in_order_and_they_are_thirty_or_more():
    assert list(table(TABLE)) == list(FAULTS)
    assert len(FAULTS) >= 30


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    return perfkit.sweep(**PLAN, out=tmp_path_factory.mktemp("faults") / "run")


@pytest.mark.load
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_comes_out_as_the_table_has_it(name, tmp_path, finished_run, monkeypatch, descendants):
    comes_out(TABLE, name, FAULTS[name](Bench(tmp_path, finished_run, monkeypatch, descendants)))
