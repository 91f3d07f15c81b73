"""The load generators: what each is to a trial, and which one a load asks for."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from perfkit.design.factors import H2LOAD, K6
from perfkit.design.plan import Load
from perfkit.rig.generators import h2load, k6
from perfkit.rig.generators.contract import Program, RunningLoad
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
    programs: Programs, addresses: Sequence[str], load: Load, place: Place, opens_at_ms: int | None = None
) -> AbstractContextManager[RunningLoad]:
    """Load all `addresses` at once from one process of the generator that the load asks for."""
    program = programs[load.generator]
    if load.generator == H2LOAD:
        return h2load.running(program, addresses, load, place, opens_at_ms)
    return k6.running(program, addresses, load, place, opens_at_ms)
