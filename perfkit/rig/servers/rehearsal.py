"""Before anything is measured: each of the user's servers started once, asked what it serves, and called once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from perfkit.design.arms import Arm
from perfkit.design.plan import Plan
from perfkit.rig.ports import LOOPBACK
from perfkit.rig.process import Place
from perfkit.rig.servers import foreign, running
from perfkit.rig.servers.asking import Way, try_call
from perfkit.service import protos
from perfkit.service.call import Call
from perfkit.service.called import Called, called


def read(plans: Iterable[Plan]) -> dict[Call, Called]:
    """Return each method that is called in these plans, as far as this machine's files tell; a PlanError says why not.

    One without a proto has no descriptors yet: its server has them.
    """
    calls = {call: plan.seed for plan in plans for call in [cell.load.call for cell in plan.cells] if call}
    return {call: called(call, protos.compiled(call) if call.proto else b"", seed) for call, seed in calls.items()}


def rehearse(plans: Iterable[Plan], methods: Mapping[Call, Called], address: str = LOOPBACK) -> dict[Call, Called]:
    """Return these methods with all that their calls need, each called once on every server that is to have it.

    A PerfkitError says in one line what does not fit: a command's folder or environment, the method, a request, or the
    command's reply.
    """
    known = dict(methods)
    for plan in plans:
        for arm in plan.arms:
            if arm.is_foreign and not arm.runs_already:
                foreign.refuse_unreadable(arm)
        for call in dict.fromkeys(cell.load.call for cell in plan.cells):
            for arm in plan.arms if call else ():
                if call and arm.is_foreign:
                    known[call] = _rehearsed(known[call], arm, plan.start_s, address)
    return known


def _rehearsed(method: Called, arm: Arm, start_s: float, address: str) -> Called:
    if arm.runs_already:
        addressed = running.AddressedServer(arm)
        method = addressed.called = _described(method, addressed.way, arm.name)
        addressed.try_call()
        return method
    with foreign.server(arm, Place(), start_s, address, method) as server:
        if not method.descriptors:
            server.reached()
            method = server.called = _described(method, Way(server.address), arm.name)
        server.ready()
        try_call(Way(server.address), method, arm.name)
    return method


def _described(method: Called, way: Way, server: str) -> Called:
    """Return a method with what its server says of it, where no proto did."""
    if method.descriptors:
        return method
    with way.channel() as channel:
        told = replace(method, descriptors=protos.reflected(method.call, channel, server))
    told.refuse_misfits()
    return told
