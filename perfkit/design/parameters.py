"""The parameters of all studies: how each is read, its bounds, and its help, for notebooks, shell, make and Python."""

from dataclasses import dataclass, replace

from perfkit.design import engines, reading
from perfkit.design.factors import FACTORS
from perfkit.design.plan import JOINT, SOLO, TURNS
from perfkit.design.reading import Reader
from perfkit.errors import PlanError

STUDY_LEVELS = (10, 100, 200, 300, 500, 1000)
"""The published study's numbers of VUs."""


AXES = (
    "vus", "rate", "keys", "zipf", "read_pct", "server_cpus", "generator", "workers", "batch", "shards", "reads",
    "store", "sync", "sync_us", "hold_us", "work_us", "burn_us",
)  # fmt: skip
"""Factors that a map can have."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a user of a study can set."""

    name: str
    help: str
    read: Reader


def _trial_method(name: str, value: object) -> str:
    if "/" in str(value):
        raise PlanError(
            f"{name}={value!r} looks like a gRPC method; say call={value}, for {name} is how trials are taken"
        )
    return str(reading.one_of(TURNS, JOINT, SOLO)(name, value))


def _factor(name: str, text: str) -> Parameter:
    return Parameter(name, text, FACTORS[name].read)


PARAMETERS = {
    one.name: one
    for one in (
        _factor("vus", "virtual users at each server"),
        _factor("rate", "calls a second to offer (open model); None: each VU calls again when it is answered"),
        _factor("connect_per_iteration", "True: connect and close in every iteration, as the original study did"),
        _factor("warmup_s", "seconds of load before it"),
        _factor("duration_s", "seconds that each measured window is open"),
        _factor("workers", "worker threads of a server whose arm does not say"),
        _factor("keys", "keys that calls are for, each with a count of its own"),
        _factor("zipf", "skew of the keys: key k is asked for in proportion to 1/(k+1)^zipf; 0: all alike"),
        _factor("read_pct", "calls of a hundred that only read"),
        _factor("server_cpus", "cores that servers may use; where that leaves k6 none, they share its own"),
        Parameter(
            "stages", "True: watch one call in 16 through its stages, on engine threads", reading.yes_or_no
        ),
        Parameter(
            "slo_ms", "milliseconds that the 99th percentile may have, for the knee of offered rates",
            reading.number(0.001, 10_000),
        ),
        Parameter("x", "factor across the map", reading.one_of(*AXES)),
        Parameter("y", "factor up the map", reading.one_of(*AXES)),
        Parameter("x_levels", "its levels, with commas between", reading.as_it_is),
        Parameter("y_levels", "its levels, with commas between", reading.as_it_is),
        Parameter(
            "stages_at", 'level of y at which calls are watched through their stages; "": at none', reading.as_it_is
        ),
        _factor("hold_us", "microseconds of waiting inside the critical section"),
        Parameter(
            "a", "an arm: engine/pattern with options as in the README, or a command of your own behind exec:",
            reading.as_it_is,
        ),
        Parameter("b", "the arm that is compared with it", reading.as_it_is),
        Parameter(
            "arms", "what is compared, with commas between: patterns, or engine/pattern as in threads/mutex",
            reading.as_it_is,
        ),
        Parameter("reference", "the arm that all others are compared with", reading.as_it_is),
        Parameter("repeats", "blocks: the unit of replication", reading.whole(1)),
        Parameter("budget_s", "seconds that the measurement may take", reading.seconds(1)),
        Parameter(
            "precision_pct", "half the width wanted of the interval, in per cent; 0: as narrow as the budget makes it",
            reading.percent,
        ),
        Parameter("margin_pct", "the largest difference in per cent that does not matter", reading.percent),
        Parameter(
            "method",
            "turns: servers take turns on a core; joint: all at once on it; solo: one server after the other",
            _trial_method,
        ),
        Parameter(
            "turn_ms",
            "milliseconds of a turn; 0: 10, or with more than 13 workers so many that waking them costs 2 %",
            reading.zero_or(FACTORS["turn_ms"].read),
        ),
        Parameter(
            "store", "where the count is kept on the disk: sqlite (an embedded database) or append (a log with fsync)",
            reading.one_of(*engines.DURABLE),
        ),
        Parameter("sync_us", "microseconds that a commit takes on the simulated device", reading.whole(1)),
        _factor("batch", "calls at most that are committed together"),
        Parameter("engine", "what serves gRPC: threads or native", reading.one_of(*engines.ENGINES)),
        _factor("generator", "what loads the servers: k6, or h2load where that is installed"),
        Parameter(
            "generators", "what loads the servers: k6 or h2load, or both with a comma between",
            reading.several(FACTORS["generator"].read),
        ),
        Parameter(
            "robust", "True: under both generators, at 10 and 100 VUs, memory laid out alike and at random",
            reading.yes_or_no,
        ),
        Parameter("solo", "True: solo trials in the same blocks, for throughput and latency", reading.yes_or_no),
        Parameter(
            "share_session",
            "True: all servers in one session, which makes their shares unequal: a check of the method",
            reading.yes_or_no,
        ),
        Parameter("pin", "keep servers and k6 on cores of their own", reading.yes_or_no),
        Parameter("start_s", "seconds that a server may take until it accepts calls", reading.seconds(0.1)),
        Parameter(
            "call", 'method of your own service, package.Service/Method; "": the counter of proto/counter.proto',
            reading.path,
        ),
        Parameter("proto", 'its proto, a file or a folder; "": ask the server by reflection', reading.path),
        Parameter("request", "its request as JSON, or a file with one a line, taken in turn", reading.path),
        Parameter("random_requests", "True: draw requests at random, by the seed", reading.yes_or_no),
        Parameter("metadata", "of each call: a file of JSON (name: text), or env:NAME", reading.path),
        Parameter("expect", "fields that each reply must have, with commas between", reading.path),
        Parameter("k6", "the k6 program, by name or path", reading.path),
        Parameter(
            "cluster",
            "ssh:HOST,HOST (the first serves, others load), or a Dask scheduler's address or file; \"\": this machine",
            reading.cluster,
        ),
        Parameter(
            "server_on", 'the host of the cluster that serves, by name or address; "": the first', reading.path
        ),
        Parameter("seed", "of the order of trials", reading.whole(0)),
        Parameter("studies", "how many comparisons", reading.whole(1)),
        Parameter("measure", "True: measure afresh; False: draw the stored runs", reading.yes_or_no),
        Parameter("out", 'the run folder; "": a new one, or the unfinished one of the same plan',
                  reading.path),
        Parameter("run", "the folder of a stored run: draw it, measure nothing", reading.path),
    )
}  # fmt: skip
"""name → what it is where a study does not say otherwise"""

LEVELS = Parameter(
    "vus",
    'a number: the study\'s levels 10, 100, 200, 300, 500, 1000 up to and including it; a list or "10,50": just those',
    reading.levels(reading.whole(1, example="vus=500, or '10,50' for just those levels"), STUDY_LEVELS),
)


RATES = Parameter(
    "rate",
    'calls a second to offer (open model); several, "500,1000,2000": the knee; None: each VU calls when it is answered',
    reading.optional(reading.several(FACTORS["rate"].read)),
)


def explained(**texts: str) -> dict[str, Parameter]:
    """Return parameters whose help differs in one study."""
    return {name: replace(PARAMETERS[name], help=text) for name, text in texts.items()}
