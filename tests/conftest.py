"""Fixtures, and which test is of which command: `make quick`, `make test`, `make test-all`."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Before perfkit is imported: temporary files of its own, and with them the lock of who measures on this machine.
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix=f"{worker}-")

import perfkit
from perfkit.design.arms import Arm
from perfkit.design.plan import Load, Plan, Trial
from perfkit.record.calls import Calls, Distribution
from perfkit.record.results import Generating, Served, TrialResult, Usage
from perfkit.rig.generators import k6
from tests.support.plans import SMALL, SMALL_COMPARISON, plan_sweep, solo

NEEDS_LOAD = {"measured", "compared", "lab", "ours"}
"""Fixtures that start load."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts load by way of a fixture, which `make quick` leaves out."""
    for item in items:
        if NEEDS_LOAD & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.load)


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
    """Print what the tests of faults saw: fault | what happened | what was kept."""
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
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep, really measured, once for all tests that read one."""
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
    """Make results as a good trial gives them, all servers alike, with what is named changed; CPU is by the second."""

    def make(
        trial: Trial | None = None,
        *,
        attempt: int = 0,
        cpu_s: float | tuple[float, ...] = 0.9,
        k6_cpu_s: float = 0.5,
        took_s: float = 3.0,
        window_s: float = 0.0,
        **calls,
    ):
        trial = trial or solo(Arm("threads", "mutex", 10), Load(vus=10, warmup_s=1, duration_s=1))
        window = window_s or trial.load.duration_s
        each_cpu_s = cpu_s if isinstance(cpu_s, tuple) else (cpu_s,) * len(trial.seats)
        percentiles = {"50": 1.0, "90": 2.0, "95": 2.5, "99": 4.0}
        good = Calls(
            acknowledged=1000,
            failed_by_status={},
            acknowledged_total=2000,
            sent=1000,
            sent_total=2000,
            dropped_total=0,
            late_connections=0,
            data_sent_bytes=60_000,
            data_received_bytes=110_000,
            latency=Distribution(1000, 1.2, 0.2, 9.0, percentiles),
            iteration=Distribution(1000, 1.3, 0.3, 9.5, percentiles),
        )
        final_count = calls.pop("final_count", 2000)
        return TrialResult(
            trial=trial,
            attempt=attempt,
            started_at="2026-01-01T00:00:00.000+00:00",
            took_s=took_s,
            served=tuple(
                Served(replace(good, **calls), final_count, Usage(one * window, window, (0,), 50_000_000))
                for one in each_cpu_s
            ),
            generators=(Generating(Usage(k6_cpu_s * window, window, (1,), 80_000_000), 1),),
        )

    return make
