import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.design import stored
from perfkit.design.arms import Arm
from perfkit.design.paired import Pilot, piloted
from perfkit.design.parameters import STUDY_LEVELS
from perfkit.design.plan import SOLO, TURNS
from perfkit.errors import PlanError
from tests.support.plans import plan_compare, plan_sweep


def levels_of(plan):
    return tuple(dict.fromkeys(cell.load.vus for cell in plan.cells))


@pytest.mark.parametrize(
    ("vus", "levels"),
    [
        (500, (10, 100, 200, 300, 500)),
        (1000, STUDY_LEVELS),
        (10, (10,)),
        (50, (10, 50)),
        (2000, (*STUDY_LEVELS, 2000)),
        ("300", (10, 100, 200, 300)),
        ("10,50", (10, 50)),
        (" 50 , 10 ", (10, 50)),
        ("50,", (50,)),
        ([7], (7,)),
        ((20, 5), (5, 20)),
    ],
)
def test_a_number_of_vus_is_a_ceiling_and_a_list_is_just_those(vus, levels):
    assert levels_of(plan_sweep(vus=vus)) == levels


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vus": 0}, "vus=0 is no whole number from 1; vus=500"),
        ({"vus": -5}, "vus=-5"),
        ({"vus": "abc"}, "vus='abc'"),
        ({"vus": True}, "vus=True"),
        ({"vus": 2.5}, r"vus=2\.5"),
        ({"vus": float("nan")}, "vus=nan"),
        ({"vus": []}, r"vus=\[\] names no level"),
        ({"vus": ","}, r"vus=\[\] names no level"),
        ({"vus": [10, 10]}, r"vus=\[10, 10\] names a level twice"),
        ({"vus": "10,x"}, "vus='x'"),
        ({"vus": None}, "vus=None"),
        ({"duration_s": 0}, "duration_s=0 is no number of seconds"),
        ({"duration_s": "inf"}, "duration_s='inf'"),
        ({"duration_s": 0.5, "warmup_s": 0.2}, r"0\.7 s together"),
        ({"warmup_s": -1}, "warmup_s=-1"),
        ({"repeats": 0}, "repeats=0"),
        ({"rate": 0}, "rate=0"),
        ({"rate": 1.5}, r"rate=1\.5"),
        ({"workers": 0}, "workers=0"),
        ({"method": "both"}, "method='both' is none of turns, joint, solo"),
        ({"rate": 100}, "rate=100 is of solo trials, and method=turns; say method=solo or leave it"),
        ({"rate": 100, "method": "joint"}, "rate=100 is of solo trials, and method=joint"),
        ({"connect_per_iteration": True}, "connect_per_iteration=True is of solo trials, and method=turns"),
        ({"arms": "mutex?store=append,inputQ"}, r"waits for a disk, which goes on .* by solo trials \(method=solo\)"),
        ({"margin_pct": 100}, "margin_pct=100 is no number of per cent"),
        ({"seed": -1}, "seed=-1"),
        ({"pin": "perhaps"}, "pin='perhaps'"),
        ({"arms": "mutex,spinlock"}, "arm 'spinlock' is unknown; an arm is a pattern"),
        ({"arms": "fibers/mutex"}, "arm 'fibers/mutex' is unknown"),
        ({"arms": "mutex?wrkers=3"}, "is unknown"),
        (
            {"arms": "mutex?workers=0"},
            r"in arm 'mutex\?workers=0', workers='0' is no whole number from 1; e.g. workers=10",
        ),
        ({"arms": "mutex,threads/mutex"}, "names an arm twice"),
        ({"arms": ""}, "arm '' is unknown"),
        ({"arms": []}, r"arms=\[\] names no arm"),
        ({"arms": 3}, "arms=3 names no arm"),
    ],
)
def test_what_makes_no_experiment_is_refused_by_its_value(parameters, message):
    with pytest.raises(PlanError, match=message):
        plan_sweep(**parameters)


