import shutil
import sys

import numpy as np
import pytest

from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import LoadError, PlanError
from perfkit.record.rows import rows
from perfkit.record.validity import flags, is_valid
from perfkit.rig.generators import h2load
from perfkit.rig.generators.contract import Window
from tests.support.plans import plan_compare, solo
from tests.support.servers import FOREIGN, foreign
from tests.support.trials import measure, own_flags

READ = h2load.read

installed = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="h2load is not installed (apt install nghttp2-client)"
)

SAID = """
finished in 3.00s, 3635.00 req/s, 400.00KB/s
requests: 10905 total, 10925 started, 10905 done, 10905 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10905 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.02MB (1070301) total, 203.20KB (208077) headers (space savings 53.85%), 343.00KB (351232) data
                     min         max         mean         sd        +/- sd
time for request:      301us     12.30ms      5.50ms      1.20ms    70.00%
time for connect:      101us      2.30ms      1.50ms       200us    70.00%
time to 1st byte:      901us     22.30ms      9.50ms      2.20ms    70.00%
"""


def test_its_last_lines_are_read():
    assert h2load.summary(SAID) == {
        "started": 10925, "done": 10905, "failed": 0, "reply_bytes": 351232, "last_first_byte_s": pytest.approx(0.0223),
    }  # fmt: skip
    assert h2load.summary("Segmentation fault") == {}


def test_a_call_counts_where_it_starts_and_percentiles_are_exact(tmp_path):
    log = tmp_path / "calls"
    random = np.random.default_rng(1)
    starts = np.sort(random.integers(0, 3_000_000, 5000))
    took = random.integers(100, 9000, 5000)
    log.write_text("".join(f"{start}\t{200 if number % 100 else 503}\t{us}\n"
                           for number, (start, us) in enumerate(zip(starts, took, strict=True))))  # fmt: skip
    statuses, sent, inside = h2load.read(log, Window(1000, 2000))
    assert statuses == {200: 4950, 503: 50}
    measured = (starts >= 1_000_000) & (starts < 2_000_000)
    assert sent == measured.sum()
    expected = took[measured & (np.arange(5000) % 100 > 0)]
    assert sorted(inside) == sorted(expected)
    told = h2load.distribution(inside)
    assert told.at("50") == pytest.approx(np.percentile(expected, 50) / 1e3)
    assert told.at("99") == pytest.approx(np.percentile(expected, 99) / 1e3)
    assert told.at("99.9") is None, "too few"


def test_nothing_in_the_window_is_no_number(tmp_path):
    (tmp_path / "calls").touch()
    assert h2load.read(tmp_path / "calls", Window(0, 1))[:2] == ({}, 0)
    assert h2load.distribution(np.empty(0)).avg_ms is None


@pytest.mark.parametrize("final", [7, 9, 10, 1234, 99_999])
@pytest.mark.parametrize("cut_off", [0, 5])
@pytest.mark.parametrize("failing", [0, 3])
def test_calls_without_a_reply_are_found_by_the_length_of_all_replies(final, cut_off, failing):
    """The last ones were applied and cut off; of those before, some failed in the trailer, applied or not."""
    replied = list(range(1, final + 1 - min(cut_off, final - 4)))
    lost = replied[1 : 1 + failing]
    data = sum(h2load.reply_length(count) for count in replied if count not in lost)
    answered = len(replied)
    assert abs(h2load.without_reply(answered, final, data) - failing) <= h2load.UNSURE


def test_what_only_k6_can_do_is_refused_by_name():
    with pytest.raises(PlanError, match="generator=h2load and joint trials: only k6 can do that"):
        plan_compare(generators="h2load", method="joint")
    with pytest.raises(PlanError, match="generators='k6,k6' must name each once"):
        plan_compare(generators="k6,k6")
    with pytest.raises(PlanError, match="generators='wrk' is none of k6, h2load"):
        plan_compare(generators="wrk")


