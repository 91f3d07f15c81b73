"""A sweep over offered rates → its figure: latency, and what was achieved."""

from matplotlib.figure import Figure

from perfkit.analysis.levels import THROUGHPUT, SweepAnswer
from perfkit.show.curves import offered as said
from perfkit.show.figures.kit import ERROR_BARS, WIDE, against, blank, caption, label, logarithmic

RATE = "rate"


def offered(answer: SweepAnswer) -> Figure:
    """Latency at p50 and p99, and calls achieved, against calls offered."""
    table = answer.solo
    figure, (p50, p99, achieved) = blank(said.sentence(answer), panels=3)
    for axes, name in ((p50, "p50"), (p99, "p99")):
        logarithmic(axes)
        against(axes, table, f"{name}_ms", RATE, geometric=True, also_hollow=("dropped iterations",))
        axes.set_title(f"latency, {name}")
    p99.axhline(answer.plan.slo_ms, color="dimgray", linewidth=1, label=f"limit, {answer.plan.slo_ms:g} ms")
    label(p50, "ms")
    label(p99, "ms")
    against(achieved, table, THROUGHPUT, RATE, also_hollow=("dropped iterations",))
    rates = sorted(table[RATE].dropna().unique())
    achieved.plot(rates, rates, color="dimgray", linewidth=1, zorder=0, label="= offered")
    achieved.set_title("achieved")
    label(achieved, "acknowledged calls per second")
    caption(
        figure,
        f"{ERROR_BARS}; geometric mean of latencies; hollow: k6 had no free VU for some calls and dropped them, or was "
        "the limit, so that latency is of fewer calls",
        WIDE,
    )
    return figure
