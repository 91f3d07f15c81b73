"""Fixtures, and which test is of which command: `make quick`, `make test`, `make test-all`."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Before perfkit is imported: temporary files of its own, and with them the lock of who measures on this machine.
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix=f"{worker}-")

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import perfkit
from perfkit.design.plan import Plan
from perfkit.record.results import TrialResult
from perfkit.rig.generators import k6
from tests.support.plans import SMALL, SMALL_COMPARISON, plan_sweep
from tests.support.results import good_result, simulated_trials, varied_results

hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")

NEEDS_LOAD = {"measured", "compared", "lab", "ours"}
"""Fixtures that start load."""


LONG = ("tests/test_browser.py", "tests/test_notebooks.py", "tests/test_cli.py", "tests/analysis/test_comparison.py")
"""Where tests are that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts load by way of a fixture, which `make quick` leaves out."""
    for item in items:
        if NEEDS_LOAD & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.load)
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))  # else one worker would be left alone with them


def pytest_sessionfinish() -> None:
    if worker:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_load_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing slips into `make quick` which would load a machine where others measure."""
    if not request.node.get_closest_marker("load"):
        monkeypatch.setattr(
            k6, "running", lambda *_, **_named: pytest.fail("this test starts load; mark it with pytest.mark.load")
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where all tests ran, print what those of faults saw: fault | what happened | what was kept."""
    if terminalreporter.config.option.markexpr:
        return
    reports = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    if seen := [value for report in reports for name, value in report.user_properties if name == "fault"]:
        terminalreporter.section("fault | what happened | what was kept")
        for line in seen:
            terminalreporter.write_line(str(line))


def _once(factory: pytest.TempPathFactory, name: str, measure: Callable[[Path], Path]) -> Path:
    """Measure a run once for all workers: who comes second waits for it."""
    home = factory.getbasetemp().parent if worker else factory.getbasetemp()
    with (home / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return home / name if (home / name).exists() else measure(home / name)


@pytest.fixture(scope="session")
def simulated_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep in whose place nothing was measured, for tests that read one."""
    with simulated_trials(simulate=varied_results(seed=1)):
        return perfkit.sweep(**SMALL, out=tmp_path_factory.mktemp("runs") / "simulated")


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep, really measured."""
    return _once(tmp_path_factory, "measured", lambda out: perfkit.sweep(**SMALL, out=out))


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small comparison, really measured."""
    return _once(tmp_path_factory, "compared", lambda out: perfkit.compare(**SMALL_COMPARISON, out=out))


@pytest.fixture
def small_plan() -> Plan:
    return plan_sweep(**SMALL)


@pytest.fixture
def result() -> Callable[..., TrialResult]:
    return good_result
