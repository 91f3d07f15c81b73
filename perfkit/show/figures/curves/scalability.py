"""The universal scalability law over a sweep's solo trials → its figure."""

from matplotlib.figure import Figure

from perfkit.analysis.curves.scalability import THROUGHPUT, scalability
from perfkit.analysis.levels import SweepAnswer
from perfkit.show import words
from perfkit.show.curves import scalability as said
from perfkit.show.figures.kit import against, blank, label, styles


def scales(answer: SweepAnswer) -> Figure:
    """Throughput against VUs, with the fitted law and the band of its interval."""
    table, found = answer.solo, scalability(answer.solo)
    names, looks = words.labels(table), styles(table)
    figure, (axes,) = blank(" ".join(said.sentence(one, names[one.arm]) for one in found))
    against(axes, table, THROUGHPUT)
    for one in found:
        style = looks[one.arm]
        axes.fill_between(
            one.levels, [at.low for at in one.curve], [at.high for at in one.curve], color=style.colour, alpha=0.15,
            label=f"{names[one.arm]}, the law",
        )  # fmt: skip
    label(
        axes,
        "acknowledged calls per second",
        "markers and bars: mean over blocks of solo trials, with its 95 % interval; bands: fitted law, 95 % by "
        "bootstrap over blocks; levels at which the load generator was the limit are not in the fit",
    )
    return figure