def test_parameters_may_come_as_text():
    as_text = plan_sweep(vus="500", duration_s="3", repeats="5", rate="None", pin="true", seed="1", workers="4")
    assert as_text == plan_sweep(vus=500, duration_s=3, repeats=5, rate=None, pin=True, seed=1, workers=4)


def test_every_block_takes_every_arm_at_every_level_once():
    plan = plan_sweep(vus=300, repeats=3, method="solo")
    for block in range(plan.stop.blocks):
        taken = [(trial.load.vus, trial.seats[0].arm) for trial in plan.block(block)]
        assert sorted(taken, key=str) == sorted(((vus, arm) for vus in levels_of(plan) for arm in plan.arms), key=str)
        assert {trial.block for trial in plan.block(block)} == {block}


@pytest.mark.parametrize("method", ["turns", "joint"])
def test_a_sweep_has_a_trial_of_all_arms_at_each_level_and_solo_ones_in_some_blocks(method):
    plan = plan_sweep(vus="10,20", method=method, arms="inputQ,mutex,mutex?workers=4", repeats=12)
    solo_blocks = []
    for block in range(12):
        together = [trial for trial in plan.block(block) if trial.method == method]
        assert sorted(trial.load.vus for trial in together) == [10, 20]
        assert sorted(seat.role for seat in together[0].seats) == ["a", "b", "b", "control"]
        solo = [trial for trial in plan.block(block) if trial.method == SOLO]
        solo_blocks += [block] * bool(solo)
        assert len(solo) in (0, 6)
    assert solo_blocks == [0, 4, 8]
    assert plan.arm("a").pattern == "inputQ", "the first named"
    assert plan.stop.blocks == 12


@pytest.mark.parametrize(("repeats", "blocks"), [(1, [0]), (2, [0, 1]), (5, [0, 2, 4]), (100, [0, 34, 68])])
def test_no_more_than_three_blocks_have_solo_trials(repeats, blocks):
    plan = plan_sweep(vus="10,", repeats=repeats)
    assert [n for n in range(repeats) if any(trial.method == SOLO for trial in plan.block(n))] == blocks


def test_controls_alternate_and_the_handicap_burns_what_the_pilot_says():
    plan = plan_sweep(vus="10,")
    for block, (role, burn_us) in enumerate([("aa", 0), ("handicap", 20)] * 2):
        (trial,) = [trial for trial in plan.block(block) if trial.method == TURNS]
        (control,) = [seat for seat in piloted(trial, Pilot(300.0)).seats if seat.role not in ("a", "b")]
        assert (control.role, control.arm.burn_us, control.arm.pattern) == (role, burn_us, "mutex")


def test_a_foreign_command_named_first_has_controls_that_it_can_carry():
    plan = plan_sweep(vus="10,", arms=["exec:./server --port {port}", "mutex"])
    roles = {seat.role for trial in plan.block(0) if trial.method == TURNS for seat in trial.seats}
    assert roles == {"a", "aa", "yardstick", "handicap", "b"}


def test_one_arm_alone_is_measured_one_at_a_time():
    assert {trial.method for trial in plan_sweep(arms="mutex").block(1)} == {SOLO}


def test_the_arms_of_a_level_are_neighbours_in_time():
    for block in range(10):
        levels = [trial.load.vus for trial in plan_sweep(vus=500, method="solo").block(block)]
        assert levels[::2] == levels[1::2]


