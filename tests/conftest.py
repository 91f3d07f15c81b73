"""What several test files use."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

import perfkit
from perfkit._proto import counter_pb2_grpc
from perfkit.design.arms import Arm
from perfkit.design.plan import SOLO, A, Load, Plan, Seat, Trial
from perfkit.record.calls import Calls, Distribution
from perfkit.record.results import Generating, Served, TrialResult, Usage
from perfkit.record.validity import flags
from perfkit.rig import generators, trial
from perfkit.rig.generators import k6
from perfkit.studies import compare, sweep
from perfkit.subject.stores.disk import IN_MEMORY, filesystem

ROOT = Path(__file__).parent.parent

SMALL = {"vus": "2,5", "method": "solo", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 2}
"""A sweep of a dozen seconds."""

SMALL_COMPARISON = {"vus": 5, "duration_s": 0.7, "warmup_s": 0.3, "budget_s": 5}


OF_THE_MINUTE = {"stolen time", "busy cores"}
"""Flags that are of the machine where tests run, at that moment."""

FAULTS_SEEN: list[str] = []
"""What test_faults.py saw, printed at the end: fault | what happened | what was kept."""


NEEDS_LOAD = {"measured", "compared", "lab", "ours", "slow_engine"}
"""Fixtures that start load."""


WAITING = (
    "tests/test_browser.py",
    "tests/test_notebooks.py",
    "tests/test_installed.py",
    "tests/studies/",
    "tests/rig/cluster/test_ssh.py",
    "tests/rig/cluster/test_tls.py",
)
"""Where tests that take load wait for kernels, browsers and hosts for most of their time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts load by way of a fixture, which `make quick` leaves out; and what waits meanwhile."""
    for item in items:
        if NEEDS_LOAD & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.load)
        if item.nodeid.startswith(WAITING):
            item.add_marker(pytest.mark.waiting)


@pytest.fixture(autouse=True)
def _no_load_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing slips into `make quick` which would load a machine where others measure."""
    if not request.node.get_closest_marker("load"):
        monkeypatch.setattr(
            k6, "running", lambda *_, **_named: pytest.fail("this test starts load; mark it with pytest.mark.load")
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FAULTS_SEEN:
        terminalreporter.section("fault | what happened | what was kept")
        for line in FAULTS_SEEN:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep, really measured, once for all tests that read one."""
    return perfkit.sweep(**SMALL, out=tmp_path_factory.mktemp("runs") / "measured")


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small comparison, really measured."""
    folder = tmp_path_factory.mktemp("runs") / "compared"
    return perfkit.compare(**SMALL_COMPARISON, out=folder)


def plan_sweep(**values: object) -> Plan:
    return sweep.STUDY.plan(**values)


def plan_compare(**values: object) -> Plan:
    return compare.STUDY.plan(**values)


@pytest.fixture
def small_plan():
    return plan_sweep(**SMALL)


def command_of(pid: int) -> str:
    """Return a process's command line; empty where it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def on_disk(folder: Path) -> Path:
    """Return a folder that is on a disk: this one, or where temporary ones are in memory, one in the checkout."""
    if filesystem(folder) not in IN_MEMORY:
        return folder
    return Path(tempfile.mkdtemp(prefix="test-", dir=ROOT / "data/runs"))


@contextmanager
def served(arm: str, folder: Path) -> Iterator[tuple[counter_pb2_grpc.incrementCounterStub, subprocess.Popen[str]]]:
    """Serve an arm that has its files in a folder; give what calls it, and the process."""
    argv = [sys.executable, "-m", "perfkit", "serve", f"--arm={arm}", "--port=0", f"--folder={folder}"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        with grpc.insecure_channel(json.loads(line)["address"]) as channel:
            yield counter_pb2_grpc.incrementCounterStub(channel), process
    finally:
        process.kill()
        process.communicate()


DISTURBED = {"paused", "disturbed turns"}
"""Flags of trials that other tests may have disturbed, with which nothing counts."""


def undisturbed(one: Trial, *, pin: bool = True, also: Collection[str] = ()) -> TrialResult:
    """Measure a trial; once or twice more where other tests disturbed it, as flags say, `also` these."""
    for _ in range(3):
        result, _ = trial.measure(one, 0, generators.find([one.load]), trial.place(pin=pin))
        if not {*DISTURBED, *also} & set(flags(result)):
            break
    return result


def undisturbed_run(measure: Callable[[Path], object], home: Path, *methods: str) -> Path:
    """Measure a run into a folder in `home` that it is given; again where other tests disturbed trials by `methods`."""
    for number in range(3):
        folder = home / f"run-{number}"
        measure(folder)
        seen = "; ".join(flag for method in methods for flag in perfkit.load(folder, method)["flags"])
        if not DISTURBED & set(seen.split("; ")):
            break
    return folder


def solo(arm: Arm, load: Load, block: int = 0) -> Trial:
    return Trial(block, SOLO, (Seat(A, arm),), load)


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


@pytest.fixture
def descendants() -> Callable[[int], set[int]]:
    """Find the processes that descend from one, by pid."""

    def find(ancestor: int) -> set[int]:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue  # it ended meanwhile
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        found = {ancestor}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {ancestor}

    return find
