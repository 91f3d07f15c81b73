import re
import shutil
from dataclasses import replace

import pytest

from perfkit.errors import StoreError
from perfkit.studies import calibrate

from .conftest import SMALL_COMPARISON
from .test_comparison import PLAN, answer

PLAIN = replace(PLAN, precision_pct=0.0)
"""Nothing looks at the data before the end, as calibrate has it."""


def test_stored_studies_are_reused_and_told_in_a_line_each(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "study-01")
    (told,) = calibrate.studies(1, tmp_path, **SMALL_COMPARISON)
    assert (tmp_path / "study-01/trials.jsonl").read_bytes() == (compared / "trials.jsonl").read_bytes()
    written = calibrate.line(1, told)
    assert f"b {told.cpu_per_call.ratio:.4f} ±" in written
    assert told.verdict in written


def test_stored_studies_of_another_plan_are_refused(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "study-01")
    with pytest.raises(StoreError, match="is of another plan: vus 5 there, 6 asked for"):
        list(calibrate.studies(1, tmp_path, **{**SMALL_COMPARISON, "vus": 6}))


def test_the_summary_counts_what_was_held_and_found():
    told = [answer(ratio=1.1, seed=seed) for seed in range(6)] + [answer(ratio=1.1, handicap=1.0, seed=9)]
    summary = calibrate.summary(told)
    assert "7 studies, median 48 s each" in summary
    assert "handicap: found in 6 of 7" in summary
    assert "decided in 6 of 7, all of one sign" in summary
    held = sum(one.controls["aa"].found.low <= 1 <= one.controls["aa"].found.high for one in told)
    assert f"A/A: contains 1 in {held} of 7" in summary


def test_studies_that_lie_further_apart_than_their_intervals_say_are_told():
    def apart(told):
        between, by_chance = re.search(
            r"b against a: .* sd between studies (.*) % \(by their .* (.*) %\)", told
        ).groups()
        return float(between) / float(by_chance)

    steady = [answer(PLAIN, ratio=1.1, seed=seed) for seed in range(40)]
    moving = [answer(PLAIN, ratio=1.1 + 0.02 * (seed % 2), seed=seed) for seed in range(40)]
    assert 0.7 < apart(calibrate.summary(steady)) < 1.3
    assert apart(calibrate.summary(moving)) > 3


def test_studies_without_a_valid_trial_are_told():
    assert "none with two joint trials" in calibrate.summary([answer(blocks=1)])
    assert "not trusted" in calibrate.line(1, answer(blocks=1))
