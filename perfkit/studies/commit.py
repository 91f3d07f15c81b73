"""Group commit: what one commit for all that wait is worth, on the disk at hand and on a simulated device."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perfkit.analysis import contrast, levels
from perfkit.analysis.levels import THROUGHPUT
from perfkit.analysis.statistics import Ratio
from perfkit.checkout import ROOT
from perfkit.design.parameters import LEVELS, explained
from perfkit.design.plan import SOLO
from perfkit.errors import StoreError
from perfkit.record.load import load, load_finished
from perfkit.studies import sweep
from perfkit.studies.common import campaign
from perfkit.studies.common.study import Plans, Study

EXAMPLE = ROOT / "data" / "example" / "commit"

DISK, SIMULATED = "disk", "simulated"
"""Names of the two runs' folders."""


def commit(
    measure: object = False,
    store: object = "sqlite",
    vus: object = "1,10,100,500",
    sync_us: object = 1000,
    batch: object = 1000,
    engine: object = "threads",
    repeats: object = 6,
    duration_s: object = 1,
    warmup_s: object = 0.6,
    workers: object = 10,
    generator: object = "k6",
    k6: object = "k6",
    cluster: object = "",
    server_on: object = "",
    seed: object = 1,
    out: object = "",
) -> Path:
    """Return the folder of two runs, `disk` and `simulated`: the stored ones, or with `measure`, measured into `out`.

    What is there already is kept, so that a start of the same continues. Parameters are those of
    notebooks/commit.ipynb, and of `sweep`.
    """
    return campaign.run(STUDY, locals())


def _plans(store: str, sync_us: int, batch: int, engine: str, **shared: object) -> Plans:
    return {
        name: sweep.STUDY.plan(method=SOLO, arms=_arms(engine, batch, kept), **shared)
        for name, kept in {DISK: f"store={store}", SIMULATED: f"sync_us={sync_us}"}.items()
    }


def _arms(engine: str, batch: int, kept: str) -> list[str]:
    """The lock first, then the queue without and with a batch, then what batches without an owner."""
    patterns = ("mutex", "inputQ", f"inputQ?batch={batch}", f"leader?batch={batch}", f"combining?batch={batch}")
    return [f"{engine}/{one}{'&' if '?' in one else '?'}{kept}" for one in patterns]


STUDY = Study(
    "commit",
    commit,
    _plans,
    {
        "vus": LEVELS,
        **explained(
            measure="True: measure afresh, about 9 minutes; False: draw the stored runs",
            out='the folder of runs measured afresh, where finished ones are kept; "": data/runs/commit',
        ),
    },
    EXAMPLE,
)


@dataclass(frozen=True, slots=True)
class Device:
    """What the trials on one device say."""

    name: str
    """DISK or SIMULATED"""
    trials: pd.DataFrame
    baseline: str
    throughput: Mapping[str, tuple[Ratio, ...]]
    """each other arm → throughput in the baseline's at each usable level; all intervals hold together (Bonferroni)"""
    commit_us: float
    """how long a commit takes with nothing else to do: median at the lowest level, of the baseline"""

    def sizes(self) -> dict[tuple[int, str], dict[int, int]]:
        """Return (VUs, arm) → calls that were committed together → how many commits, of all trials that count."""
        found: dict[tuple[int, str], dict[int, int]] = {}
        for result in load_finished(self.trials.attrs["run"]):
            (seat,), (served,) = result.trial.seats, result.served
            if served.section:
                tally = found.setdefault((result.trial.load.vus, seat.arm.name), {})
                for calls, commits in served.section.batches.items():
                    tally[int(calls)] = tally.get(int(calls), 0) + commits
        return found

    def bounds(self) -> pd.DataFrame:
        """Return the trials that count with `bound_rps`: what measured costs allow at most, whichever is the least.

        Of the server's core, 1/c with c the CPU time per call; of the device, B/s with B the calls per commit and s
        `commit_us`; and of the load, N/(c + s/B), which N virtual users can't exceed (Denning and Buzen 1978).
        """
        counted = self.trials[self.trials["valid"]].copy()
        core = 1e6 / counted["cpu_per_call_us"].astype(float)
        device = 1e6 * counted["calls_per_commit"].astype(float) / self.commit_us
        load = counted["vus"] / (1 / core + 1 / device)
        counted["bound_rps"] = pd.concat([core, device, load], axis=1).min(axis=1)
        return counted


def read(folder: str | Path) -> tuple[Device, Device]:
    """Return what the two runs of a study say: the disk's, and the simulated device's."""
    home = Path(folder)
    if not (home / DISK).exists():
        raise StoreError(f"{home} holds no study of commits; measure one with measure=True")
    return _device(home, DISK), _device(home, SIMULATED)


def _device(home: Path, name: str) -> Device:
    trials = load(home / name)
    against = contrast.baseline(trials)
    others = [arm for arm in contrast.arms(trials) if arm != against]
    alone = trials[trials["valid"] & (trials["arm"] == against) & (trials["vus"] == trials["vus"].min())]
    return Device(
        name, trials, against,
        {arm: _throughput(trials[trials["arm"].isin((arm, against))], arm, against, len(others)) for arm in others},
        float(alone["commit_us"].astype(float).median()),
    )  # fmt: skip


def _throughput(pair: pd.DataFrame, arm: str, against: str, arms: int) -> tuple[Ratio, ...]:
    usable = contrast.usable_levels(pair, THROUGHPUT)
    return levels.each(contrast.by_level(pair, THROUGHPUT, arm, against, usable, "vus"), THROUGHPUT, arm, against, arms)
