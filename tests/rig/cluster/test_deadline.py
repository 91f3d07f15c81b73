"""What ends a host's processes when nobody else does: on simulated time; and a real one that is left alone."""

import json
import subprocess
import sys

import pytest

from perfkit.rig.cluster.deadline import deadline
from perfkit.rig.programs.deadline import keep
from tests.support.clock import FakeProcess, SimulatedSystem
from tests.support.processes import wait_for_end

OWNER = 9


def told(*lines, owner_is_stopped=False):
    """Keep these lines' deadlines, each (when, groups, within_s); return the system at its end."""
    system = SimulatedSystem(FakeProcess(OWNER, is_stopped=owner_is_stopped))
    system.lines = [
        (at_s, line if isinstance(line, str) else json.dumps({"groups": line[0], "within_s": line[1], "owner": OWNER}))
        for at_s, line in lines
    ]
    keep(system)
    return system


def test_groups_are_killed_when_their_time_is_over():
    system = told((1.0, ([1, 2], 3.0)))
    assert system.killed == [1, 2]
    assert system.monotonic() == pytest.approx(4.0)


def test_a_later_line_takes_the_place_of_the_one_before():
    system = told((1.0, ([1, 2], 3.0)), (2.0, ([1, 2, 3], 10.0)))
    assert system.killed == [1, 2, 3]
    assert system.monotonic() == pytest.approx(12.0)


def test_a_pipe_that_closes_kills_at_once_and_lets_its_owner_be():
    system = told((1.0, ([1], 100.0)), (2.0, ""), owner_is_stopped=True)
    assert system.killed == [1]
    assert system.monotonic() == 2.0


def test_nothing_is_killed_once_nobody_is_named():
    assert told((1.0, ([1], 100.0)), (2.0, ([], 0.0)), (500.0, "")).killed == []


def test_an_owner_that_has_stopped_is_killed_too_when_time_is_over():
    assert told((1.0, ([1], 3.0)), owner_is_stopped=True).killed == [1, OWNER]
    assert told((1.0, ([1], 3.0)), owner_is_stopped=False).killed == [1]


@pytest.mark.load
def test_a_real_group_is_ended_when_it_is_said_to_be_over_and_spared_when_it_is_forgotten():
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    spared, ended = (subprocess.Popen(sleeping, start_new_session=True) for _ in range(2))
    try:
        with deadline() as one:
            one.keep([spared.pid], 600)
            one.forget()
        with deadline() as other:
            other.keep([ended.pid], 600)
            other.now()
        wait_for_end([ended.pid])
        assert spared.poll() is None
    finally:
        for one in (spared, ended):
            one.kill()
            one.wait()
