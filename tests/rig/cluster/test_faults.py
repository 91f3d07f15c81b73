"""Every fault of `faults.py` is done, and comes out as `docs/cluster.md` has it."""

import pytest

from tests.conftest import FAULTS_SEEN, ROOT
from tests.faults.bench import fits, table
from tests.rig.cluster.faults import FAULTS, Struck

TABLE = ROOT / "docs/cluster.md"


def test_the_table_has_every_fault_in_order():
    assert list(table(TABLE)) == list(FAULTS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("faults") / "run"


@pytest.mark.load
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_comes_out_as_the_table_has_it(name, lab, run, tmp_path, monkeypatch):
    happened, kept = FAULTS[name](Struck(lab, tmp_path, run, monkeypatch))
    FAULTS_SEEN.append(f"{name} | {happened} | {kept}")
    expected_happened, expected_kept = table(TABLE)[name]
    assert fits(expected_happened, happened), happened
    assert fits(expected_kept, kept), kept
