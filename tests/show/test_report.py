import pandas as pd
import pytest

import perfkit
from perfkit.analysis import comparison, levels
from perfkit.rig import host
from perfkit.show import levels as shown
from perfkit.show import report, words
from tests.support.comparisons import PLAN, alone, joint
from tests.support.comparisons import answer as compared_by
from tests.support.plans import plan_compare, plan_sweep
from tests.support.sweeps import A, B
from tests.support.sweeps import table as simulated


@pytest.fixture
def here():
    from dataclasses import replace

    return replace(host.collect({"k6": "1.1.0"}), load_1m=0.0, gil=False, cores=2)


def table(**options):
    """A simulated table with what the report reads beside the metrics."""
    made = simulated(**options)
    made["pattern"] = made["arm"].map({A: "mutex", B: "inputQ"})
    defaults = {"rate": None, "in_flight": made["vus"].astype(float), "server_cpu_list": "0", "method": "solo",
                "role": made["arm"].map({A: "a", B: "b"}), "own_s": 1.0, "server_cpu_s": 1.0, "attempt": 0,
                "took_s": 3.0, "burn_us": 0, "hold_us": 0, "held_us": None}  # fmt: skip
    return made.assign(**{name: value for name, value in defaults.items() if name not in made})


def test_a_difference_is_told_with_its_size_sign_interval_and_levels():
    told = shown.headline(table(ratio=1.05, noise=0.001), "cpu_per_call_us")
    assert told.startswith("inputQ costs 5.0 %")
    assert "more CPU per call than mutex (95 % interval +" in told
    assert "6 blocks, at 10 and 100 VUs together)." in told
    assert "fewer calls per second" in shown.headline(table(ratio=0.9))


def test_no_difference_found_is_told_as_not_known_with_what_could_have_been_seen():
    told = shown.headline(table(ratio=1.0, noise=0.05, seed=1))
    assert told.startswith("Not known yet whether inputQ and mutex differ in throughput")
    assert "could have seen a difference of" in told


def test_one_block_asks_for_more():
    assert "one block gives no interval; run at least 5 (repeats=5)" in shown.headline(table(blocks=1))


def test_one_arm_gives_no_comparison():
    alone = table()
    assert "One arm alone (mutex)" in shown.headline(alone[alone["arm"] == A])


def test_no_usable_level_gives_no_verdict():
    assert shown.headline(table(flags="generator limited")).startswith("No verdict on throughput")


def sweep(here, **options):
    """What a sweep of solo trials says."""
    trials = table(**options)
    plan = plan_sweep(vus=[10, 100], method="solo")
    return report.Markdown("\n\n".join(report.of_sweep(levels.answer(plan, trials.iloc[:0], trials), here)))


def test_the_answer_begins_with_the_primary_metric_and_says_where_and_on_what(here):
    told = sweep(here)
    assert told.startswith("**The answer.** **")
    assert " CPU per call" in told.split("**")[3]
    assert "| 10 | inputQ | +" in told
    assert f"*{here.cpu_model}, {here.cores} cores" in told
    assert "24 trials one at a time in 72 s." in told
    assert told._repr_markdown_() == told


def test_a_caveat_follows_the_sentence_that_it_limits(here):
    told = sweep(here, flags="generator limited")
    throughput = told.index("No verdict on throughput")
    assert told.index("The answer.") < throughput < told.index("load generator used more than 90 %")
    few = sweep(here, blocks=4)
    assert few.index("4 blocks are few") < few.index("throughput"), "the primary metric's own come before"


@pytest.mark.parametrize(
    ("columns", "caveat"),
    [
        ({"flags": "generator limited"}, "load generator used more than 90 % of its cores"),
        (
            {"flags": "failures", "valid": False},
            "Calls failed, so nothing counts, in 24 of 24 trials (all at 10 and 100 VUs)",
        ),
        ({"flags": "lost update", "valid": False}, "contradicted what was acknowledged"),
        ({"flags": "cut off", "valid": False}, "Calls never ended, so nothing counts, in 24 of 24"),
        ({"flags": "dropped iterations"}, "no free VU"),
        ({"flags": "warm-up too short"}, "Connections were still being made"),
        ({"server_cpu_list": ""}, "were not pinned"),
        ({"in_flight": 5.0}, "At 100 VUs only 5 calls were in flight"),
    ],
)
def test_what_limits_a_run_is_said(here, columns, caveat):
    assert caveat in sweep(here, **columns)
    assert caveat not in sweep(here)