def test_the_order_comes_from_the_seed_and_differs_between_blocks():
    plan, again, other = (plan_sweep(seed=seed, method="solo") for seed in (1, 1, 2))
    orders = [plan.block(block) for block in range(20)]
    assert orders == [again.block(block) for block in range(20)]
    assert orders != [other.block(block) for block in range(20)]
    firsts = {order[0].seats[0].arm.pattern for order in orders}
    assert firsts == {"mutex", "inputQ"}, "one arm always goes first"


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=6, unique=True),
    st.integers(1, 9),
    st.integers(0, 99),
    st.none() | st.integers(1, 10**6),
    st.booleans(),
)
def test_a_plan_survives_json(levels, repeats, seed, rate, pin):
    plan = plan_sweep(vus=levels, repeats=repeats, seed=seed, rate=rate, pin=pin, method="solo" if rate else "turns")
    assert stored.plan(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_comparison_has_a_trial_by_turns_a_block_with_its_controls():
    plan = plan_compare()
    (trial,) = plan.block(0)
    arms = {seat.role: seat.arm for seat in trial.seats}
    assert arms["a"] == arms["aa"] == Arm("threads", "mutex", 10)
    assert arms["handicap"] == Arm("threads", "mutex", 10)  # until it is known what a call costs
    assert arms["b"] == Arm("threads", "inputQ", 10)
    assert trial.method == TURNS
    assert trial.load.turn_ms == 10
    assert trial.load.rate is None


def test_a_comparisons_order_is_random_and_seeded():
    orders = [tuple(seat.role for seat in plan_compare().block(block)[0].seats) for block in range(30)]
    assert len(set(orders)) > 10
    assert {order[0] for order in orders} == {"a", "aa", "handicap", "b"}
    assert orders == [tuple(seat.role for seat in plan_compare().block(block)[0].seats) for block in range(30)]


def test_solo_trials_stand_in_the_same_blocks():
    plan = plan_compare(solo=True, rate=300)
    trials = plan.block(0)
    assert sorted(trial.seats[0].role for trial in trials if trial.method == SOLO) == ["a", "b", "handicap"]
    assert {trial.load.rate for trial in trials} == {None, 300}
    firsts = {plan.block(block)[0].method == TURNS for block in range(20)}
    assert firsts == {True, False}


def test_a_foreign_a_is_measured_beside_perfkits_own_handicap():
    plan = plan_compare(a="exec:./server --port {port}")
    arms = {seat.role: seat.arm for seat in plan.block(0)[0].seats}
    assert arms["a"].command == arms["aa"].command == "./server --port {port}"
    assert arms["yardstick"] == Arm("threads", "mutex", 10)
    assert arms["handicap"] == Arm("threads", "mutex", 10)


@pytest.mark.parametrize(("cost_us", "burns_us"), [(90, (6, 2)), (2000, (133, 40)), (14, (1, 1))])
def test_a_handicap_is_scaled_to_the_cost_of_a_call_and_takes_two_sizes_in_turn(cost_us, burns_us):
    plan = plan_compare(a="mutex?burn_us=5", method="solo")
    for block, (role, burn_us) in enumerate(zip(("handicap", "small handicap"), burns_us, strict=True)):
        arms = {seat.role: seat.arm for trial in plan.block(block) for seat in piloted(trial, Pilot(cost_us)).seats}
        assert arms[role].burn_us == 5 + burn_us
        assert {"a", "aa", "b", role} == set(arms)
        assert arms["a"].burn_us == 5


def test_a_comparison_survives_json():
    plan = plan_compare(a="exec:./server {port}", solo=True, rate=5)
    assert stored.plan(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a": "threads/spin"}, "arm 'threads/spin' is unknown"),
        ({"b": "exec:./server"}, r"'exec:\./server' does not say where the port goes; write \{port\}"),
        ({"b": "exec:"}, "does not say where the port goes"),
        ({"b": "exec:'./server {port}"}, "can't be read as a command"),
        ({"vus": 0}, "vus=0"),
        ({"budget_s": 0}, "budget_s=0"),
        ({"precision_pct": -1}, "precision_pct=-1 is no number of per cent"),
        ({"margin_pct": 100}, "margin_pct=100"),
        ({"solo": "perhaps"}, "solo='perhaps'"),
        ({"rate": 100}, "rate=100 is of solo trials, and solo=False"),
        ({"method": "both"}, "method='both' is none of turns, joint, solo; say method=turns"),
        ({"turn_ms": 2}, "turn_ms=2 is no whole number from 5"),
        ({"method": "joint", "turn_ms": 20}, "turn_ms=20 is of trials by turns, and method=joint"),
        (
            {"turn_ms": 2000},
            "turn_ms=2000: a server could stand still for 12 s, too near to a call's time limit",
        ),
        (
            {"b": "inputQ?hold_us=5", "duration_s": 1},
            r"duration_s=1: 4 servers with turns of 250 ms need 2 s, .*method=solo",
        ),
        ({"b": "inputQ?store=sqlite"}, r"waits for a disk, which goes on while its server is stopped; .*method=solo"),
        ({"workers": 151}, r"each turn wakes all workers, and more than 150 would cost too much of it; .*method=solo"),
        ({"b": "exec:docker run x {port}"}, r"arm exec:docker run x \{port\} starts a container"),
    ],
)
def test_what_makes_no_comparison_is_refused_by_its_value(parameters, message):
    with pytest.raises(PlanError, match=message):
        plan_compare(**parameters)


