"""Bad input."""

import resource
import subprocess
import sys

import pytest

from perfkit import notebooks
from perfkit.errors import PerfkitError
from tests.faults.bench import PLAN, QUICK, Bench, fault


def _refusal(name: str, **changes: object) -> None:
    fault(name, QUICK)(lambda bench: bench.refused(**changes))


_refusal("no VU (`vus=0`)", vus=0)
_refusal("no level (`vus=[]`)", vus=[])
_refusal("a level twice (`vus=[10, 10]`)", vus=[10, 10])
_refusal("more VUs than open files", vus=100_000_000)
_refusal("no time (`duration_s=0`)", duration_s=0)
_refusal("no block (`repeats=0`)", repeats=0)
_refusal("an unknown arm", arms="mutex,spin")
_refusal("a shell command as a number", vus="$(touch /tmp/x)")
_refusal("no k6", k6="/no/such/k6")
_refusal("a folder that can't be made", out="/dev/null/run")
_refusal("a skew of one key (`zipf=1`)", zipf=1)
_refusal('a rate too low for its p99 (`rate="10,2000"`)', rate="10,2000")
_refusal("more cores than there are (`server_cpus=4096`)", server_cpus=4096)
_refusal("stages of an engine that can't be watched", stages=True, arms="asyncio/mutex")


@fault("a misspelt parameter (`vuss`)", QUICK)
def _(_bench: Bench) -> tuple[str, str]:
    with pytest.raises(PerfkitError) as told:
        notebooks.check_parameters("sweep", ["# Parameters\nvuss = 500\n"])
    return str(told.value), "nothing was started"


@fault("a k6 that is too old", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    path = bench.folder / "k6"
    path.write_text("#!/bin/sh\necho 'k6 v0.57.0 (go1.23)'\n")
    path.chmod(0o755)
    return bench.refused(k6=str(path))


@fault("a limit of 64 open files")
def _(bench: Bench) -> tuple[str, str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import perfkit; perfkit.sweep(**{PLAN!r}, out={str(bench.out)!r})"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert not bench.out.exists()
    return told.stderr.strip().splitlines()[-1].partition(": ")[2], "nothing was started"
