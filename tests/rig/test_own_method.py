"""A user's own service as arms: any method, any language, and commands as they are in life."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

import perfkit
from perfkit.design.arms import parse_arm
from perfkit.errors import PerfkitError
from perfkit.record.load import load_finished
from perfkit.rig.process import Place
from perfkit.rig.servers import foreign
from tests.support import ROOT
from tests.support.processes import state, wait_for
from tests.support.trials import own_flags

pytestmark = pytest.mark.load

GREETER = ROOT / "examples/greeter"

SERVER = f"{sys.executable} {GREETER}/server.py --port {{port}}"

CALL = {"call": "greeter.Greeter/Greet", "request": '{"name": "x"}'}

PROTO = {"proto": str(GREETER / "greeter.proto")}

SHORT = {"vus": [4], "duration_s": 0.7, "warmup_s": 0.3, "repeats": 1, "start_s": 60}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The example on Node.js, with what it needs from npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no node with npm on PATH")
    folder = tmp_path_factory.mktemp("node") / "greeter"
    shutil.copytree(GREETER, folder, ignore=shutil.ignore_patterns("node_modules"))
    got = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=folder, capture_output=True, text=True, check=False
    )
    if got.returncode:
        pytest.skip(f"npm can't get the packages of the example here: {got.stderr.strip()[-200:]}")
    return f"exec?folder={folder}:node server.js {{port}}"


@pytest.mark.full
def test_three_servers_of_two_languages_are_compared_by_turns(node, tmp_path):
    """One has reflection and a health service, one listens on IPv6 alone, one on whatever localhost is."""
    arms = [f"exec:{SERVER}", f"exec?folder={GREETER}:{sys.executable} server_aio.py --port {{port}}", node]
    asked = {**SHORT, **CALL, "repeats": 2, "duration_s": 1.2, "expect": "text,details.token"}
    run = perfkit.sweep(arms=arms, **asked, out=tmp_path / "run")
    table = perfkit.load(run, "turns")
    table = table[table["complete"]]
    assert {"a", "aa", "yardstick", "handicap", "b"} == set(table["role"])
    assert own_flags(table) == {"count not proven"}
    own = table["role"].isin(["a", "aa", "b"])
    assert set(table.loc[own, "call"]) == {"greeter.Greeter/Greet"}
    assert table.loc[~own, "call"].isna().all()
    assert (table["acknowledged"] > 0).all()
    assert table.loc[own, "final_count"].isna().all()
    assert (table.loc[~own, "final_count"] >= table.loc[~own, "acknowledged"]).all()
    assert table["flags"].str.contains("count not proven").all()
    alone = perfkit.load(run)
    assert (alone["p50_ms"] > 0).all()
    assert own_flags(alone) == {"count not proven"}


def test_the_requests_of_a_file_are_all_sent_in_turn_or_by_the_seed(tmp_path):
    """A server that answers only what it was told to; one request of four is another, and fails."""
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"name": "x"}\n{"name": "y"}\n{"name": "z"}\n{"language": "FRENCH"}\n')
    load = {**SHORT, "arms": f"exec:{SERVER}", "method": "solo", "call": CALL["call"], "request": str(lines), **PROTO}
    for at_random in (False, True):
        run = perfkit.sweep(**load, random_requests=at_random, out=tmp_path / str(at_random))
        assert not perfkit.load(run)["valid"].any()
        calls = load_finished(run)[0].served[0].calls
        assert list(calls.failed_by_status) == ["3"], "INVALID_ARGUMENT: a name is wanted"
        assert calls.acknowledged_total > 0
        if not at_random:  # each VU sends them in turn: whatever the number, 1 in 4 fails but for what was begun
            assert abs(calls.failed_total - calls.acknowledged_total / 3) <= load["vus"][0]


@pytest.mark.full
def test_a_reply_without_what_it_must_have_is_a_failure(tmp_path):
    """`visits` is what the request said; 0 is not set."""
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"name": "x", "visits": 1}\n{"name": "y"}\n')
    run = perfkit.sweep(
        **SHORT, arms=f"exec:{SERVER}", method="solo", call=CALL["call"], request=str(lines), expect="details.visits",
        out=tmp_path / "run",
    )  # fmt: skip
    calls = load_finished(run)[0].served[0].calls
    assert list(calls.failed_by_status) == ["expect"]
    assert abs(calls.failed_total - calls.acknowledged_total) <= SHORT["vus"][0], "one of two, in turn"


SILENT = "import time, sys; time.sleep(60)"


BAD = [
    ({"call": "greeter.Greeter/Hail"}, "service greeter.Greeter has no method Hail; it has Greet, GreetMany"),
    ({"call": "greeter.Waiter/Greet"}, "has no service greeter.Waiter; it has greeter.Greeter"),
    ({"call": "greeter.Greeter/GreetMany"}, "is a streaming method"),
    ({"request": '{"nam": "x"}'}, "is no greeter.GreetRequest"),
    (
        {"request": "{}"},
        r"answered greeter.Greeter/Greet with INVALID_ARGUMENT \(a name is wanted\); the request was {}",
    ),
    ({"expect": "details.visits"}, "answered greeter.Greeter/Greet without what expect names: details.visits"),
    (
        {"arms": f"exec:{SERVER} --no-reflection"},
        "has no reflection, so greeter.Greeter/Greet is not known; name its",
    ),
    ({"arms": f"exec:{SERVER} --no-such-option"}, r"died \(exit code 2\); it said: .*unrecognized arguments"),
    (
        {"arms": f"exec:{sys.executable} -c '{SILENT}' {{port}}", "start_s": 0.5},
        r"did not answer greeter.Greeter/Greet on 127.0.0.1:\d+ within 0.5 s .*it should listen on \{port\}",
    ),
    ({"arms": "exec:./no/such/server {port}"}, r"died \(exit code 127\)|No such file"),
    ({"arms": f"exec?folder=/no/such/folder:{SERVER}"}, "folder=/no/such/folder is no folder"),
    ({"arms": f"exec?env=/no/such/file:{SERVER}"}, "env=/no/such/file can't be read"),
    ({"arms": f"exec?speed=9:{SERVER}"}, "has no option 'speed'; it has folder, env"),
    ({"arms": "mutex"}, "arm threads/mutex.* serves the counter, and call=greeter.Greeter/Greet"),
    ({"generator": "h2load"}, "generator=h2load and call=greeter.Greeter/Greet .*only k6 can do that"),
    ({"call": ""}, "request=.* is of a method of your own; name it with call="),
    ({"call": "", "request": ""}, r"is there, and answers increment.value=0. with UNIMPLEMENTED; it must be"),
]
"""(what is asked for, what is said of it)"""


@pytest.mark.parametrize(
    ("changes", "message"), [*BAD[:3], *(pytest.param(*one, marks=pytest.mark.full) for one in BAD[3:])]
)
def test_bad_input_is_one_line_and_nothing_is_measured(changes, message, tmp_path):
    asked = {**SHORT, "arms": f"exec:{SERVER}", "method": "solo", **CALL, "out": tmp_path / "run", **changes}
    with pytest.raises(PerfkitError, match=message) as told:
        perfkit.sweep(**asked)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "run/trials.jsonl").exists()


TALKS = """
import os, signal, sys
from concurrent import futures
signal.signal(signal.SIGTERM, signal.SIG_IGN)
assert os.environ["GREETING"] == "as told, with = and #", os.environ.get("GREETING")
assert os.getcwd() == sys.argv[2], os.getcwd()
sys.path.insert(0, sys.argv[3])
sys.argv[1:] = ["--port", sys.argv[1]]
import server
quiet = server.greeting
def greeting(*words):
    print("x" * 20_000, flush=True)
    return quiet(*words)
