"""A knee, a law of scalability and a map, where the truth is known."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from perfkit.analysis import verdict
from perfkit.analysis.curves import grid as maps
from perfkit.analysis.curves import scalability as usl
from perfkit.analysis.curves.knee import knees
from perfkit.analysis.levels import THROUGHPUT, WAITED
from perfkit.design.plan import SOLO

MUTEX, QUEUE = "threads/mutex?workers=10", "threads/inputQ?workers=10"


def solo(**columns):
    good = {"complete": True, "valid": True, "flags": "", "dropped_total": 0, "rate": math.nan, "method": SOLO}
    return {**good, "own_s": 1.0, "server_cpu_s": 0.99, "store": "memory", **columns}


def rates(p99_ms, blocks=6, sd=0.05, drops=(), flagged=()):
    """Solo trials of one arm: rate → true p99."""
    random = np.random.default_rng(4)
    return pd.DataFrame(
        [
            solo(block=block, rate=rate, arm=MUTEX, p99_ms=true * math.exp(random.normal(0, sd)),
                 dropped_total=5 if rate in drops else 0, flags="generator limited" if rate in flagged else "")
            for block in range(blocks)
            for rate, true in p99_ms.items()
        ]
    )  # fmt: skip


def knee(*arguments, **options):
    (found,) = knees(rates(*arguments, **options), 20.0)
    return found.rate, found.low, found.high


def test_a_knee_lies_between_what_surely_passes_and_what_surely_fails():
    assert knee({500: 5, 1000: 8, 2000: 80, 4000: 300}) == (1000, 1000, 2000)
    assert knee({500: 5, 1000: 19, 2000: 80}, sd=0.1) == (1000, 500, 2000), "1000 passes, and not surely"
    assert knee({500: 5, 1000: 8}) == (1000, 1000, None), "what was not tried is not known"
    assert knee({500: 50, 1000: 8}) == (None, None, 500), "a higher rate does not make good a lower one"


def test_drops_fail_a_rate_whatever_the_rest_took():
    assert knee({500: 5, 1000: 5, 2000: 5}, drops=[1000, 2000]) == (500, 500, 1000)


def test_where_the_generator_was_the_limit_nothing_is_known():
    assert knee({500: 5, 1000: 5, 2000: 50}, flagged=[1000, 2000]) == (500, 500, None)


def test_one_block_has_no_sure_ends():
    assert knee({500: 5, 1000: 50}, blocks=1) == (500, None, None)


def scaled(contention, coherency, seed, blocks=8, noise=0.04, levels=(1, 2, 4, 8, 16, 32)):
    random = np.random.default_rng(seed)
    speeds = np.exp(random.normal(0, 0.1, blocks))
    return pd.DataFrame(
        [
            solo(block=block, vus=vus, arm=MUTEX, throughput_rps=speed * math.exp(random.normal(0, noise))
                 * float(usl.law(np.array([float(vus)]), 1000, contention, coherency)[0]))
            for block, speed in enumerate(speeds)
            for vus in levels
        ]
    )  # fmt: skip


def test_the_law_is_found_again_where_nothing_scatters():
    (found,) = usl.scalability(scaled(0.2, 0.003, seed=1, noise=0.0))
    assert found.contention.value == pytest.approx(0.2, rel=1e-6)
    assert found.coherency.value == pytest.approx(0.003, rel=1e-6)
    assert found.peak_vus == pytest.approx(math.sqrt(0.8 / 0.003), rel=1e-6)
    assert found.worst < 1e-6


@pytest.mark.full
@pytest.mark.parametrize(("contention", "coherency"), [(0.3, 0.0), (0.3, 0.005), (0.0, 0.01)])
def test_its_intervals_hold_the_truth(monkeypatch, contention, coherency):
    monkeypatch.setattr(usl, "RESAMPLES", 200)
    studies, held = 60, {"contention": 0, "coherency": 0}
    for seed in range(studies):
        (found,) = usl.scalability(scaled(contention, coherency, seed))
        for name, true in (("contention", contention), ("coherency", coherency)):
            one = getattr(found, name)
            held[name] += one.low <= true <= one.high
    # Where one of the two is truly 0 they hold 9 times out of 10 instead of 19 out of 20.
    assert min(held.values()) >= 0.85 * studies, held


@pytest.mark.full
def test_data_that_cannot_tell_contention_from_coherency_are_said_not_to():
    told = [usl.scalability(scaled(0.005, 0.0002, seed, blocks=5, noise=0.2))[0].is_told_apart for seed in range(10)]
    assert sum(told) <= 3
    assert usl.scalability(scaled(0.3, 0.005, 1))[0].is_told_apart


def test_few_levels_or_blocks_make_no_law():
    assert usl.scalability(scaled(0.3, 0.0, 1, levels=(1, 2, 4, 8))) == []
    assert usl.scalability(scaled(0.3, 0.0, 1, blocks=4)) == []


def cells(ratios, blocks=5, sd=0.03, flags=(), busy=0.99):
    """A map of one queue and the lock: (vus, sync_us) → true ratio."""
    random = np.random.default_rng(2)
    table = []
    for block in range(blocks):
        for (vus, sync_us), ratio in ratios.items():
            suffix = f"&sync_us={sync_us}" if sync_us else ""
            speed = math.exp(random.normal(0, 0.2))
            for arm, role, true in ((MUTEX, "a", 1.0), (QUEUE, "b", ratio)):
                served = 1000 * speed * true * math.exp(random.normal(0, sd))
                flag = "generator limited" if (vus, sync_us) in flags else ""
                table.append(solo(block=block, vus=vus, sync_us=sync_us, arm=arm + suffix, role=role,
                                  throughput_rps=served, server_cpu_s=busy, flags=flag))  # fmt: skip
    return maps.grid(pd.DataFrame(table), ("vus", "sync_us"), THROUGHPUT, 10.0)


def test_a_map_has_a_ratio_a_cell_and_says_why_it_has_none():
    found = cells({(10, 0): 1.0, (10, 1000): 3.0, (100, 0): 0.6, (100, 1000): 6.0}, flags=[(100, 0)])
    said = {(one.x, one.y): one for one in found.spots}
    assert (found.baseline, found.arms) == (MUTEX, (QUEUE,)), "arms are called without the map's factors"
    assert (found.levels("x"), found.levels("y")) == ([10, 100], [0, 1000])
    assert said[10, 1000].verdict == said[100, 1000].verdict == verdict.DEARER
    assert said[10, 0].verdict == verdict.NO_RELEVANT
    assert said[100, 0].why == "generator limited"
    assert said[100, 0].ratio is None
    assert said[10, 1000].ratio.ratio == pytest.approx(3, rel=0.1)


def test_a_difference_of_servers_that_waited_for_their_load_is_none_but_a_device_is_no_load():
    found = cells({(1, 0): 0.8, (10, 0): 0.3, (1, 1000): 0.8, (10, 1000): 3.0}, busy=0.6)
    said = {(one.x, one.y): one for one in found.spots}
    assert (said[1, 0].verdict, said[1, 0].why) == (verdict.NOT_KNOWN, WAITED)
    assert said[1, 0].ratio.ratio == pytest.approx(0.8, rel=0.1), "the number stays"
    assert said[10, 0].verdict == said[1, 1000].verdict == verdict.CHEAPER
    assert said[10, 1000].verdict == verdict.DEARER


def test_what_is_not_known_says_how_many_blocks_would_tell():
    found = cells({(1, 0): 1.0, (10, 0): 1.0, (1, 1000): 1.0, (10, 1000): 1.0}, sd=0.2)
    for one in found.spots:
        more, taken = re.fullmatch(r"too wide: about (\d+) blocks would tell, (\d+) were taken", one.why).groups()
        assert int(more) > int(taken) == 5
    assert {one.why for one in cells({(1, 0): 1.0, (10, 5): 1.0}, blocks=1).spots} == {"one block gives no interval"}


@pytest.mark.full
def test_a_sign_counts_only_where_it_holds_for_the_whole_map():
    """Where nothing differs, a cell in twenty is beyond its own interval, and in 19 maps of 20 none has a sign."""
    wrong = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        ratios = {(vus, sync_us): 1.0 for vus in (1, 10, 100, 500) for sync_us in (0, 100, 1000, 10000)}
        table = pd.DataFrame(
            [
                solo(block=block, vus=vus, sync_us=sync_us, arm=arm, role=role,
                     throughput_rps=math.exp(random.normal(0, 0.2)))
                for block in range(4)
                for vus, sync_us in ratios
                for arm, role in ((MUTEX, "a"), (QUEUE, "b"))
            ]
        )  # fmt: skip
        found = maps.grid(table, ("vus", "sync_us"), THROUGHPUT, 1.0)
        wrong += any(one.verdict in (verdict.DEARER, verdict.CHEAPER) for one in found.spots)
    assert wrong <= 5
