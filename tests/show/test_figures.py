import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from perfkit.analysis import statistics
from perfkit.errors import PlanError
from perfkit.record.load import load
from perfkit.show import draw, levels, words
from perfkit.show.figures import compare as figures_compare
from perfkit.show.figures import kit
from perfkit.show.figures import levels as figures_levels
from perfkit.show.figures.curves import sweep as figures
from perfkit.studies import sweep


@pytest.fixture
def table(simulated_sweep):
    return load(simulated_sweep)


def bars(axes):
    """Label → (x, y, low, high) of each error bar series."""
    found = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (segments,) = container
        ends = np.array([segment[:, 1] for segment in segments.get_segments()])
        found[container.get_label()] = (line.get_xdata(), line.get_ydata(), ends[:, 0], ends[:, 1])
    return found


def dots(axes, name):
    lines = [line for line in axes.lines if line.get_label() == f"_{name} trials"]
    return sorted(float(y) for line in lines for y in line.get_ydata())


@pytest.mark.parametrize(
    ("figure", "metric", "unit"),
    [(figures.throughput, "throughput_rps", "per second"), (figures.cpu_per_call, "cpu_per_call_us", "µs")],
)
def test_every_trial_is_a_dot_and_the_mean_has_its_interval(table, figure, metric, unit):
    (axes,) = figure(table).axes
    for arm, name in words.labels(table).items():
        mine = table[table["arm"] == arm]
        assert dots(axes, name) == pytest.approx(sorted(mine[metric]))
        x, y, low, high = bars(axes)[name]
        for number, (vus, level) in enumerate(mine.groupby("vus")):
            expected = statistics.mean(level[metric].tolist())
            assert x[number] == pytest.approx(vus, rel=kit.DODGE)
            assert (y[number], low[number], high[number]) == pytest.approx(
                (expected.estimate, expected.low, expected.high)
            )
    assert unit in axes.get_ylabel()
    assert "VUs" in axes.get_xlabel()
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"mutex", "inputQ"}


def test_the_arms_differ_in_marker_and_line_and_not_in_colour_alone(table):
    (axes,) = figures.throughput(table).axes
    lines = [container[0] for container in axes.containers]
    for of in ("get_marker", "get_linestyle", "get_color"):
        assert len({getattr(line, of)() for line in lines}) == 2


def test_the_first_figures_title_is_the_answer(table):
    title = figures.throughput(table).get_suptitle().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
    assert title == levels.headline(table)


def test_latency_is_drawn_on_one_logarithmic_axis_for_three_percentiles(table):
    panels = figures.latency(table).axes
    assert [axes.get_title() for axes in panels] == ["p50", "p95", "p99"]
    for axes, metric in zip(panels, ("p50_ms", "p95_ms", "p99_ms"), strict=True):
        assert axes.get_yscale() == "log"
        for arm, name in words.labels(table).items():
            assert dots(axes, name) == pytest.approx(sorted(table.loc[table["arm"] == arm, metric].dropna()))
    assert "ms" in panels[0].get_ylabel()


def test_the_distribution_has_a_line_a_block_and_stretches_the_tail(table):
    (axes,) = figures.latency_distribution(table).axes
    highest = table[table["vus"] == table["vus"].max()]
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert len(thin) == len(highest)
    ticks = dict(zip([text.get_text() for text in axes.get_xticklabels()], axes.get_xticks(), strict=True))
    assert ticks["90 %"] == pytest.approx(1)
    assert ticks["99.9 %"] == pytest.approx(3)
    drawn = {tuple(np.round(line.get_ydata(), 9)) for line in thin}
    assert drawn == {tuple(np.round(list(curve.values()), 9)) for curve in highest["percentiles_ms"]}
    assert all((np.diff(line.get_xdata()) > 0).all() and (np.diff(line.get_ydata()) >= 0).all() for line in thin)


def test_the_price_is_drawn_as_the_statistics_have_it(simulated_sweep):
    found = sweep.answer(simulated_sweep)
    cpu, throughput = figures_levels.price(found).axes
    ((arm, over),) = found.over.items()
    assert arm.startswith("threads/inputQ")
    for axes, metric in ((cpu, "cpu_per_call_us"), (throughput, "throughput_rps")):
        expected = [one.ratio for one in over[metric].ratios]
        if over[metric].together:
            expected.append(over[metric].together.ratio)
        assert [float(one[0].get_ydata()[0]) for one in axes.containers] == pytest.approx(expected)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "5", "all"]
        assert "times mutex's" in axes.get_ylabel()


def test_the_first_figure_has_throughput_and_latency_and_its_answer_as_title(simulated_sweep, table):
    found = sweep.answer(simulated_sweep)
    figure = figures_levels.served(found)
    assert [axes.get_title() for axes in figure.axes][:2] == ["throughput", "latency, p50"]
    assert dots(figure.axes[0], "mutex") == pytest.approx(
        sorted(table.loc[table["pattern"] == "mutex", "throughput_rps"])
    )
    title = figure.get_suptitle().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
    assert title == levels.sentence(found, "throughput_rps")