def test_where_it_is_not_installed_it_is_refused_with_the_command(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(LoadError, match=r"no program h2load on PATH; install it \(apt install nghttp2-client"):
        h2load.find()


@installed
@pytest.mark.load
@pytest.mark.parametrize(
    "arm",
    [
        "threads/mutex",
        *(pytest.param(one, marks=pytest.mark.full) for one in ("asyncio/inputQ", "native/mutex", "foreign")),
    ],
)
def test_its_counts_and_the_servers_agree(arm, tmp_path):
    if arm == "foreign":
        arm = f"exec:{foreign(tmp_path)}"
    load = Load(5, 0.3, 1.0, generator="h2load")
    result = measure(solo(parse_arm(arm, 10), load))
    (served,) = result.served
    assert own_flags(result) == set()
    assert served.calls.acknowledged_total <= served.final_count <= served.calls.sent_total
    assert served.calls.sent_total - served.calls.acknowledged_total <= 5
    (row,) = rows(result, complete=True)
    assert row["generator"] == "h2load"
    assert row["p50_ms"] > 0
    longest_s = row["latency_max_ms"] / 1e3
    assert 0 < row["in_flight"] <= 5 * (1 + longest_s / load.duration_s), "the rest is the client's own time"
    assert row["generator_busy"] > 0


@pytest.mark.full
@installed
@pytest.mark.load
def test_percentiles_are_those_of_its_own_stamps(monkeypatch):
    stamps = []

    def keep(log, window):
        lines = (line.split("\t") for line in log.read_text().splitlines())
        stamps.extend(int(took) for start, _, took in lines if window.from_ms <= int(start) / 1e3 < window.until_ms)
        return READ(log, window)

    monkeypatch.setattr(h2load, "read", keep)
    (served,) = measure(solo(parse_arm("mutex", 10), Load(20, 0.3, 1.0, generator="h2load"))).served
    assert len(stamps) == served.calls.acknowledged > 0
    for percentile in ("50", "90"):
        of_stamps_ms = np.percentile(stamps, float(percentile)) / 1e3
        assert served.calls.latency.at(percentile) == pytest.approx(of_stamps_ms, rel=0.01, abs=0.02)


@pytest.mark.full
@installed
@pytest.mark.load
def test_no_more_than_an_offered_rate_is_offered():
    load = Load(10, 0.5, 1.0, rate=300, generator="h2load")
    result = measure(solo(parse_arm("mutex", 10), load))
    assert 0 < result.served[0].throughput_rps(load) < 3 * 300, "without a rate it would be thousands"
    assert own_flags(result) == set()


@pytest.mark.full
@installed
@pytest.mark.load
def test_a_server_that_fails_some_calls_in_their_trailers_is_refused(tmp_path):
    path = tmp_path / "server.py"
    path.write_text(FOREIGN.replace(
        "return counter_pb2.status(message=MESSAGE)",
        "if request.value and self.count % 10 == 5: context.abort(grpc.StatusCode.INTERNAL, 'no')\n"
        "            return counter_pb2.status(message=f'Incremented value is {self.count}')",
    ))  # fmt: skip
    assert "context.abort" in path.read_text()
    result = measure(
        solo(parse_arm(f"exec:{sys.executable} {path} {{port}}", 10), Load(5, 0.3, 1.0, generator="h2load"))
    )
    assert not is_valid(result)
    assert set(flags(result)) & {"failures"}
    assert result.served[0].calls.failed_by_status["trailer"] >= 1


@pytest.mark.full
@installed
@pytest.mark.load
def test_it_takes_turns():
    (one, *_) = plan_compare(generators="h2load", vus=5, duration_s=1, warmup_s=0.4).block(0)
    result = measure(one)
    assert own_flags(result) == set()
    assert 0 < sum(served.own_s for served in result.served) <= 1
    assert all(served.calls.acknowledged > 0 for served in result.served)


@pytest.mark.full
@installed
@pytest.mark.load
def test_its_latency_and_throughput_belong_together():
    """Little's law holds them together: no more calls are in flight than there are connections."""
    result = measure(solo(parse_arm("mutex", 10), Load(8, 0.3, 2.0, generator="h2load")))
    (row,) = rows(result, complete=True)
    assert row["latency_avg_ms"] * row["throughput_rps"] / 1e3 <= 8 * (1 + row["latency_max_ms"] / 2e3)
    assert row["latency_min_ms"] <= row["p50_ms"] <= row["latency_max_ms"]
