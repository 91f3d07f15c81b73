"""Factors: what arms and loads can differ in. Each is a column of the tables under its own name, and can be an axis."""

from dataclasses import dataclass

from perfkit.design import engines, reading
from perfkit.design.reading import Reader
from perfkit.errors import PlanError


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that arms or loads can differ in."""

    name: str
    unit: str
    """behind a number of it, as in "20 VUs"; empty: none"""
    definition: str
    """of its column"""
    read: Reader

    @property
    def axis(self) -> str:
        """What an axis of it is labelled."""
        what = self.definition.partition(";")[0].removesuffix(f", {self.unit}")
        return f"{what} ({self.unit})" if self.unit else what


def _loop(name: str, value: object) -> str:
    installed, loop = engines.installed_loops(), str(value)
    if loop in installed:
        return loop
    if loop in engines.LOOPS:
        raise PlanError(f"{name}={loop!r} is not installed; {engines.install(loop)}")
    known = " or ".join(f"loop={known}" for known in engines.LOOPS)
    raise PlanError(f"{name}={loop!r} is no event loop; write {known}")


MOST_KEYS = 10_000
"""Each VU knows how often each is to be asked for."""

K6, H2LOAD = "k6", "h2load"
"""Load generators: the project's own, and a second instrument that costs a tenth of the CPU a call."""

LOAD_FACTORS = (
    Factor("vus", "VUs", "virtual users at each server", reading.whole(1)),
    Factor(
        "rate", "calls/s", "calls offered a second; missing: closed model",
        reading.optional(reading.whole(1)),
    ),
    Factor("connect_per_iteration", "", "whether each iteration connected and closed", reading.yes_or_no),
    Factor("warmup_s", "s", "seconds of load before the window", reading.seconds(0.0)),
    Factor("duration_s", "s", "seconds that the window was open", reading.seconds(0.1)),
    Factor("turn_ms", "ms", "length of a turn, ms; 0: no turns were taken", reading.whole(5)),
    Factor("generator", "", "load generator: k6 or h2load", reading.one_of(K6, H2LOAD)),
    Factor("call", "", "gRPC method called of the user's own servers; missing: the counter's", reading.as_it_is),
    Factor("keys", "keys", "keys that calls are for, each with a count", reading.whole(1, most=MOST_KEYS)),
    Factor(
        "zipf", "", "skew of the keys: key k is asked for in proportion to 1/(k+1)^zipf; 0: all alike",
        reading.number(0, 5),
    ),
    Factor("read_pct", "%", "calls of a hundred that only read", reading.percent),
    Factor("server_cpus", "cores", "cores that servers may use", reading.whole(1)),
    Factor("random_layout", "", "whether servers of a trial of several were laid out at random", reading.yes_or_no),
)  # fmt: skip

ARM_FACTORS = (
    Factor("workers", "threads", "worker threads of the server; 0: the engine has none", reading.whole(1)),
    Factor("batch", "calls", "calls at most that are taken and committed together; 0: one at a time", reading.whole(1)),
    Factor("loop", "", "event loop of the server; empty: the engine has none", _loop),
    Factor("stages", "", "whether one call in 16 is watched through its stages", reading.yes_or_no),
    Factor("shards", "shards", "locks, or owners, among which the keys are divided", reading.whole(1)),
    Factor(
        "reads", "", "how reads are answered: by the guard, as writes are, or as a snapshot of what was committed",
        reading.one_of(engines.GUARD, engines.SNAPSHOT),
    ),
    Factor("store", "", "where the count is kept: memory, sqlite or append (a log)", reading.one_of(*engines.STORES)),
    Factor(
        "sync", "", "how far SQLite waits for the disk: full, normal or off; empty: not SQLite",
        reading.one_of(*engines.SYNCS),
    ),
    Factor("sync_us", "µs", "how long a commit takes on a simulated device, µs; 0: there is none", reading.whole(0)),
    Factor("hold_us", "µs", "wait asked for inside the critical section of a call that adds, µs", reading.whole(0)),
    Factor("work_us", "µs", "CPU time that a call that adds burns inside the critical section, µs", reading.whole(0)),
    Factor("burn_us", "µs", "CPU time that each call burns outside of it, µs: a known handicap", reading.whole(0)),
)  # fmt: skip

FACTORS = {factor.name: factor for factor in (*LOAD_FACTORS, *ARM_FACTORS)}

KIND = ("generator", "vus", "random_layout")
"""Factors of a load that a comparison can be varied in, to see whether its answer holds."""
