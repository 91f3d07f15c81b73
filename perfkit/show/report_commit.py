"""What the study of commits says."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from perfkit.analysis import statistics, verdict
from perfkit.analysis.statistics import Ratio
from perfkit.record.load import load_environment
from perfkit.show import report, words
from perfkit.show.report import Markdown
from perfkit.show.study_form import ABSENT
from perfkit.studies import commit
from perfkit.studies.commit import DISK, Device

STORES = {"sqlite": "in SQLite", "append": "in a log"}

NEAR = 0.8
"""An arm that serves this part of what its costs allow is limited by them."""


def parts(folder: str | Path) -> tuple[Markdown, Markdown]:
    """Return what a study of commits says, in three sentences, and where it was measured; and what limits it."""
    disk, simulated = commit.read(folder)
    where = report.where(load_environment(Path(folder) / DISK))
    return Markdown(f"**{headline(disk, simulated)}**\n\n{where}"), Markdown("\n".join(_limits(disk, simulated)))


def headline(disk: Device, simulated: Device) -> str:
    """Return the answer in three sentences."""
    return f"{gain(disk)} {whose(disk)} {gain(simulated)}"


def name(device: Device) -> str:
    """Return what to call a device."""
    if device.name == DISK:
        return f"this disk, {STORES[device.trials['store'].iloc[0]]}"
    return f"a simulated device of {device.trials['sync_us'].iloc[0] / 1000:g} ms"


def table(folder: str | Path) -> Markdown:
    """Return a row a number of VUs and arm, for each device."""
    return Markdown("\n\n".join("\n".join(rows(device)) for device in commit.read(folder)))


def gain(device: Device) -> str:
    """Say what one commit for all that wait is worth to the queue, level by level."""
    ratios = device.throughput[batching(device)]
    where = f"On {name(device)} (a commit alone takes {device.commit_us / 1000:.2f} ms), "
    if not ratios:
        return f"{where}nothing is known of throughput: the load generator was the limit, or trials do not count."
    more, less, unknown = (
        [one for one in ratios if verdict.judge(one, 0) == said]
        for said in (verdict.DEARER, verdict.CHEAPER, verdict.NOT_KNOWN)
    )
    heads = {
        "inputQ serves more calls a second than mutex": more,
        "inputQ serves fewer": less,
        "no difference is shown": unknown,
    }
    said = [f"{head}: {_levels(some)}" for head, some in heads.items() if some]
    return f"{where}with one commit for all that wait, {'; '.join(said)}."


def _levels(ratios: Sequence[Ratio]) -> str:
    return words.listed(
        [f"{_times(one)} times at {one.levels[0]} VU{'s' if one.levels[0] > 1 else ''}" for one in ratios]
    )


def _times(one: Ratio) -> str:
    # Two blocks, and so many intervals that hold together, say nothing.
    return words.times(one, 2) if one.blocks > 2 else f"{one.ratio:.2f}"


def whose(device: Device) -> str:
    """Say whether it is the batch or the owner, at the highest level that all have."""
    names, queue = words.labels(device.trials), batching(device)
    shared = set.intersection(*({one.levels[0] for one in ratios} for ratios in device.throughput.values()))
    if not shared:
        return "What the other patterns do is not known."
    every = [one for arm, ratios in device.throughput.items() if arm != queue for one in ratios]
    others = [one for one in every if one.levels[0] == max(shared)]
    queues = set(device.trials.loc[device.trials["pattern"] == "inputQ", "arm"])
    gains = {one.arm: verdict.judge(one, 0) == verdict.DEARER for one in others}
    is_batch = all(gain != (arm in queues) for arm, gain in gains.items())
    head = "It is the batch, not the owner" if is_batch else "The others"
    several = words.listed([f"{names[one.arm]} {_times(one)}" for one in others])
    return f"{head}: at {max(shared)} VUs there, the numbers are {several}."


def batching(device: Device) -> str:
    """Return the arm of the queue that commits for all that wait."""
    queues = device.trials[device.trials["pattern"] == "inputQ"]
    return str(queues.sort_values("batch")["arm"].iloc[-1])


def rows(device: Device) -> Iterator[str]:
    """Give the lines of a device's table."""
    names = words.labels(device.trials)
    heads = (
        f"VUs, on {name(device)}", "", "calls/s", "times mutex's", "p50 (ms)", "p99 (ms)", "CPU per call (µs)",
        "calls a commit", "of what the costs allow",
    )  # fmt: skip
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    ratios = {(one.levels[0], arm): one for arm, several in device.throughput.items() for one in several}
    for key, trials in device.bounds().groupby(["vus", "arm"]):
        vus, arm = _place(key)
        ratio = ratios.get((vus, arm))
        cells = (
            str(vus), names[arm], _mean(trials["throughput_rps"], ",.0f"),
            "1" if arm == device.baseline else _times(ratio) if ratio else "the generator was the limit",
            _mean(trials["p50_ms"], ".2f"), _mean(trials["p99_ms"], ".2f"), _mean(trials["cpu_per_call_us"], ",.0f"),
            _mean(trials["calls_per_commit"], ".1f"), _mean(trials["throughput_rps"] / trials["bound_rps"], ".2f"),
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _place(key: Hashable) -> tuple[int, str]:
    assert isinstance(key, tuple)  # noqa: S101 - of a table that is grouped by VUs and arm
    return int(key[0]), str(key[1])


def _mean(column: "pd.Series[float]", form: str) -> str:
    values = column.dropna().astype(float).tolist()
    return f"{statistics.mean(values, logarithmic=True).estimate:{form}}" if len(values) == len(column) else ABSENT


def _limits(*devices: Device) -> Iterator[str]:
    trials = devices[0].trials
    yield (
        f"- Solo trials under {trials['generator'].iloc[0]}, one server after the other, {trials['block'].nunique()} "
        "blocks; all intervals of a device hold together, 19 times out of 20. How long a commit takes is as the server "
        "saw it. Whether the disk's host honours a flush can't be seen from here."
    )
    for device in devices:
        counted, where = device.bounds(), name(device)
        part = (counted["throughput_rps"] / counted["bound_rps"]).groupby([counted["vus"], counted["arm"]]).mean()
        yield (
            f"- On {where}, {(part >= NEAR).sum()} of {len(part)} arms and levels serve {NEAR:g} or more of what "
            f"measured costs allow, min(1/c, B/s, N/(c + s/B)); the least is {part.min():.2f} (table below)."
        )
        yield from report.flag_lines(device.trials, f"on {where}")
