"""Servers of the user's own."""

import shutil

import psutil
import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import PerfkitError
from perfkit.rig import generators, trial
from tests.faults.bench import TEST, Bench, fault
from tests.support.plans import plan_compare, solo
from tests.support.servers import foreign, keyed_foreign
from tests.support.trials import measure, own_flags


def _counting(bench: Bench, counting: str, generator: str = "k6") -> tuple[str, str]:
    command, path = foreign(bench.folder), bench.folder / "server.py"
    path.write_text(path.read_text().replace("self.count += request.value", counting))
    plan = plan_compare(b=f"exec:{command}", vus=3, turn_ms=20, duration_s=1, warmup_s=0.3, generators=generator)
    (flag,) = own_flags(measure(plan.block(0)[0]))
    return f"the trial is flagged: {flag}", "the trial, which counts for nothing"


@fault("a server that loses 1 update in 100,000")
def _(bench: Bench) -> tuple[str, str]:
    seen = "self.seen = getattr(self, 'seen', 0) + request.value"
    return _counting(bench, f"{seen}; self.count += (self.seen % 100_000 != 5) * request.value")  # the first one soon


@fault("a server that counts everything twice", TEST)
def _(bench: Bench) -> tuple[str, str]:
    return _counting(bench, "self.count += 2 * request.value")


@fault("h2load, which sees no gRPC status: a server fails 1 call in 10 in its trailers")
def _(bench: Bench) -> tuple[str, str]:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed (apt install nghttp2-client)")
    failing = "context.abort(grpc.StatusCode.INTERNAL, 'no')"
    return _counting(bench, f"self.count += request.value; self.count % 10 == 5 and {failing}", "h2load")


@fault("a server's command that only asks another process to serve, as a container's client does")
def _(bench: Bench) -> tuple[str, str]:
    served = f"(setsid timeout 60 {foreign(bench.folder)} >/dev/null 2>&1 &)"
    try:
        return _foreign_start(f"/bin/sh -c '{served}; exec sleep 60'")
    finally:
        for one in psutil.process_iter(["cmdline"]):
            if str(bench.folder / "server.py") in (one.info["cmdline"] or ()):
                one.kill()


def _foreign_start(command: str, start_s: float = 30.0) -> tuple[str, str]:
    plan = plan_compare(b=f"exec:{command}", vus=3, turn_ms=20, duration_s=1, warmup_s=0.3)
    with pytest.raises(PerfkitError) as told:
        trial.measure(plan.block(0)[0], 0, generators.find(), trial.place(pin=True, start_s=start_s))
    return str(told.value), "no trial was made of it"


@fault("a server's command that ends at once")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("/bin/sh -c 'echo no licence {port}; exit 3'")


@fault("a server's command that never answers")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("sleep {port}", start_s=3.0)


@fault("a server's command that does not exist")
def _(_bench: Bench) -> tuple[str, str]:
    return _foreign_start("/no/such/server {port}")


KEYED = Load(3, 0.3, 0.8, keys=4, read_pct=50)


def _keyed(bench: Bench, reply: str) -> tuple[str, str]:
    arm = parse_arm(f"exec:{keyed_foreign(bench.folder, reply)}", 1)
    try:
        (flag,) = own_flags(measure(solo(arm, KEYED)))
    except PerfkitError as error:
        return str(error), "no trial was made of it"
    return f"the trial is flagged: {flag}", "the trial, which counts for nothing"


@fault("a server that ignores keys, as old ones do (`keys=4`)")
def _(bench: Bench) -> tuple[str, str]:
    return _keyed(bench, "count=count")


@fault("a server whose reads go back in time (`read_pct=50`)")
def _(bench: Bench) -> tuple[str, str]:
    return _keyed(bench, "count=count - (count % 3 == 2) * 2, key=request.key")
