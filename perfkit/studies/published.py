"""The published study's numbers in the form of our tables, and two sweeps of ours to compare with them."""

from pathlib import Path

import pandas as pd

from perfkit.checkout import ROOT
from perfkit.design.parameters import LEVELS, explained
from perfkit.design.plan import SOLO
from perfkit.studies import sweep
from perfkit.studies.common import campaign
from perfkit.studies.common.study import Plans, Study

DATA = ROOT / "data"

MANNERS = {"study-manner": True, "kept-connections": False}
"""name of a run's folder → whether each iteration connects and closes, as in the study"""


def published(
    measure: object = False,
    vus: object = 1000,
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    k6: object = "k6",
    cluster: object = "",
    server_on: object = "",
    seed: object = 1,
    out: object = "",
) -> Path:
    """Return the folder of two runs of ours, `study-manner` and `kept-connections`: of the stored examples.

    With `measure`, both are measured into `out` ("": `published` where runs go), about 15 minutes; what is
    there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/published.ipynb, and of `sweep`.
    """
    return campaign.run(STUDY, locals())


def _plans(**values: object) -> Plans:
    one_at_a_time = {"method": SOLO, **values}
    return {
        name: sweep.STUDY.plan(**one_at_a_time, connect_per_iteration=connects) for name, connects in MANNERS.items()
    }


STUDY = Study(
    "published",
    published,
    _plans,
    {
        **explained(
            measure="True: measure our two sweeps afresh, about 15 minutes; False: draw the stored ones",
            out='the folder of sweeps measured afresh, where finished ones are kept; "": data/runs/published',
        ),
        "vus": LEVELS,
    },
    DATA / "example",
)


def study() -> pd.DataFrame:
    """Return the study's numbers as `perfkit.load` returns a run, one block; what it does not tell is missing."""
    numbers = pd.read_csv(DATA / "published" / "study.csv")
    duration_s = numbers["iterations"] / numbers["iterations_per_s"]
    table = pd.DataFrame(
        {
            "block": 0,
            "arm": "go/" + numbers["pattern"] + "?published",
            "pattern": numbers["pattern"],
            "vus": numbers["vus"],
            "rate": None,
            "connect_per_iteration": True,
            "duration_s": duration_s,
            "complete": True,
            "valid": True,
            "flags": "",
            "throughput_rps": numbers["iterations_per_s"],
            "iterations": numbers["iterations"],
            "data_sent_bytes": numbers["data_sent_bytes_per_s"] * duration_s,
            "data_received_bytes": numbers["data_received_bytes_per_s"] * duration_s,
            "p99_ms": float("nan"),
        }
    )
    for ours, theirs in {"latency": "grpc_req_duration", "iteration": "iteration_duration"}.items():
        percentile = "" if ours == "latency" else "iteration_"
        for stat in ("avg", "min", "max"):
            table[f"{ours}_{stat}_ms"] = numbers[f"{theirs}_{stat}_ms"]
        for name, stat in {"p50": "med", "p90": "p90", "p95": "p95"}.items():
            table[f"{percentile}{name}_ms"] = numbers[f"{theirs}_{stat}_ms"]
    table["in_flight"] = table["throughput_rps"] * table["latency_avg_ms"] / 1e3
    return table


def call_share(table: pd.DataFrame) -> "pd.Series[float]":
    """Return the part of a mean iteration that is the mean call, trial by trial."""
    return table["latency_avg_ms"] / table["iteration_avg_ms"]
