"""Every fault of `faults.py` is done, and comes out as `docs/faults.md` has it."""

import pytest

from tests.faults import FAULTS, Bench
from tests.faults.bench import comes_out, rows, table
from tests.support import ROOT

TABLE = ROOT / "docs/faults.md"


def test_the_table_has_every_fault_in_order_and_they_are_thirty_or_more():
    assert list(table(TABLE)) == list(FAULTS)
    assert len(FAULTS) >= 30


@pytest.mark.parametrize("name", rows(FAULTS))
def test_a_fault_comes_out_as_the_table_has_it(name, tmp_path, monkeypatch, request):
    comes_out(TABLE, name, FAULTS[name].do(Bench(tmp_path, monkeypatch)), request)
