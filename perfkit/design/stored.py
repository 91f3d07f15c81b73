"""Plans and trials as files have them, of this schema and of older ones."""

from typing import Any

from perfkit.design.arms import Arm
from perfkit.design.paired import seats
from perfkit.design.plan import AA, JOINT, SOLO, A, Cell, Load, Plan, Seat, StopRule, Trial
from perfkit.service.call import stored as call

READABLE = (1, 2)
"""Schemas of plan.json. 1 (to 0.1.0) had a sweep's levels and arms, or a comparison's a and b, instead of cells."""


def plan(data: dict[str, Any]) -> Plan:
    """Return the plan that a plan.json of a readable schema holds."""
    if data["schema"] == 1:
        return _old_comparison(data) if data["kind"] == "compare" else _old_sweep(data)
    fields = {name: value for name, value in data.items() if name != "schema"}
    cells = tuple(
        Cell(**{**cell, "seats": _seats(cell["seats"]), "load": _load(cell["load"])}) for cell in data["cells"]
    )
    own = {"cells": cells, "stop": StopRule(**data["stop"]), "axes": tuple(data.get("axes", ()))}
    return Plan(**{**fields, **own})


def trial(data: dict[str, Any]) -> Trial:
    """Return the trial that a line of trials.jsonl tells of; those of schema 1 have no method."""
    both = _seats(data["seats"])
    method = data.get("method", SOLO if len(both) == 1 else JOINT)
    return Trial(data["block"], method, both, _load(data["load"]))


def _load(data: dict[str, Any]) -> Load:
    return Load(**{**data, "call": call(data.get("call"))})


def _seats(data: list[dict[str, Any]]) -> tuple[Seat, ...]:
    return tuple(Seat(seat["role"], Arm(**seat["arm"])) for seat in data)


def _old_sweep(data: dict[str, Any]) -> Plan:
    arms = [Arm(**arm) for arm in data["arms"]]
    cells: list[Cell] = []
    for vus in data["levels"]:
        load = Load(vus, data["warmup_s"], data["duration_s"], data["rate"], data["connect_per_iteration"])
        cells += [Cell(SOLO, (Seat(A, arm),), load) for arm in arms]
        if data["joint"]:
            cells.append(Cell(JOINT, seats(*arms), load))
    return Plan("sweep", tuple(cells), StopRule(data["repeats"]), 0.0, False, data["pin"], data["seed"])


def _old_comparison(data: dict[str, Any]) -> Plan:
    all_seats = seats(Arm(**data["a"]), Arm(**data["b"]))
    load = Load(data["vus"], data["warmup_s"], data["duration_s"])
    cells = [Cell(JOINT, all_seats, load)]
    if data["solo"]:
        alone = Load(data["vus"], data["warmup_s"], data["duration_s"], data["rate"])
        cells += [Cell(SOLO, (seat,), alone) for seat in all_seats if seat.role != AA]
    stop = StopRule(budget_s=data["budget_s"], precision_pct=data["precision_pct"], checked=False)
    return Plan(
        "compare", tuple(cells), stop, data["margin_pct"], data["share_session"], data["pin"], data["seed"]
    )  # fmt: skip
