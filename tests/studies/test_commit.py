import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import perfkit
from perfkit import notebooks
from perfkit.analysis import contrast
from perfkit.cli import BAD_INPUT, main
from perfkit.design.arms import parse_arm
from perfkit.errors import PlanError, ServerError, StoreError
from perfkit.show import report_commit, words
from perfkit.show.figures import commit as figures_commit
from perfkit.studies import commit
from perfkit.studies.commit import DISK, SIMULATED, Device
from perfkit.subject.stores import disk
from tests.support.disks import on_disk
from tests.support.notebooks import outputs_of
from tests.support.trials import own_flags

SMALL = {"measure": True, "vus": "8", "repeats": 1, "duration_s": 0.7, "warmup_s": 0.3, "sync_us": 5000}

PATTERNS = ["combining", "inputQ", "inputQ", "leader", "mutex"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A study at one level, really measured, in one block."""
    return perfkit.commit(**SMALL, out=on_disk(tmp_path_factory.mktemp("commits")) / "study")


@pytest.fixture
def device(monkeypatch):
    """Make what a device says of trials of given throughput: arm as written → calls a second at 100 VUs."""

    def make(served, name=SIMULATED, blocks=5):
        rows = []
        for number, (text, rps) in enumerate(served.items()):
            arm = parse_arm(text, 10)
            for block in range(blocks):
                for vus in (1, 100):
                    noise = 1 + 0.01 * np.sin(7 * block + number)
                    rows.append({
                        "block": block, "vus": vus, "arm": arm.name, "pattern": arm.pattern, "batch": arm.batch,
                        "store": arm.store, "sync_us": arm.sync_us, "role": "b" if number else "a", "valid": True,
                        "complete": True, "flags": "", "throughput_rps": (rps if vus > 1 else 400) * noise,
                        "cpu_per_call_us": 250.0, "calls_per_commit": 8.0 if arm.batch else 1.0, "commit_us": 1000.0,
                        "p50_ms": 2.0, "p99_ms": None, "generator": "k6",
                    })  # fmt: skip
        table = pd.DataFrame(rows)
        monkeypatch.setattr(commit, "load", lambda _: table)
        return commit._device(commit.EXAMPLE, name)

    return make


ARMS = ("mutex", "inputQ", "inputQ?batch=1000", "leader", "combining")


def served(*rps):
    return {f"{arm}{'&' if '?' in arm else '?'}sync_us=1000": one for arm, one in zip(ARMS, rps, strict=True)}


@pytest.mark.full
@pytest.mark.load
def test_both_devices_are_measured_with_every_pattern_one_at_a_time(measured):
    disk, simulated = commit.read(measured)
    for device, waits_us in ((disk, 10), (simulated, SMALL["sync_us"])):
        assert own_flags(device.trials) == set()
        assert sorted(device.trials["pattern"]) == PATTERNS
        assert set(device.trials["method"]) == {"solo"}
        assert math.isnan(device.commit_us) or device.commit_us >= waits_us
        assert contrast.baseline(device.trials) == device.baseline
        assert len(device.throughput) == 4
        for (_, arm), sizes in device.sizes().items():
            together = "batch=1000" in arm
            assert (max(sizes) > 1) == together, f"{arm}: {sizes}"
    assert set(disk.trials["store"]) == {"sqlite"}
    assert set(simulated.trials["sync_us"]) == {SMALL["sync_us"]}
    assert not list(measured.glob("*/.store-*")), "files of stores were left"


@pytest.mark.full
@pytest.mark.load
def test_all_that_is_simulated_says_so(measured):
    _, simulated = commit.read(measured)
    assert all("simulated 5 ms" in name for name in words.labels(simulated.trials).values())
    text = report_commit.table(measured)
    rows = text.split("\n\n")[1].splitlines()
    assert all("simulated" in row for row in (rows[0], *rows[2:]))
    figure = figures_commit.gain(*commit.read(measured))
    assert "a simulated device of 5 ms" in figure.axes[1].get_title()


@pytest.mark.full
@pytest.mark.load
def test_what_is_there_is_not_measured_again(measured, tmp_path):
    shutil.copytree(measured, (folder := on_disk(tmp_path) / "study"))
    before = (folder / DISK / "trials.jsonl").read_bytes()
    assert perfkit.commit(**SMALL, out=folder) == folder
    assert (folder / DISK / "trials.jsonl").read_bytes() == before
    with pytest.raises(StoreError, match="is of another plan"):
        perfkit.commit(**{**SMALL, "batch": 10}, out=folder)


def test_what_costs_allow_is_the_least_of_core_device_and_load(device):
    found = device(served(900, 900, 3500, 2000, 3400)).bounds().groupby(["vus", "arm"])["bound_rps"].first()
    lock, queue = (
        next(arm for arm in found[100].index if f"/{name}" in arm) for name in ("mutex", "inputQ?workers=10&batch")
    )
    assert found[100, lock] == pytest.approx(1000), "the device: a commit a call"
    assert found[100, queue] == pytest.approx(4000), "the core: 250 µs a call"
    assert found[1, lock] == pytest.approx(1e6 / 1250), "one caller: both, one after the other"


def test_the_sentences_say_where_a_batch_gains_and_whose_it_is(device):
    both = device(served(900, 880, 3500, 2000, 3400))
    said = report_commit.gain(both)
    assert said.startswith(
        "On a simulated device of 1 ms (a commit alone takes 1.00 ms), with one commit for all that wait"
    )
    assert "inputQ serves more calls a second than mutex: 3.8" in said
    assert ") times at 100 VUs; no difference is shown: 0.99" in said
    assert report_commit.whose(both).startswith("It is the batch, not the owner: at 100 VUs there")
    assert report_commit.whose(device(served(900, 1800, 3500, 2000, 3400))).startswith("The others: at 100 VUs there")
    fewer = report_commit.gain(device(served(900, 880, 450, 2000, 3400)))
    assert "inputQ serves fewer: 0.5" in fewer


def test_a_level_where_the_generator_was_the_limit_says_so(device):
    made = device(served(900, 880, 3500, 2000, 3400))
    trials = made.trials.assign(flags=np.where(made.trials["batch"] == 1000, "generator limited", ""))
    limited = Device(made.name, trials, made.baseline, dict.fromkeys(made.throughput, ()), made.commit_us)
    assert "nothing is known of throughput: the load generator was the limit" in report_commit.gain(limited)
    assert report_commit.whose(limited) == "What the other patterns do is not known."
    assert "the generator was the limit" in "\n".join(report_commit.rows(limited))


@pytest.mark.full
@pytest.mark.load
def test_the_stored_study_draws_every_figure_and_its_answer_stands_first(tmp_path):
    notebooks.execute("commit.ipynb", {}, tmp_path / "out.ipynb")
    outputs = outputs_of(tmp_path / "out.ipynb")
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(figures_commit.ALL)
    first = "".join(outputs[0]["data"]["text/markdown"])
    assert first.startswith(f"**{report_commit.headline(*commit.read(perfkit.commit()))}**")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"store": "memory"}, "store='memory' is none of sqlite, append; say store=sqlite"),
        ({"sync_us": 0}, "sync_us=0 is no whole number from 1"),
        ({"batch": 0}, "batch=0 is no whole number from 1"),
        ({"engine": "asyncio"}, "engine asyncio has no leader"),
        ({"engine": "tornado"}, "engine='tornado' is none of threads, asyncio, native"),
        ({"vus": "0"}, "vus"),
    ],
)
def test_bad_input_is_refused_by_name(values, message, tmp_path):
    with pytest.raises(PlanError, match=message.replace("?", r"\?")):
        perfkit.commit(measure=True, out=tmp_path / "study", **values)
    assert not (tmp_path / "study").exists()


def test_a_folder_in_memory_is_refused_before_anything_is_started():
    folder = Path("/dev/shm") / "perfkit-commits"  # noqa: S108 - the folder that must be refused
    if disk.filesystem(folder) not in disk.IN_MEMORY:
        pytest.skip("the folder for shared memory is no tmpfs here")
    with pytest.raises(ServerError, match="lies on tmpfs, which is memory"):
        perfkit.commit(measure=True, out=folder)
    assert main(["commit", "--measure", "True", "--out", str(folder)]) == BAD_INPUT
    assert not folder.exists()


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no study of commits; measure one with measure=True"):
        commit.read(tmp_path)
