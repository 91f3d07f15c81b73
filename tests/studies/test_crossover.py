"""The map of two factors: its plans, a small one really measured, and what the stored one says."""

import re

import pytest

import perfkit
from perfkit.design.paired import timeout_s
from perfkit.design.plan import some_wait
from perfkit.errors import PlanError, StoreError
from perfkit.record.load import load_plan
from perfkit.show.curves import crossover as said
from perfkit.studies import crossover
from tests.support import ROOT

SMALL = {
    "measure": True, "method": "solo", "x_levels": "1,5", "y_levels": "0,500", "arms": "mutex,inputQ?batch=10",
    "repeats": 1, "vus": 20,
    "duration_s": 2, "warmup_s": 0.4, "stages_at": 500, "keys": 4,
}  # fmt: skip


def plans(**values):
    return crossover.STUDY.plans(**values)


def test_each_cell_has_every_arm_and_they_are_neighbours_in_time():
    planned = plans(x_levels="1,10", y_levels="0,100", method="solo")["map"]
    assert planned.axes == ("vus", "sync_us")
    assert len(planned.cells) == 2 * 2 * 4
    for number in range(3):
        block = planned.block(number)
        for first in range(0, len(block), 4):
            places = {(one.load.vus, one.seats[0].arm.sync_us) for one in block[first : first + 4]}
            assert len(places) == 1


def test_by_turns_a_cell_is_one_trial_in_which_each_server_has_the_time_that_was_asked_for():
    planned = plans(x_levels="1,10", y_levels="0,100", duration_s=0.5)["map"]
    for cell in planned.cells:
        waits = cell.seats[0].arm.sync_us > 0
        assert [seat.role for seat in cell.seats] == ["a", *(() if waits else ("control",)), "b", "b", "b"]
        assert cell.load.duration_s == 0.5 * len(cell.seats)
    assert {cell.seats[0].arm.sync_us: cell.load.turn_ms for cell in planned.cells} == {0: 10, 100: 250}
    assert {timeout_s(one.method, one.seats) for one in planned.block(0) if some_wait(one.seats)} == {40}, (
        "of its server's own time, as ever"
    )
    many = "mutex,inputQ,leader,combining,inputQ?batch=5,inputQ?batch=9"
    assert len(plans(arms=many, x_levels="1", y_levels="100", stages_at="")["map"].cells[0].seats) == 6


def test_factors_of_loads_and_of_arms_make_a_map_in_any_pair():
    planned = plans(x="keys", x_levels="1,16", y="shards", y_levels="1,4", arms="mutex,inputQ", stages_at="")
    assert set(planned) == {"map", "skew"}
    places = {(one.load.keys, one.seats[0].arm.shards) for one in planned["map"].cells}
    assert places == {(1, 1), (1, 4), (16, 1), (16, 4)}
    axes = {"x": "work_us", "x_levels": "0,50", "y": "vus", "y_levels": "5,20", "stages_at": ""}
    turns = plans(**axes, arms="mutex,inputQ")
    assert {one.method for one in turns["map"].cells} == {"turns"}
    assert turns["map"].cells[0].load.turn_ms >= 10
    batched = plans(x="batch", x_levels="1,10", arms="mutex,inputQ", y_levels="0,100", stages_at="")
    assert {seat.arm.batch for one in batched["map"].cells for seat in one.seats} == {0, 1, 10}, (
        "mutex has none, and stays as it is"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": "sync_us"}, "x=sync_us and y=sync_us: a map has two factors"),
        ({"x": "colour"}, "x='colour' is none of vus, rate"),
        ({"x_levels": "1,ten"}, "x_levels='ten' is no whole number"),
        ({"y_levels": "0,0"}, "y_levels='0,0' must name each once"),
        ({"arms": "mutex"}, "a map compares arms with the first one; name two at least"),
        ({"arms": "mutex,inputQ?sync_us=5"}, "says sync_us, which is an axis of the map"),
        ({"method": "joint"}, "method=joint has no maps"),
        (
            {"arms": "mutex,inputQ?store=append", "y": "work_us"},
            "waits for a disk, which goes on while its server is st",
        ),
        ({"arms": "native/mutex,native/inputQ"}, "stages=True: arm native/mutex.* can't be watched"),
        ({"stages_at": "high"}, "stages_at='high' is no whole number"),
        ({"keys": 1}, "zipf=1 and keys=1: one key has no skew"),
    ],
)
def test_what_makes_no_map_is_refused_before_anything_starts(values, message):
    with pytest.raises(PlanError, match=message):
        plans(**values)


def test_a_folder_without_a_map_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no map; measure one with measure=True"):
        crossover.read(tmp_path)


@pytest.mark.full
@pytest.mark.load
def test_a_small_map_is_measured_drawn_and_kept(tmp_path):
    folder = perfkit.crossover(**SMALL, out=tmp_path / "map")
    found = crossover.read(folder)
    assert [(one.x, one.y) for one in found.grid.spots] == [(1, 0), (1, 500), (5, 0), (5, 500)]
    assert all(one.ratio or one.why for one in found.grid.spots)
    assert found.stages["stage_committing_us"].gt(400).all()
    assert set(found.skew["keys"]) == {4}
    text, limits = said.parts(folder)
    assert "Not known" not in limits
    assert re.search(r"inputQ\S* serves more than mutex in \d of 4 cells", text)
    for name in ("map", "cold-keys", "stages-of-a-row"):
        perfkit.draw(name, folder)
        assert (folder / f"figures/{name}.svg").exists()
    before = (folder / "map/trials.jsonl").read_bytes()
    assert perfkit.crossover(**SMALL, out=folder) == folder
    assert (folder / "map/trials.jsonl").read_bytes() == before, "what is there is kept"


@pytest.mark.full
@pytest.mark.load
def test_a_map_by_turns_has_controls_where_nothing_waits(tmp_path):
    small = {**SMALL, "method": "turns", "x_levels": "5", "repeats": 2, "stages_at": ""}
    folder = perfkit.crossover(**small, out=tmp_path / "map")
    found = crossover.read(folder)
    assert found.grid.metric == "throughput_rps"
    assert set(found.controls) == {"aa"} or not found.controls, "one block of each control"
    _, limits = said.parts(folder)
    assert "Servers took turns of 10 and 250 ms" in limits
    device = next(one for one in found.grid.trials.itertuples() if one.sync_us == 500 and one.role == "a")
    assert device.throughput_rps < 1e6 / 500, "its device does not go on while it is stopped"


@pytest.mark.slow
def test_the_stored_map_is_of_sixteen_cells_and_says_three_sentences():
    folder = perfkit.crossover()
    found = crossover.read(folder)
    assert load_plan(folder / "map").axes == ("vus", "sync_us")
    for arm in found.grid.arms:
        spots = found.grid.of(arm)
        assert len(spots) == 16
        assert all(one.ratio or one.why for one in spots)
    assert said.headline(found).count(". ") == 2
    assert len(said.table(folder).splitlines()) == 2 + 16 * len(found.grid.arms)


@pytest.mark.full
def test_owners_answer_calls_for_cold_keys_in_a_fifth_of_the_time_of_locks():
    sentence = said.cold(crossover.read(ROOT / "data/example/crossover").skew)
    ratio, low, high = map(float, re.search(r"workers, (\S+) \((\S+) to (\S+)\) times;", sentence).groups())
    assert low < ratio <= 0.2
    assert high < 0.5