server.greeting = greeting
server.main()
"""


@pytest.mark.full
def test_a_command_has_its_folder_and_environment_and_may_be_loud_and_deaf(tmp_path):
    """It writes tens of MB, and ignores SIGTERM."""
    home = tmp_path / "its own"
    home.mkdir()
    (home / "talks.py").write_text(textwrap.dedent(TALKS))
    (tmp_path / "file.env").write_text("# a comment\n\nGREETING=as told, with = and #\n")
    command = f"{sys.executable} talks.py {{port}} '{home}' {GREETER}"
    arm = f"exec?folder={home}&env={tmp_path}/file.env:{command}"
    run = perfkit.sweep(**SHORT, arms=arm, method="solo", **CALL, out=tmp_path / "run")
    table = perfkit.load(run)
    assert own_flags(table) == {"count not proven"}
    assert (table["acknowledged"] > 0).all()


@pytest.mark.full
def test_what_a_command_prints_is_kept_bounded_and_its_end_is_told(tmp_path):
    script = (
        "import time\nprint('x' * 100, flush=True)\nwhile True: print('y' * 10_000_000, flush=True); time.sleep(0.01)\n"
    )
    (tmp_path / "loud.py").write_text(script)
    with foreign.server(parse_arm(f"exec:{sys.executable} {tmp_path}/loud.py {{port}}", 10), Place(), 1.0) as server:
        with pytest.raises(PerfkitError, match="did not answer"):
            server.ready()
        wait_for("output", server._text)
        os.kill(server.pid, signal.SIGSTOP)
        wait_for("a stop", lambda: state(server.pid) == "T")
        server.check()
        assert server._log.seek(0, 2) <= foreign.MOST_LOG_BYTES
        text = server._output()
        assert text.startswith("; it said: ")
        assert len(text) < 800


@pytest.mark.full
def test_one_k6_calls_the_counter_of_the_yardstick_and_the_method_of_the_others(tmp_path):
    arms = [f"exec:{SERVER}", f"exec:{SERVER} --slower-pct 0"]
    run = perfkit.sweep(arms=arms, **{**SHORT, "repeats": 2}, method="joint", **CALL, out=tmp_path / "run")
    table = perfkit.load(run, "joint")
    assert set(table["role"]) == {"a", "aa", "b", "yardstick", "handicap"}
    assert own_flags(table) == {"count not proven"}
    assert (table["acknowledged"] > 0).all()
    assert table.loc[table["role"] == "yardstick", "final_count"].notna().all()
