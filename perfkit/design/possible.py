"""What no server and no load generator can do, refused before anything is started."""

from perfkit.design.factors import H2LOAD, K6
from perfkit.design.plan import JOINT, K6_SHORTEST_S, SOLO, Plan
from perfkit.errors import PlanError

LEAST_ROUNDS = 2
"""So many turns each server has in a window at least, if all are as long as they should be."""


def refuse_impossible(plan: Plan) -> Plan:
    """Return the plan; a PlanError where no generator can do what it asks for."""
    for cell in plan.cells:
        load = cell.load
        if cell.method == JOINT and (waiting := [seat.arm for seat in cell.seats if seat.arm.waits]):
            raise PlanError(
                f"arm {waiting[0].name} waits: together, servers leave their core idle and share a disk's journal; "
                f"compare by solo trials (method={SOLO})"
            )
        if cell.method != SOLO and (running := [seat.arm for seat in cell.seats if seat.arm.runs_already]):
            raise PlanError(
                f"arm {running[0].name} runs already, so it can't share a core or take turns; use method={SOLO}"
            )
        if load.duration_s * 1e3 < (least_ms := LEAST_ROUNDS * len(cell.seats) * load.turn_ms):
            raise PlanError(
                f"duration_s={load.duration_s:g}: {len(cell.seats)} servers with turns of {load.turn_ms} ms need "
                f"{least_ms / 1e3:g} s, so that each has {LEAST_ROUNDS}; make it longer, or compare by solo trials "
                f"(method={SOLO})"
            )
        if load.generator == H2LOAD and (secret := [seat.arm for seat in cell.seats if "?" in seat.arm.address]):
            raise PlanError(
                f"arm {secret[0].name} with generator={H2LOAD}: only k6 can do TLS and metadata; use generator={K6}"
            )
        if load.server_cpus > 1 and not plan.pin:
            raise PlanError(f"server_cpus={load.server_cpus} and pin=False: unpinned servers have all cores; leave one")
        if load.zipf and load.keys == 1:
            raise PlanError(f"zipf={load.zipf:g} and keys=1: one key has no skew; say keys=16, or leave zipf out")
        if load.is_keyed and load.call:
            raise PlanError(f"keys and read_pct are the counter's, and call={load.call}; leave them out, or call")
        only_k6 = {
            "joint trials": cell.method == JOINT,
            "connect_per_iteration=True": load.connect_per_iteration,
            f"call={load.call}": load.call,
            f"keys={load.keys}": load.keys > 1,
            f"read_pct={load.read_pct:g}": load.read_pct,
        }
        if load.generator == H2LOAD and (what := next((name for name, is_so in only_k6.items() if is_so), "")):
            raise PlanError(f"generator={H2LOAD} and {what}: only k6 can do that; use generator={K6}")
        if load.warmup_s + load.duration_s < K6_SHORTEST_S:
            raise PlanError(
                f"warmup_s={load.warmup_s:g} and duration_s={load.duration_s:g} are "
                f"{load.warmup_s + load.duration_s:g} s together, and k6 takes no load shorter than "
                f"{K6_SHORTEST_S:g} s; make one of them longer"
            )
    return plan
