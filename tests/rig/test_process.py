import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from perfkit.design.arms import parse_arm
from perfkit.errors import ServerError
from perfkit.rig import family, process
from perfkit.rig.host import usable_cpus
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from tests.support.processes import descendants, state, wait_for, wait_for_end

pytestmark = pytest.mark.load

MUTEX = parse_arm("mutex", 10)

BURN = """
import time
print("on", flush=True)
while time.process_time() < 0.5: pass
print("off", flush=True)
print("asleep", flush=True)
time.sleep(600)
"""


def python(source):
    return [sys.executable, "-c", source]


def test_a_server_says_where_it_is_counts_and_ends_in_order():
    with serving(MUTEX, Place()) as server:
        server.ready()
        assert server.address.startswith("127.0.0.1:")
        assert family.cpu_ns([server.pid]) > 0
        assert family.peak_rss_bytes([server.pid]) > 10**7
        assert server.stop().increments == 0


def test_what_would_change_a_servers_cost_does_not_reach_it_and_a_line_of_somebody_elses_is_passed_over(
    monkeypatch, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text("print('hello', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("PYTHONASYNCIODEBUG", "GRPC_TRACE", "http_proxy"):
        monkeypatch.setenv(name, "1")
    with serving(MUTEX, Place()) as server:
        server.ready()
        assert server.address.startswith("127.0.0.1:")
        variables = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
        assert not [one for one in variables if one.startswith((b"PYTHONASYNCIODEBUG", b"GRPC_TRACE", b"http_proxy"))]
        assert any(one.startswith(b"PYTHONPATH") for one in variables)


def test_a_log_that_is_read_while_it_is_written_loses_nothing():
    lines, argv = 20_000, [sys.executable, "-c", "for n in range(20_000): print(n, flush=True)"]
    with tempfile.TemporaryFile() as log, process.child(argv, Place(), stdout=log, stderr=log) as child:
        while child.poll() is None:
            process.written_to(log)
        assert process.written_to(log).decode().splitlines() == list(map(str, range(lines)))


def test_a_server_is_killed_at_the_end_of_its_block_of_code():
    with serving(MUTEX, Place()) as server:
        server.ready()
        pid = server.pid
    wait_for_end([pid])


def test_the_cpu_clock_of_another_process_counts_its_work_and_not_its_sleep():
    with process.child(python(BURN), Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout.readline() == b"on\n"
        assert child.stdout.readline() == b"off\n"
        used_ns = family.cpu_ns([child.pid])
        assert used_ns >= 0.5e9
        child.stdout.readline()
        wait_for("sleep", lambda: state(child.pid) == "S")
        asleep_ns = family.cpu_ns([child.pid])
        assert family.cpu_ns([child.pid]) == asleep_ns
    with pytest.raises(ProcessLookupError):
        family.cpu_ns([child.pid])


def test_a_child_stays_on_its_cores():
    cpu = usable_cpus()[-1]
    with process.child(
        python("import os; print(sorted(os.sched_getaffinity(0)))"),
        Place((cpu,)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        assert child.stdout.readline() == f"[{cpu}]\n".encode()


def test_a_child_and_what_it_started_in_its_session_die_at_the_end():
    with process.child(
        ["/bin/sh", "-c", "sleep 600 & echo $!; wait"], Place(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        grandchild = int(child.stdout.readline())
    wait_for_end([child.pid, grandchild])


def test_a_server_dies_with_its_killed_parent():
    source = (
        "import time; from perfkit.rig import process; from perfkit.rig.servers import serving\n"
        "from perfkit.design.arms import parse_arm\n"
        "arm = parse_arm('inputQ', 10)\n"
        "with serving(arm, process.Place()) as server:\n"
        "    server.ready(); print('ready', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(python(source), stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"ready\n"
    children = descendants(parent.pid)
    assert children
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for_end(children)


def test_a_server_that_can_not_start_says_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        with serving(MUTEX, Place()):
            pass
    monkeypatch.undo()
    with process.child(["no-such-program"], Place(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        assert child.stdout.read() == b"can't start no-such-program: No such file or directory\n"
        assert child.wait(60) == 1


def test_children_laid_out_alike_have_their_memory_in_the_same_places():
    source = "import re; print(re.search(r'(\\w+)-.*libc', open('/proc/self/maps').read())[1])"

    def places(place):
        found = set()
        for _ in range(4):
            with process.child(python(source), place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
                found.add(child.stdout.readline())
        return found

    assert len(places(Place(alike=True))) == 1
    assert len(places(Place())) > 1


@pytest.mark.parametrize("own_session", [True, False])
def test_a_child_has_a_session_of_its_own_unless_told_otherwise(own_session):
    source = "import os; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())"
    place = Place(own_session=own_session)
    with process.child(python(source), place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout.readline() == f"{own_session} True\n".encode()


def test_a_server_that_died_is_named_with_its_signal():
    with serving(MUTEX, Place()) as server:
        server.ready()
        os.kill(server.pid, signal.SIGKILL)
        server._process.wait()
        with pytest.raises(ServerError, match=r"threads/mutex\?workers=10 died \(killed by signal 9\)"):
            server.check()


@pytest.mark.full
def test_a_server_that_hangs_is_named():
    with serving(MUTEX, Place()) as server:
        server.ready()
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(ServerError, match=r"hangs: it did not end after SIGTERM within 10 s"):
            server.stop()
