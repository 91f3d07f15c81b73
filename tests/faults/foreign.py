"""Servers of the user's own."""

import shutil
import sys

import psutil
import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import PerfkitError
from perfkit.record.validity import flags
from perfkit.rig import generators, trial
from tests.conftest import OF_THE_MINUTE, plan_compare, solo
from tests.faults.bench import Bench, fault
from tests.rig.test_foreign import SERVER as FOREIGN


def _foreign(bench: Bench, counting: str, generator: str = "k6") -> tuple[str, str]:
    path = bench.folder / "server.py"
    path.write_text(FOREIGN.replace("self.count += request.value", counting).replace(
        "MESSAGE", 'f"Incremented value is {self.count}"'))  # fmt: skip
    return _flagged(f"exec:{sys.executable} {path} {{port}}", generator)


def _flagged(arm: str, generator: str = "k6") -> tuple[str, str]:
    plan = plan_compare(b=arm, vus=3, turn_ms=20, duration_s=1, warmup_s=0.3, generators=generator)
    (planned,) = plan.block(0)
    result, _ = trial.measure(planned, 0, generators.find([planned.load]), trial.place(pin=True))
    (flag,) = set(flags(result)) - {
        "unsaturated",
        "generator limited",
        "late turns",
        "warm-up too short",
        *OF_THE_MINUTE,
    }
    return f"the trial is flagged: {flag}", "the trial, which counts for nothing"


@fault("a server that loses 1 update in 100,000")
def _(bench: Bench) -> tuple[str, str]:
    seen = "self.seen = getattr(self, 'seen', 0) + request.value"
    return _foreign(bench, f"{seen}; self.count += (self.seen % 100_000 != 200) * request.value")  # the first one soon


@fault("a server that counts everything twice")
def _(bench: Bench) -> tuple[str, str]:
    return _foreign(bench, "self.count += 2 * request.value")


@fault("h2load, which sees no gRPC status: a server fails 1 call in 100 in its trailers")
def _(bench: Bench) -> tuple[str, str]:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed (apt install nghttp2-client)")
    failing = "context.abort(grpc.StatusCode.INTERNAL, 'no')"
    return _foreign(bench, f"self.count += request.value; self.count % 100 == 50 and {failing}", "h2load")


@fault("a server's command that only asks another process to serve, as a container's client does")
def _(bench: Bench) -> tuple[str, str]:
    path = bench.folder / "server.py"
    path.write_text(FOREIGN.replace("MESSAGE", 'f"Incremented value is {self.count}"'))
    served = f"(setsid timeout 30 {sys.executable} {path} {{port}} >/dev/null 2>&1 &)"
    try:
        return _foreign_start(f"/bin/sh -c '{served}; exec sleep 30'")
    finally:
        for one in psutil.process_iter(["cmdline"]):
            if str(path) in (one.info["cmdline"] or ()):
                one.kill()


def _foreign_start(command: str) -> tuple[str, str]:
    plan = plan_compare(b=f"exec:{command}", vus=3, turn_ms=20, duration_s=1, warmup_s=0.3)
    with pytest.raises(PerfkitError) as told:
        trial.measure(plan.block(0)[0], 0, generators.find(), trial.place(pin=True, start_s=3.0))
    return str(told.value), "no trial was made of it"


@fault("a server's command that ends at once")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("/bin/sh -c 'echo no licence {port}; exit 3'")


@fault("a server's command that never answers")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("sleep {port}")


@fault("a server's command that does not exist")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("/no/such/server {port}")


KEYED = Load(3, 0.3, 0.8, keys=4, read_pct=50)

COUNTING = "count = self.counts[request.key] = self.counts.get(request.key, 0) + request.value"
"""What a server with keys does instead of the other's one count."""


def _keyed(bench: Bench, reply: str) -> tuple[str, str]:
    path = bench.folder / "server.py"
    path.write_text(
        FOREIGN.replace("count, lock = 0", "counts, lock = {}")
        .replace("self.count += request.value", COUNTING)
        .replace("message=MESSAGE", f"message=f'Incremented value is {{count}}', {reply}")
    )
    arm = parse_arm(f"exec:{sys.executable} {path} {{port}}", 1)
    try:
        result, _ = trial.measure(solo(arm, KEYED), 0, generators.find(), trial.place(pin=True))
    except PerfkitError as error:
        return str(error), "no trial was made of it"
    (flag,) = set(flags(result)) - {"generator limited", *OF_THE_MINUTE}
    return f"the trial is flagged: {flag}", "the trial, which counts for nothing"


@fault("a server that ignores keys, as old ones do (`keys=4`)")
def _(bench: Bench) -> tuple[str, str]:
    return _keyed(bench, "count=count")


@fault("a server whose reads go back in time (`read_pct=50`)")
def _(bench: Bench) -> tuple[str, str]:
    return _keyed(bench, "count=count - (count % 10 == 9) * 5, key=request.key")
