import shutil

import numpy as np
import pytest

import perfkit
from perfkit.analysis import comparison
from perfkit.record.load import load
from perfkit.show import draw, words
from perfkit.show.figures import compare as figures_compare
from tests.support.comparisons import NO_SOLO, PLAN, alone, answer, joint


@pytest.fixture
def told():
    return answer(ratio=1.1), joint(ratio=1.1), NO_SOLO


def test_the_forest_has_b_and_both_controls_with_a_dot_a_block(told):
    made, table, _ = told
    figure = figures_compare.forest(*told)
    (axes,) = figure.axes
    assert figure.get_suptitle().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") == words.sentence(made)
    expected = [made.cpu_per_call, made.controls["aa"].result, made.controls["handicap"].result]
    for container, found in zip(axes.containers, expected, strict=True):
        line, _, (segments,) = container
        assert float(line.get_xdata()[0]) == pytest.approx(found.ratio)
        assert segments.get_segments()[0][:, 0] == pytest.approx(found.interval)
    dots = [line for line in axes.lines if line.get_marker() == "."]
    wide = table.pivot_table(index="block", columns="role", values="cpu_per_call_us")
    for line, role in zip(dots, ("b", "aa", "handicap"), strict=True):
        assert line.get_xdata() == pytest.approx(wide[role] / wide["a"])
    assert any(text.get_text() == "margin, ±3 %" for text in axes.get_legend().get_texts())
    assert "CPU per call" in axes.get_xlabel()


def test_the_interval_narrows_as_the_statistics_have_it(told):
    (axes,) = figures_compare.narrowing(*told).axes
    steps = comparison.narrowing(PLAN, told[1])
    line = next(line for line in axes.lines if line.get_label() == "ratio b to a")
    assert line.get_xdata() == pytest.approx([spent for spent, _ in steps])
    assert line.get_ydata() == pytest.approx([one.ratio for _, one in steps])


def test_solo_beside_joint_draws_both_intervals_and_says_how_much_wider_one_is():
    tables = joint(ratio=1.1, blocks=20), alone(ratio=1.1, blocks=20)
    made = comparison.answer(PLAN, *tables)
    figure = figures_compare.both_ways(made, *tables)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "CPU per call, joint", "CPU per call, solo", "throughput, solo", "p50, solo", "p95, solo", "p99, solo"
    ]  # fmt: skip
    middles = [float(container[0].get_xdata()[0]) for container in left.containers]
    assert middles == pytest.approx(
        [
            made.cpu_per_call.ratio,
            *(made.solo[name].ratio for name in ("cpu_per_call", "throughput", "p50", "p95", "p99")),
        ]
    )
    lines = {line.get_label(): line for line in right.lines}
    for name, table in zip(("joint trials", "solo trials"), tables, strict=True):
        steps = [step for step in comparison.narrowing(PLAN, table) if step[1].blocks >= 6]
        assert lines[name].get_xdata() == pytest.approx([spent for spent, _ in steps])
        assert lines[name].get_ydata() == pytest.approx([one.half_width_pct for _, one in steps])
    at_80_s = {"joint": lines["joint trials"].get_ydata()[-1], "solo": lines["solo trials"].get_ydata()[7]}
    title = figure.get_suptitle().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
    assert title.startswith("In 80 s of trials")
    assert f"{at_80_s['solo'] / at_80_s['joint']:.1f} times as wide" in title


def test_a_real_comparison_is_drawn_whole_and_written(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "run")
    made = perfkit.answer(tmp_path / "run")
    for name in figures_compare.ALL:
        assert draw(name, tmp_path / "run").data.startswith(b"\x89PNG")
        assert (tmp_path / "run" / "figures" / f"{name}.svg").exists()
    table = load(compared, "turns")
    left, right = figures_compare.shares(made, table, load(compared)).axes
    drawn = sorted(float(y) for line in left.lines if line.get_label() != "equal" for y in line.get_ydata())
    assert drawn == pytest.approx(sorted(table["share"]))
    assert sorted(set(np.concatenate([line.get_ydata() for line in right.lines]))) == pytest.approx(
        sorted({*table["generator_busy"], 0.9})
    )


def test_a_comparison_that_can_not_be_trusted_is_drawn_too():
    table = joint(blocks=1, flags="x").assign(share=0.25, generator_busy=0.5)
    for figure in figures_compare.ALL.values():
        figure(answer(blocks=1), table, NO_SOLO).draw_without_rendering()


def test_an_equal_share_is_that_of_the_servers_of_one_trial():
    """A block has one of the two handicaps, so there are more roles than servers."""
    table = joint().assign(share=0.25, generator_busy=0.5)
    table.loc[(table["role"] == "handicap") & (table["block"] % 2 == 1), "role"] = "small handicap"
    left, _ = figures_compare.shares(answer(), table, NO_SOLO).axes
    (equal,) = [line for line in left.lines if line.get_label() == "equal"]
    assert set(equal.get_ydata()) == {0.25}
