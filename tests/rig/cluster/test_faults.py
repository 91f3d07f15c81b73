"""Every fault of `faults.py` is done, and comes out as `docs/cluster.md` has it."""

import pytest

from tests.faults.bench import comes_out, rows, table
from tests.rig.cluster.faults import FAULTS, Struck
from tests.support import ROOT

TABLE = ROOT / "docs/cluster.md"


def test_the_table_has_every_fault_in_order():
    assert list(table(TABLE)) == list(FAULTS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("faults") / "run"


@pytest.mark.parametrize("name", rows(FAULTS))
def test_a_fault_comes_out_as_the_table_has_it(name, lab, run, tmp_path, request):
    comes_out(TABLE, name, FAULTS[name].do(Struck(lab, tmp_path, run)), request)
