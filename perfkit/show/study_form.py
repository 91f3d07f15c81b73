"""Tables in the form of the published study."""

from collections.abc import Callable

import pandas as pd

from perfkit.design.engines import PATTERNS
from perfkit.show import words
from perfkit.show.report import Markdown

ABSENT = "-"


def study_tables(table: pd.DataFrame) -> Markdown:
    """Return one table a level in the form of the published study: the mean over blocks of each statistic."""
    names = words.labels(table)
    patterns = table.drop_duplicates("arm").set_index("arm")["pattern"]
    # The study has inputQ first; a command of the user's own has no pattern.
    arms = sorted(names, key=lambda arm: (-PATTERNS.index(patterns[arm]) if patterns[arm] in PATTERNS else 1, arm))
    heads = [f"{names[arm][0].upper()}{names[arm][1:]} pattern" for arm in arms]
    valid = table[table["valid"]]
    parts = []
    offered = valid["rate"].nunique() > 1
    for place, level in valid.groupby(["vus", "rate"], dropna=False):
        vus, rate = place if isinstance(place, tuple) else (place, None)
        where = f"{vus} VUs, {rate:g} calls/s offered" if offered else f"{vus} VUs"
        lines = [f"| Parameters ({where}) | " + " | ".join(heads) + " |", "|---" * (len(arms) + 1) + "|"]
        for name, cell in STUDY_ROWS.items():
            cells = (cell(level[level["arm"] == arm]) for arm in arms)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return Markdown("\n\n".join(parts) or "No valid trial.")


def _amount(column: str) -> Callable[[pd.DataFrame], str]:
    def cell(trials: pd.DataFrame) -> str:
        amount = trials[column].astype(float).mean()
        if pd.isna(amount):  # no trial, or a generator that does not say
            return ABSENT
        return f"{_bytes(amount)} ({_bytes(amount / trials['duration_s'].iloc[0])}/s)"

    return cell


def _durations(prefix: str, percentile: str) -> Callable[[pd.DataFrame], str]:
    """Avg and percentiles are means over blocks; min and max are the extremes of all."""
    columns = {"avg": f"{prefix}avg_ms", "min": f"{prefix}min_ms", "med": f"{percentile}p50_ms"}
    columns |= {"max": f"{prefix}max_ms", "p(90)": f"{percentile}p90_ms", "p(95)": f"{percentile}p95_ms"}

    def cell(trials: pd.DataFrame) -> str:
        taken = {
            stat: getattr(trials[column].astype(float), stat if stat in ("min", "max") else "mean")()
            for stat, column in columns.items()
        }
        return ", ".join(f"{stat}={_ms(value)}" for stat, value in taken.items())

    return cell


def _iterations(trials: pd.DataFrame) -> str:
    count = trials["iterations"].mean()
    return f"{count:,.0f} ({count / trials['duration_s'].iloc[0]:,.1f}/s)" if len(trials) else ABSENT


STUDY_ROWS: dict[str, Callable[[pd.DataFrame], str]] = {
    "data_received": _amount("data_received_bytes"),
    "data_sent": _amount("data_sent_bytes"),
    "grpc_req_duration": _durations("latency_", ""),
    "iteration_duration": _durations("iteration_", "iteration_"),
    "iterations": _iterations,
}


def _ms(value: float) -> str:
    return ABSENT if pd.isna(value) else f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def _bytes(amount: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.0f} B"
