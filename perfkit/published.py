"""The published study's numbers in the form of our tables, and two runs of ours to lay beside them."""

from pathlib import Path

import pandas as pd

from perfkit.experiment import measured
from perfkit.report import Markdown

DATA = Path(__file__).parent.parent / "data"

MANNERS = {"study-manner": True, "kept-connections": False}
"""name of a run's folder → whether each iteration connects and closes, as in the study"""


def runs(
    measure: object = False,
    vus: object = 1000,
    duration_s: object = 5,
    warmup_s: object = 1,
    repeats: object = 5,
    k6: object = "k6",
    seed: object = 1,
    out: object = "",
) -> tuple[Path, Path]:
    """Return two run folders of ours, in the study's manner and with kept connections: the stored examples.

    With `measure`, both are measured into `out` ("": data/runs/published of the checkout), about 15 minutes; what is
    there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/published.ipynb, and of `sweep`.
    """
    if not measure:
        manner, kept = (DATA / "example" / name for name in MANNERS)
        return manner, kept
    parent = Path(str(out)) if out else DATA / "runs" / "published"
    load = {"vus": vus, "duration_s": duration_s, "warmup_s": warmup_s, "repeats": repeats, "seed": seed}
    manner, kept = (
        measured("sweep", parent / name, k6, connect_per_iteration=connects, **load)
        for name, connects in MANNERS.items()
    )
    return manner, kept


def study() -> pd.DataFrame:
    """Return the study's numbers as `perfkit.load` returns a run, one block; what it does not tell is missing."""
    told = pd.read_csv(DATA / "published" / "study.csv")
    duration_s = told["iterations"] / told["iterations_per_s"]
    table = pd.DataFrame(
        {
            "block": 0,
            "arm": "go/" + told["pattern"] + "?published",
            "pattern": told["pattern"],
            "vus": told["vus"],
            "rate": None,
            "connect_per_iteration": True,
            "duration_s": duration_s,
            "complete": True,
            "valid": True,
            "flags": "",
            "throughput_rps": told["iterations_per_s"],
            "iterations": told["iterations"],
            "data_sent_bytes": told["data_sent_bytes_per_s"] * duration_s,
            "data_received_bytes": told["data_received_bytes_per_s"] * duration_s,
            "p99_ms": float("nan"),
        }
    )
    for ours, theirs in {"latency": "grpc_req_duration", "iteration": "iteration_duration"}.items():
        percentile = "" if ours == "latency" else "iteration_"
        for stat in ("avg", "min", "max"):
            table[f"{ours}_{stat}_ms"] = told[f"{theirs}_{stat}_ms"]
        for name, stat in {"p50": "med", "p90": "p90", "p95": "p95"}.items():
            table[f"{percentile}{name}_ms"] = told[f"{theirs}_{stat}_ms"]
    table["in_flight"] = table["throughput_rps"] * table["latency_avg_ms"] / 1e3
    return table


def call_share(table: pd.DataFrame) -> pd.Series:
    """Return the part of a mean iteration that is the mean call, trial by trial."""
    return table["latency_avg_ms"] / table["iteration_avg_ms"]


def limits(table: pd.DataFrame) -> Markdown:
    """Return what a table of one block, in the study's form, can and can't say, by its own figures."""
    by_level = table.assign(share=call_share(table)).groupby("vus")[["in_flight", "share"]].mean()
    many = by_level[by_level.index >= 200]["in_flight"]
    rates = table.pivot_table(index="vus", columns="pattern", values="throughput_rps")
    ahead = rates["inputQ"] / rates["mutex"] - 1
    queue, lock = (", ".join(f"{vus} ({gap * 100:+.1f} %)" for vus, gap in some.items()) or "no" for some in
                   (ahead[ahead > 0], ahead[ahead <= 0]))  # fmt: skip
    return Markdown(
        f"- **Calls in flight** (Little's law: throughput times mean latency): {many.min():.0f} to {many.max():.0f} "
        f"from 200 VUs up, however many VUs there are. The service never met the load that its axis names.\n"
        f"- **The call's share of an iteration**: {by_level['share'].iloc[0] * 100:.0f} % at {by_level.index[0]} VUs, "
        f"{by_level['share'].iloc[-1] * 100:.1f} % at {by_level.index[-1]}. The rest is connecting, closing, waiting "
        "for k6: an iteration's duration is hardly about the pattern.\n"
        f"- **Who is ahead** in throughput changes: inputQ at {queue} VUs, mutex at {lock} VUs.\n"
        "- **No error bars**: one run for each number, one after the other. By themselves they can't tell a difference "
        "of the patterns from one of the minute: on a shared machine single runs differ by 15 % and more."
    )
