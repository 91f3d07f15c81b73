"""What offered rates, a law and stages look like, and what is said of them."""

import math

import numpy as np
import pandas as pd
import pytest

import perfkit
from perfkit.analysis import levels
from perfkit.analysis.curves import scalability as usl
from perfkit.record.load import load
from perfkit.record.rows import COLUMNS
from perfkit.show import report
from perfkit.show.curves import offered, scalability
from perfkit.show.figures.curves import of_sweeps
from perfkit.show.figures.curves import scalability as figures
from perfkit.studies import sweep
from tests.support.plans import plan_sweep

ARMS = {"threads/mutex?workers=10": "mutex", "threads/inputQ?workers=10": "inputQ"}


def answer(plan, rows):
    solo = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"complete": bool, "valid": bool})
    return levels.answer(plan, solo.iloc[:0], solo)


def trial(arm, block, **values):
    return {
        "block": block, "method": "solo", "role": "a" if ARMS[arm] == "mutex" else "b", "arm": arm, "engine": "threads",
        "pattern": ARMS[arm], "complete": True, "valid": True, "flags": "", "vus": 50, "rate": math.nan, "attempt": 0,
        "dropped_total": 0, "generator": "k6", "hold_us": 0, "own_s": 1.0, "server_cpu_s": 1.0, "took_s": 2.0,
        "cpu_per_call_us": 300.0 + block, "throughput_rps": 1000.0 + block, "server_cpu_list": "0", "in_flight": 50.0,
        **values,
    }  # fmt: skip


@pytest.fixture
def over_rates():
    plan = plan_sweep(rate="700,1400,2800", method="solo", vus=50, repeats=6, slo_ms=20)
    p99_ms = {700: 5.0, 1400: 15.0, 2800: 120.0}
    return answer(
        plan,
        [
            trial(arm, block, rate=float(rate), p99_ms=ms * (1 + 0.02 * block), dropped_total=9 if rate > 2000 else 0)
            for arm in ARMS
            for block in range(6)
            for rate, ms in p99_ms.items()
        ],
    )


def test_a_sweep_over_rates_says_how_far_each_arm_gets(over_rates):
    assert over_rates.plan.factor == "rate"
    assert offered.sentence(over_rates).startswith(
        "inputQ keeps p99 within 20 ms and no call dropped up to 1,400 offered calls/s (surely up to 1,400, surely no "
        "more at 2,800). mutex keeps"
    )
    rows = list(offered.table_lines(over_rates))
    assert len(rows) == 2 + 6
    assert rows[-1].endswith("| 6 of 6 |")
    assert [len(one.ratios) for one in over_rates.over["threads/inputQ?workers=10"].values()] == [3, 3]


def test_a_law_is_said_with_its_intervals_and_drawn():
    random = np.random.default_rng(1)
    plan = plan_sweep(vus="1,2,4,8,16,32", method="solo", repeats=6)
    found = answer(
        plan,
        [
            trial(
                arm,
                block,
                vus=vus,
                throughput_rps=float(rps) * math.exp(random.normal(0, 0.02)),
            )
            for arm in ARMS
            for block in range(6)
            for vus, rps in zip(plan.levels, usl.law(np.array(plan.levels, dtype=float), 1000, 0.3, 0), strict=True)
        ],
    )
    first, second = scalability.lines(found)
    assert first.startswith("- inputQ, from 1 to 32 VUs: contention 3")
    assert "coherency is not shown" in second
    assert of_sweeps.known(found) == ("scalability",)
    assert len(figures.scales(found).axes[0].collections) >= 2


@pytest.mark.full
@pytest.mark.load
def test_rates_and_stages_are_measured_and_shown(tmp_path, capsys):
    folder = perfkit.sweep(rate="700,1000", vus=20, method="solo", repeats=1, stages=True, out=tmp_path / "run")
    table = load(folder)
    assert set(table["rate"]) == {700, 1000}
    assert set(table["vus"]) == {20}
    stages = table.filter(like="stage_").sum(axis=1)
    assert (stages > 0).all()
    found = sweep.answer(folder)
    assert of_sweeps.known(found) == ("offered", "stages")
    assert "offered calls/s" in report.sweep(folder)
    perfkit.more(folder)
    capsys.readouterr()
    for name in ("latency-distribution", "instrument"):
        perfkit.draw(name, folder)
    assert "1000 calls/s offered" in perfkit.study_tables(table)
