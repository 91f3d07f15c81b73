import math
import shutil

import pandas as pd
import pytest

import perfkit
from perfkit import notebooks
from perfkit.show import levels, report_studies
from perfkit.show.figures import published as figures_published
from perfkit.studies import published
from tests.support import ROOT
from tests.support.notebooks import outputs_of, text
from tests.support.trials import own_flags

SMALL = {"measure": True, "vus": "2,", "duration_s": 0.7, "warmup_s": 0.3, "repeats": 1}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Both manners, really measured, by the notebook."""
    folder = tmp_path_factory.mktemp("published")
    notebooks.execute("published.ipynb", {**SMALL, "out": str(folder / "runs")}, folder / "out.ipynb")
    return folder


def test_the_studys_numbers_are_those_that_it_prints():
    table = published.study()
    assert len(table) == 12
    one = table[(table["vus"] == 10) & (table["pattern"] == "inputQ")].iloc[0]
    assert one["throughput_rps"] == pytest.approx(4532.286646)
    assert (one["p50_ms"], one["p95_ms"], one["iteration_avg_ms"]) == (0.68739, 1.37, 2.19)
    assert one["data_received_bytes"] / one["duration_s"] == pytest.approx(754_000)
    assert one["in_flight"] == pytest.approx(4532.286646 * 0.71994e-3)


def test_what_it_can_not_say_is_said_by_its_own_figures():
    told = report_studies.study_limits(published.study())
    raw = pd.read_csv(ROOT / "data/published/study.csv")
    flight = (raw["iterations_per_s"] * raw["grpc_req_duration_avg_ms"] / 1e3).groupby(raw["vus"]).mean()
    share = (raw["grpc_req_duration_avg_ms"] / raw["iteration_duration_avg_ms"]).groupby(raw["vus"]).mean()
    assert f"{flight.loc[200:].min():.0f} to {flight.loc[200:].max():.0f} from 200 VUs up" in told
    assert f"{share[10] * 100:.0f} % at 10 VUs, {share[1000] * 100:.1f} % at 1000" in told
    rates = raw.pivot_table(index="vus", columns="pattern", values="iterations_per_s")
    ahead = [vus for vus in rates.index if rates["inputQ"][vus] > rates["mutex"][vus]]
    assert ahead == [100]
    assert "inputQ at 100 (+10.4 %) VUs, mutex at 10 (" in told


def test_one_run_a_cell_gives_no_verdict():
    told = levels.headline(published.study())
    assert told.startswith("Not known yet: inputQ measured")
    assert "one block gives no interval" in told


def test_without_measuring_the_stored_runs_of_all_six_levels_are_given():
    for name, connects in published.MANNERS.items():
        table = perfkit.load(perfkit.published() / name)
        assert sorted(table["vus"].unique()) == [10, 100, 200, 300, 500, 1000]
        assert set(table["connect_per_iteration"]) == {connects}
        assert table["block"].nunique() == 5


@pytest.mark.full
def test_the_notebook_measures_both_manners_and_tells_the_story(ours):
    for name, connects in published.MANNERS.items():
        table = perfkit.load(ours / "runs" / name)
        assert len(table) == 2
        assert own_flags(table) == set()
        assert set(table["connect_per_iteration"]) == {connects}
    outputs = outputs_of(ours / "out.ipynb")
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(figures_published.ALL)
    shown = text(ours / "out.ipynb")
    assert "Calls in flight" in shown
    assert shown.count("| Parameters (2 VUs) | InputQ pattern | Mutex pattern |") == 2
    assert shown.count("| Parameters (1000 VUs) | InputQ pattern | Mutex pattern |") == 1


@pytest.mark.full
def test_what_is_finished_is_not_measured_again(ours, tmp_path):
    shutil.copytree(ours / "runs", tmp_path / "runs")
    kept = tmp_path / "runs" / "kept-connections"
    before = (kept / "trials.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "runs" / "study-manner")
    perfkit.published(**SMALL, out=tmp_path / "runs")
    assert (kept / "trials.jsonl").read_bytes() == before
    assert len(perfkit.load(tmp_path / "runs" / "study-manner")) == 2


@pytest.mark.full
def test_the_figures_have_the_tables_numbers_on_their_axes(ours):
    study, manner = published.study(), perfkit.load(ours / "runs" / "study-manner")
    manner = manner[manner["valid"]]
    tables = {"the study": study, "ours": manner}
    flight, share, ratio = figures_published.study_load(tables).axes
    for name, table in tables.items():
        (line,) = [line for line in flight.lines if line.get_label() == name]
        assert line.get_ydata() == pytest.approx(table.groupby("vus")["in_flight"].mean())
    shares = published.call_share(study).groupby(study["vus"]).mean() * 100
    assert share.lines[0].get_ydata() == pytest.approx(shares)
    rates = study.pivot_table(index="vus", columns="pattern", values="throughput_rps")
    drawn = {float(bar[0].get_xdata()[0]): float(bar[0].get_ydata()[0]) for bar in ratio.containers[:6]}
    assert drawn == pytest.approx((rates["inputQ"] / rates["mutex"]).to_dict())
    assert all(not bar.has_yerr for bar in ratio.containers[:6]), "a single run has no interval"
    panels = figures_published.throughput(tables).axes
    assert [axes.get_title() for axes in panels] == ["the study", "ours"]
    assert math.isclose(
        max(panels[0].lines[0].get_ydata()), study[study["pattern"] == "inputQ"]["throughput_rps"].max()
    )
