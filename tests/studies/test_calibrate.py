import re
import shutil

import pytest

from perfkit.errors import StoreError
from perfkit.show import report_studies
from perfkit.studies.several import calibrate
from tests.support.comparisons import answer
from tests.support.plans import SMALL_COMPARISON, plan_compare

PLAIN = plan_compare(method="joint", precision_pct=0)
"""Nothing looks at the data before the end, as calibrate has it."""


def test_stored_studies_are_reused_and_told_in_a_line_each(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "study-01")
    (told,) = calibrate.calibrate(1, tmp_path, **SMALL_COMPARISON)
    assert (tmp_path / "study-01/trials.jsonl").read_bytes() == (compared / "trials.jsonl").read_bytes()
    written = report_studies.calibration_line(1, told)
    assert f"b {told.cpu_per_call.ratio:.4f} ±" in written
    assert told.verdict in written


def test_stored_studies_of_another_plan_are_refused(compared, tmp_path):
    shutil.copytree(compared, tmp_path / "study-01")
    with pytest.raises(StoreError, match="is of another plan: vus 5 there, 6 asked for"):
        list(calibrate.calibrate(1, tmp_path, **{**SMALL_COMPARISON, "vus": 6}))


def test_the_summary_counts_what_was_held_and_found():
    told = [answer(ratio=1.1, seed=seed) for seed in range(6)] + [answer(ratio=1.1, handicap=1.0, seed=9)]
    summary = report_studies.calibration_summary(told)
    assert "7 studies, median 48 s each" in summary
    assert "handicap: found in 6 of 7" in summary
    assert "decided in 6 of 7, all of one sign" in summary
    held = sum(one.controls["aa"].result.low <= 1 <= one.controls["aa"].result.high for one in told)
    assert f"A/A: contains 1 in {held} of 7" in summary


@pytest.mark.full
def test_studies_that_lie_further_apart_than_their_intervals_say_are_told():
    def apart_pct(told):
        return float(re.search(r"b against a: .* studies lie (.*) % apart", told).group(1))

    steady = [answer(PLAIN, ratio=1.1, seed=seed) for seed in range(40)]
    moving = [answer(PLAIN, ratio=1.1 + 0.02 * (seed % 2), seed=seed) for seed in range(40)]
    assert apart_pct(report_studies.calibration_summary(steady)) < 0.3
    assert apart_pct(report_studies.calibration_summary(moving)) == pytest.approx(0.9, abs=0.2)


def test_studies_without_a_valid_trial_are_told():
    assert "none with two trials" in report_studies.calibration_summary([answer(blocks=1)])
    assert "not trusted" in report_studies.calibration_line(1, answer(blocks=1))