def test_few_blocks_unfinished_blocks_and_a_busy_machine_are_said(here):
    from dataclasses import replace

    assert "4 blocks are few" in sweep(here, blocks=4)
    unfinished = table()
    unfinished.loc[unfinished["block"] == 5, ["complete", "valid"]] = False
    plan = plan_sweep(vus=[10, 100], method="solo")
    told, _ = report.of_sweep(levels.answer(plan, unfinished.iloc[:0], unfinished), here)
    assert "4 trials are left out" in told
    assert "was not idle" in sweep(replace(here, load_1m=1.5))
    waited, _ = report.of_sweep(levels.answer(plan, table().iloc[:0], table().assign(hold_us=10, held_us=78.2)), here)
    assert "A wait of 10 µs was asked for of mutex; it was really 78 µs long." in waited
    assert "hardly ever contended" in sweep(replace(here, gil=True))
    working = plan_sweep(arms="mutex?work_us=20,inputQ?work_us=20")
    told = report.of_sweep(levels.answer(working, unfinished.iloc[:0], unfinished), replace(here, gil=True))
    assert "hardly ever contended" not in "".join(told), "the section does something"


def test_arms_are_called_by_their_pattern_where_that_tells_them_apart():
    assert words.labels(table()) == {A: "mutex", B: "inputQ"}
    alike = table().assign(pattern="mutex")
    assert words.labels(alike) == {A: "threads/mutex", B: "threads/inputQ"}
    several = ("threads/inputQ?workers=10", "threads/inputQ?workers=10&batch=8", "threads/mutex?workers=10&sync_us=500")
    patterns = ["inputQ", "inputQ", "mutex"]
    arms = pd.DataFrame({"arm": several, "pattern": patterns})
    assert list(words.labels(arms).values()) == ["inputQ", "inputQ?batch=8", "mutex, simulated 0.5 ms"]


def test_the_studys_tables_have_its_rows_and_columns(simulated_sweep):

    told = perfkit.study_tables(perfkit.load(simulated_sweep))
    tables = told.split("\n\n")
    assert len(tables) == 2
    for part, vus in zip(tables, (2, 5), strict=True):
        head, _, *rows = part.splitlines()
        assert head == f"| Parameters ({vus} VUs) | InputQ pattern | Mutex pattern |"
        assert [row.split("|")[1].strip() for row in rows] == [
            "data_received", "data_sent", "grpc_req_duration", "iteration_duration", "iterations"
        ]  # fmt: skip
        assert "avg=" in rows[2]
        assert "p(95)=" in rows[2]
        assert "/s)" in rows[4]
        assert "nan" not in part


def test_a_verdict_is_large_and_tells_capacity_and_solo_trials_beneath():
    told = report.verdict(comparison.answer(PLAN, joint(ratio=1.25), alone(ratio=1.25, sd=0.001)))
    large, sentence, beneath = told.split("\n\n")
    assert large == "# inputQ is the dearer"
    assert sentence.startswith("## inputQ costs more CPU per call than mutex: +2")
    assert "would be found 4 times out of 5" in beneath
    assert "capacity, calls per CPU second: -20." in beneath or "capacity, calls per CPU second: -19." in beneath
    assert "In solo trials of the same blocks: +2" in beneath
    assert "solo" not in report.verdict(compared_by())
    assert "capacity" not in report.verdict(compared_by(aa=1.05)), "an untrusted instrument gives no number"


def test_solo_trials_are_told_with_what_they_could_have_seen():

    asked = plan_compare(method="joint", solo=True)
    told = report.solo(comparison.answer(asked, joint(), alone()))
    assert told.startswith(
        "## Solo trials of the same blocks\n\ninputQ against mutex, one server at a time, in a closed loop:"
    )
    assert len([line for line in told.splitlines() if "would be found 4 times out of 5" in line]) == 6
    assert "offered 500 calls/s" in report.solo(
        comparison.answer(plan_compare(method="joint", solo=True, rate=500), joint(), alone())
    )
    assert "`solo=True`" in report.solo(compared_by())
    assert "- no verdict" in report.solo(comparison.answer(asked, joint(), alone(valid=False, flags="failures")))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", "under k6, servers on 2 cores, one at"),
        ("shared cores", "servers on 2 cores, the load generator's among them,"),
    ],
)
def test_a_sentence_says_on_how_many_cores_servers_were_and_whose_these_are(flags, said):
    plan = plan_sweep(server_cpus=2, method="solo")
    trials = table(ratio=1.2, noise=0.001, flags=flags)
    assert said in shown.sentence(levels.answer(plan, trials.iloc[:0], trials))
