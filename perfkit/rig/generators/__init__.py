"""The load generators: what each is to a trial, and which one a load asks for."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from perfkit.design.factors import H2LOAD, K6
from perfkit.design.plan import TIMEOUT_S, Load
from perfkit.record.calls import Calls, Distribution
from perfkit.rig.generators import h2load, k6
from perfkit.rig.generators.contract import Part, Program, RunningLoad, Target
from perfkit.rig.process import Place

Programs = Mapping[str, Program]
"""generator → the program found for it"""


def find(loads: Iterable[Load] = (), k6_program: str = "k6") -> Programs:
    """Return k6, and what else these loads ask for; a LoadError says why there is none to use."""
    programs = {K6: k6.find(k6_program)}
    if any(load.generator == H2LOAD for load in loads):
        programs[H2LOAD] = h2load.find()
    return programs


def running(
    programs: Programs,
    targets: Sequence[Target],
    load: Load,
    place: Place,
    opens_at_ms: int | None = None,
    part: Part | None = None,
    settings: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> AbstractContextManager[RunningLoad]:
    """Load all `targets` at once from one process of the generator that the load asks for.

    With a `part` of the load, the window is appointed: h2load begins at once, k6 when it is told to. counter.js is told
    `settings` too, and how long a call may take.
    """
    program = programs[load.generator]
    if load.generator == H2LOAD:
        return h2load.running(program, targets, load, place, opens_at_ms, part)
    return k6.running(program, targets, load, place, opens_at_ms, part, settings, timeout_s)


def seen(calls: Calls, replied_with: int | None, reply_bytes: int | None, *, by_turns: bool) -> Calls:
    """Return what generators have counted of a server, less what they could not see.

    One that sees no gRPC status (`reply_bytes` is not None) takes a call without a reply for a good one; the server's
    replies from 1 to `replied_with` tell. By turns, iterations hold pauses, and so do latencies.
    """
    if reply_bytes is not None and replied_with:
        calls = h2load.without_lost_replies(calls, replied_with, reply_bytes)
    if not by_turns:
        return calls
    nothing = Distribution(0, None, None, None, {})
    latency = replace(calls.latency, percentiles_ms={}, brackets_ms={})
    return replace(calls, latency=latency, iteration=nothing, parts={}, data_sent_bytes=None, data_received_bytes=None)
