import json
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit import serve
from perfkit.counters import PATTERNS as COUNTERS
from perfkit.errors import PlanError
from perfkit.plan import ENGINES, PATTERNS, STUDY_LEVELS, Arm, Plan, parse_arm, plan_sweep


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
    assert plan_sweep(vus=vus).levels == levels


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vus": 0}, r"vus=0 is no whole number from 1; e\.g|vus=0 is no whole number from 1; vus=500"),
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
        ({"seed": -1}, "seed=-1"),
        ({"pin": "perhaps"}, "pin='perhaps'"),
        ({"arms": "mutex,spinlock"}, "arm 'spinlock' is unknown; an arm is a pattern"),
        ({"arms": "fibers/mutex"}, "arm 'fibers/mutex' is unknown"),
        ({"arms": "mutex?wrkers=3"}, "is unknown"),
        ({"arms": "mutex?workers=0"}, "workers of arm .*='0'|workers of arm"),
        ({"arms": "mutex,threads/mutex"}, "names an arm twice"),
        ({"arms": ""}, "arm '' is unknown"),
        ({"arms": []}, r"arms=\[\] names no arm"),
        ({"arms": 3}, "arms=3 names no arm"),
    ],
)
def test_what_makes_no_experiment_is_refused_by_its_value(parameters, message):
    with pytest.raises(PlanError, match=message):
        plan_sweep(**parameters)


def test_more_vus_than_files_can_be_open_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    with pytest.raises(PlanError, match=r"vus=100000: .*20000 open files; .*19800 VUs"):
        plan_sweep(vus=100_000)
    assert plan_sweep(vus=[19_800]).levels == (19_800,)


def test_parameters_may_come_as_text():
    as_text = plan_sweep(vus="500", duration_s="3", repeats="5", rate="None", pin="true", seed="1", workers="4")
    assert as_text == plan_sweep(vus=500, duration_s=3, repeats=5, rate=None, pin=True, seed=1, workers=4)


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("inputQ", Arm("threads", "inputQ", 10)),
        ("inputq", Arm("threads", "inputQ", 10)),
        (" threads/mutex ", Arm("threads", "mutex", 10)),
        ("threads/mutex?workers=4", Arm("threads", "mutex", 4)),
        ("mutex?burn_us=10", Arm("threads", "mutex", 10, 10)),
    ],
)
def test_an_arm_reads_back_from_its_name(text, arm):
    assert parse_arm(text, workers=10) == arm
    assert parse_arm(arm.name, workers=1) == arm


def test_every_block_takes_every_arm_at_every_level_once():
    plan = plan_sweep(vus=300, repeats=3)
    for block in range(plan.repeats):
        taken = [(trial.load.vus, trial.arm) for trial in plan.block(block)]
        assert sorted(taken, key=str) == sorted(((vus, arm) for vus in plan.levels for arm in plan.arms), key=str)
        assert {trial.block for trial in plan.block(block)} == {block}


def test_the_arms_of_a_level_are_neighbours_in_time():
    for block in range(10):
        levels = [trial.load.vus for trial in plan_sweep(vus=500).block(block)]
        assert levels[::2] == levels[1::2]


def test_the_order_comes_from_the_seed_and_differs_between_blocks():
    plan, again, other = plan_sweep(seed=1), plan_sweep(seed=1), plan_sweep(seed=2)
    orders = [plan.block(block) for block in range(20)]
    assert orders == [again.block(block) for block in range(20)]
    assert orders != [other.block(block) for block in range(20)]
    firsts = {order[0].arm.pattern for order in orders}
    assert firsts == set(PATTERNS), "one arm always goes first"


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=6, unique=True),
    st.integers(1, 9),
    st.integers(0, 99),
    st.none() | st.integers(1, 10**6),
    st.booleans(),
)
def test_a_plan_survives_json(levels, repeats, seed, rate, pin):
    plan = plan_sweep(vus=levels, repeats=repeats, seed=seed, rate=rate, pin=pin)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_what_can_be_asked_for_can_be_served():
    assert set(ENGINES) == set(serve.ENGINES)
    assert set(PATTERNS) == set(COUNTERS)
