"""A study of commits → matplotlib figures; whatever is of the simulated device says so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfkit.analysis.statistics import Interval
from perfkit.show import report_commit, words
from perfkit.show.figures.kit import (
    ERROR_BARS,
    WIDE,
    against,
    bar,
    blank,
    caption,
    factor_axis,
    label,
    logarithmic,
    styles,
)
from perfkit.show.figures.levels import points
from perfkit.studies import commit
from perfkit.studies.commit import Device

ROOM = 2.0
"""How many times beyond the outermost ratio the axis goes on: the bars of a few blocks would hide the rest."""

APART = 0.04
"""How far arms stand apart at a level of the logarithmic axis, as a part of it."""


def gain(*devices: Device) -> Figure:
    """Throughput of each arm in the lock's against VUs, on both devices."""
    figure, panels = _side_by_side("Calls a second, in those of mutex with a commit for each call", devices)
    for axes, device in zip(panels, devices, strict=True):
        names, looks = words.labels(device.trials), styles(device.trials)
        axes.axhline(1, color=looks[device.baseline].colour, linewidth=1.8, label=names[device.baseline])
        for place, (arm, ratios) in enumerate(device.throughput.items()):
            at = [(one.levels[0] * (1 + APART) ** (place - 1.5), one) for one in ratios]
            points(axes, at, looks[arm], names[arm], line=True)
        label(axes, "throughput, times mutex's" if axes is panels[0] else "")
    middles = [one.ratio for device in devices for ratios in device.throughput.values() for one in ratios]
    panels[0].set_ylim(min([1, *middles]) / ROOM, max([1, *middles]) * ROOM)
    caption(
        figure,
        "bars: 95 % intervals over blocks of solo trials, which hold for all of a device together; a level is left "
        "out where the load generator was the limit",
        WIDE,
    )
    return figure


def served(device: Device) -> Figure:
    """Throughput, and latency at p50 and p99, against VUs, on one device."""
    table = device.trials
    figure, panels = blank(f"On {report_commit.name(device)}", panels=3)
    shown = (("throughput_rps", "throughput", "acknowledged calls per second"), ("p50_ms", "latency, p50", "ms"),
             ("p99_ms", "latency, p99", "ms"))  # fmt: skip
    for axes, (metric, title, unit) in zip(panels, shown, strict=True):
        logarithmic(axes)
        against(axes, table, metric, geometric=True)
        axes.set_title(title)
        label(axes, unit, legend=axes is panels[0])
    caption(figure, f"{ERROR_BARS.replace('mean', 'geometric mean')}; one server at a time; logarithmic", WIDE)
    return figure


def on_disk(disk: Device, _: Device) -> Figure:
    """What was served on the disk at hand."""
    return served(disk)


def on_simulated(_: Device, simulated: Device) -> Figure:
    """What was served on the simulated device."""
    return served(simulated)


def batches(*devices: Device) -> Figure:
    """How many calls were committed together, against VUs, on both devices."""
    figure, panels = _side_by_side("Calls that were committed together", devices)
    for axes, device in zip(panels, devices, strict=True):
        names, looks, sizes = words.labels(device.trials), styles(device.trials), device.sizes()
        for place, arm in enumerate(names):
            levels = sorted(vus for vus, one in sizes if one == arm)
            spans = [_span(sizes[vus, arm]) for vus in levels]
            reach = np.hstack([bar(one) or [[0], [0]] for one in spans])
            at = [vus * (1 + APART) ** (place - 2) for vus in levels]
            axes.errorbar(
                at, [one.estimate for one in spans], yerr=reach, color=looks[arm].colour, marker=looks[arm].marker,
                linestyle=looks[arm].line, capsize=4, label=names[arm],
            )  # fmt: skip
        label(axes, "calls in a commit" if axes is panels[0] else "")
    caption(figure, "markers: median over commits; bars: from the 5th to the 95th of a hundred; warm-up included", WIDE)
    return figure


def _side_by_side(title: str, devices: Sequence[Device]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel a device, over the numbers of VUs, both on one logarithmic scale."""
    figure, panels = blank(title, panels=len(devices), share_y=True)
    for axes, device in zip(panels, devices, strict=True):
        factor_axis(axes, sorted(device.trials["vus"].unique().tolist()))
        logarithmic(axes)
        axes.set_title(f"on {report_commit.name(device)}")
    return figure, panels


def _span(tally: dict[int, int]) -> Interval:
    """Return the median size of commits, and where 5 and 95 % of them lie."""
    sizes = np.repeat(sorted(tally), [tally[size] for size in sorted(tally)])
    low, middle, high = np.quantile(sizes, [0.05, 0.5, 0.95], method="inverted_cdf")
    return Interval(float(middle), float(low), float(high), len(sizes))


ALL: dict[str, Callable[[Device, Device], Figure]] = {
    "gain": gain,
    "disk": on_disk,
    "simulated": on_simulated,
    "batches": batches,
}
"""name of the file in the study's folder → the figure"""


def inputs(folder: Path) -> tuple[Device, Device]:
    """Return what the figures are drawn from, of a study's folder."""
    return commit.read(folder)