@pytest.mark.parametrize(
    "arms",
    [{"b": "inputQ?store=append"}, {"b": "exec:docker run x {port}"}, {"a": "exec:/usr/bin/podman run x {port}"}],
)
def test_what_can_not_take_turns_can_be_compared_by_solo_trials(arms):
    with pytest.raises(PlanError, match="method=solo"):
        plan_compare(**arms)
    plan = plan_compare(**arms, method="solo")
    roles = [seat.role for trial in plan.block(0) for seat in trial.seats]
    assert {"a", "aa", "handicap", "b"} <= set(roles)
    assert {trial.method for trial in plan.block(0)} == {SOLO}
    assert plan.paired == SOLO


@pytest.mark.parametrize(
    ("parameters", "turn_ms"),
    [({}, 10), ({"workers": 100}, 75), ({"turn_ms": 40}, 40), ({"b": "inputQ?hold_us=5"}, 250)],
)
def test_a_turn_is_so_long_that_waking_its_workers_is_cheap_unless_its_length_is_given(parameters, turn_ms):
    (trial,) = plan_compare(**parameters).block(0)
    assert trial.load.turn_ms == turn_ms


def test_a_comparison_goes_on_with_more_budget_or_a_finer_precision_and_counts_the_looks():
    begun = plan_compare(budget_s=60, precision_pct=1)
    assert plan_compare(budget_s=60, precision_pct=1).continuing(begun) == begun
    longer = plan_compare(budget_s=90, precision_pct=1)
    extended = longer.continuing(begun)
    assert extended == replace(longer, stop=replace(longer.stop, looks=2))
    assert longer.continuing(extended) == extended, "the same asked for again"
    assert plan_compare(budget_s=90, precision_pct=0.5).continuing(extended).stop.looks == 3
    assert plan_compare(budget_s=90, precision_pct=0).continuing(begun).stop.looks == 2


@pytest.mark.parametrize(
    "other", [{"budget_s": 30}, {"precision_pct": 2}, {"vus": 30}, {"budget_s": 90, "margin_pct": 5}]
)
def test_less_or_something_else_is_no_extension(other):
    begun = plan_compare(budget_s=60, precision_pct=1)
    assert plan_compare(**{"budget_s": 60, "precision_pct": 1, **other}).continuing(begun) is None


def test_a_sweep_is_not_extended():
    assert plan_sweep(repeats=6).continuing(plan_sweep(repeats=5)) is None


def test_beside_a_command_the_controls_take_turns_block_by_block():
    plan = plan_compare(a="exec:./old {port}", b="exec:./new {port}", solo=True)

    def seated(block, method):
        (trial,) = [one for one in plan.block(block) if one.method == method][:1]
        return sorted(seat.role for seat in piloted(trial, Pilot(300.0)).seats)

    assert seated(0, "turns") == seated(2, "turns") == ["a", "aa", "b"]
    assert seated(1, "turns") == seated(3, "turns") == ["a", "b", "handicap", "yardstick"]
    assert len(seated(0, "solo")) == len(seated(1, "solo")) == 1