def test_the_instrument_shows_the_load_beside_its_limits(table):
    in_flight, busy, cores = figures.instrument(table).axes
    assert dots(in_flight, "mutex") == pytest.approx(sorted(table.loc[table["pattern"] == "mutex", "in_flight"]))
    assert any(line.get_label() == "limit, 0.9" and set(line.get_ydata()) == {0.9} for line in busy.lines)
    assert dots(cores, "inputQ") == pytest.approx(sorted(table.loc[table["pattern"] == "inputQ", "server_cores"]))


def test_trials_that_k6_limited_are_hollow(table):
    table.loc[table["vus"] == 5, "flags"] = "generator limited"
    figure = figures.throughput(table)
    faces = {line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_label().endswith("trials")}
    assert "none" in faces
    assert "hollow" in figure.get_supxlabel()


@pytest.mark.slow
def test_one_block_and_one_arm_can_be_drawn(table):
    for few in (table[table["block"] == 0], table[table["pattern"] == "mutex"], table.assign(valid=False)):
        for figure in figures.ALL.values():
            figure(few).draw_without_rendering()


@pytest.mark.full
def test_drawing_writes_png_and_svg_and_gives_the_same_bytes_again(simulated_sweep, tmp_path):
    shutil.copytree(simulated_sweep, tmp_path / "run")
    for name in (*figures.ALL, *figures_levels.ALL):
        image = draw(name, tmp_path / "run")
        path = tmp_path / "run" / "figures" / name
        first = [path.with_suffix(end).read_bytes() for end in (".png", ".svg")]
        assert image.data == first[0]
        assert first[0].startswith(b"\x89PNG")
        assert b"<svg" in first[1]
        if name == "levels":
            draw(name, tmp_path / "run")
            assert [path.with_suffix(end).read_bytes() for end in (".png", ".svg")] == first


def test_a_pattern_has_one_colour_and_one_marker_in_every_figure(table, compared):
    (axes,) = figures.throughput(table).axes
    lines = {container.get_label(): container[0] for container in axes.containers}
    for pattern in ("mutex", "inputQ"):
        style = kit.STYLES[pattern]
        assert (lines[pattern].get_color(), lines[pattern].get_marker()) == (style.colour, style.marker)
    answer = figures_compare.inputs(compared)[0]
    assert figures_compare.role_styles(answer.plan)["b"] == kit.STYLES["inputQ"]
    assert figures_compare.role_styles(answer.plan)["a"] == kit.STYLES["mutex"]


def test_any_factor_can_be_the_axis(table):
    """Here workers: arms that differ in nothing else are one line."""
    many = table[table["vus"] == 5].assign(workers=20)
    many["arm"] = many["arm"].str.replace("workers=10", "workers=20")
    both = pd.concat([table[table["vus"] == 5], many])
    for draw_it, metric in ((figures.throughput, "throughput_rps"), (figures.cpu_per_call, "cpu_per_call_us")):
        (axes,) = draw_it(both, "workers").axes
        assert "worker threads" in axes.get_xlabel()
        assert {text.get_text() for text in axes.get_legend().get_texts()} == {"mutex", "inputQ"}
        for pattern in ("mutex", "inputQ"):
            x, y, _, _ = bars(axes)[pattern]
            assert list(x) == pytest.approx([10, 20], rel=kit.DODGE)
            mean = statistics.mean(table.loc[(table["vus"] == 5) & (table["pattern"] == pattern), metric].tolist())
            assert list(y) == pytest.approx([mean.estimate] * 2)


@pytest.mark.parametrize(("factor", "levels"), [("hold_us", [0, 100]), ("loop", ["asyncio", "uvloop"])])
def test_an_axis_takes_zero_and_words(table, factor, levels):
    parts = [table[table["vus"] == 5].assign(**{factor: level}) for level in levels]
    (axes,) = figures.throughput(pd.concat(parts), factor).axes
    axes.figure.draw_without_rendering()
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(level) for level in levels]
    assert axes.get_xscale() == "linear"


def test_an_unknown_figure_is_refused_with_those_that_there_are(simulated_sweep):
    with pytest.raises(PlanError, match="figure 'pie' is unknown; the figures are: levels, price, "):
        draw("pie", simulated_sweep)


def test_a_users_own_style_does_not_reach_a_figure(simulated_sweep, tmp_path):
    import matplotlib as mpl

    shutil.copytree(simulated_sweep, tmp_path / "run")
    with mpl.rc_context({"savefig.format": "pdf", "text.usetex": True, "axes.facecolor": "black"}):
        image = draw("throughput", tmp_path / "run")
    assert image.data.startswith(b"\x89PNG")
    assert (tmp_path / "run/figures/throughput.png").read_bytes().startswith(b"\x89PNG")
