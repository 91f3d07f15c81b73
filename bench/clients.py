"""Does what a client does, call by call, move the ratio of two servers? By a raw client that does each on purpose.

    python bench/clients.py [--arms A,B] [--connections N] [--blocks N] [--seconds S] [--clients plain,apart,...]

Trials by turns of three servers, `a`, `a` again and `b`, each with a raw client (`raw_client.py`) of its own; all
clients in every block, in an order drawn anew. A line a client: CPU per call of `b` in `a` with its 95 % interval, the
same of `a` again, CPU per call, the part of their core that the servers used in their turns and the clients used of
theirs, how often a call a client received something, and how often a call a server's thread went to sleep. Then how far
each moves the ratio from that under the first client, block by block.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from perfkit.analysis import statistics
from perfkit.design.arms import parse_arm
from perfkit.design.paired import TURN_MS
from perfkit.errors import PerfkitError
from perfkit.rig import family, host, process, trial
from perfkit.rig.process import Place
from perfkit.rig.servers import serving
from perfkit.rig.trial import turns

CLIENTS = {
    "plain": ((), 0),
    "apart": (("apart",), 0),
    "literal": (("literal",), 0),
    "timeout": (("timeout",), 0),
    "updates": (("updates",), 0),
    "pings": (("pings",), 0),
    "clumps": (("clumps",), 0),
    "slow": ((), 200),
    "slower": ((), 400),
    "like k6": (("apart", "timeout", "updates", "pings"), 200),
}
"""name → what the client does, and the µs that it burns a call"""

WARMUP_S = 0.5


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="clients.py", allow_abbrev=False)
    parser.add_argument("--arms", default="threads/mutex,threads/inputQ", help="a and b (%(default)s)")
    parser.add_argument("--connections", type=int, default=20, help="at each server (%(default)s)")
    parser.add_argument("--blocks", type=int, default=12, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a window, for three servers (%(default)s)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="with commas between (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        a, b = (parse_arm(name, 10) for name in options.arms.split(","))
        clients = {name: CLIENTS[name] for name in options.clients.split(",")}
    except (PerfkitError, KeyError, ValueError) as error:
        parser.error(str(error))
    seen, order = [], random.Random(1)
    with host.alone():
        for block in range(options.blocks):
            for name in order.sample(list(clients), len(clients)):
                one = measured({"a": a, "aa": a, "b": b}, clients[name], options, f"{block}/{name}")
                seen += [{"block": block, "client": name, **row} for row in one]
                print(f"block {block + 1} of {options.blocks}: {name}", file=sys.stderr)
    print(*lines(pd.DataFrame(seen), list(clients)), sep="\n")
    return 0


def measured(arms, client, options, seed):
    """Run one trial by turns; return a row a server."""
    placed, (does, burn_us) = trial.place(pin=True), client
    roles = random.Random(seed).sample(list(arms), len(arms))
    program = Path(__file__).with_name("raw_client.py")
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(arms[role], Place(placed.server, alike=True))) for role in roles]
        for server in servers:
            server.ready()
        ports = [int(server.address.rpartition(":")[2]) for server in servers]
        window = time.monotonic() + WARMUP_S, time.monotonic() + WARMUP_S + options.seconds
        loads = []
        for port in ports:
            asked = {"port": port, "connections": options.connections, "window": window, "does": does,
                     "burn_us": burn_us}  # fmt: skip
            log = stack.enter_context(tempfile.TemporaryFile())
            argv = [sys.executable, "-I", str(program), json.dumps(asked)]
            loads.append(
                stack.enter_context(
                    process.child(argv, Place(placed.generator), stdout=subprocess.PIPE, stderr=log)
                )
            )  # fmt: skip
        teams = [turns.Team(([server.pid], [load.pid])) for server, load in zip(servers, loads, strict=True)]
        taken = stack.enter_context(turns.turns(teams, TURN_MS, window, seed, placed.generator))
        time.sleep(max(0, window[0] - time.monotonic()))
        before = [counters(server.pid, load.pid) for server, load in zip(servers, loads, strict=True)]
        time.sleep(max(0, window[1] - time.monotonic()))
        after = [counters(server.pid, load.pid) for server, load in zip(servers, loads, strict=True)]
        _, own_s = taken.end()
        counts = [json.loads(load.stdout.readline()) for load in loads]
    rows = []
    for role, own, one, was, now in zip(roles, own_s, counts, before, after, strict=True):
        used_s, client_s, sleeps = (until - since for since, until in zip(was, now, strict=True))
        rows.append(
            {
                "role": role,
                "cost_us": used_s / one["calls"] * 1e6,
                "server_busy": used_s / own,
                "client_busy": client_s / own,
                "receipts": one["receipts"] / one["calls"],
                "sleeps": sleeps / one["calls"],
            }
        )
    return rows


def counters(server, client):
    """Return CPU seconds of a server and its client, and how often threads of the server went to sleep."""
    sleeps = 0
    for thread in Path(f"/proc/{server}/task").iterdir():
        status = (thread / "status").read_text()
        sleeps += int(status.partition("voluntary_ctxt_switches:")[2].split()[0])
    return family.cpu_ns([server]) / 1e9, family.cpu_ns([client]) / 1e9, sleeps


def lines(seen, clients):
    """Give the lines of the two tables."""
    cost = seen.set_index(["block", "client", "role"])["cost_us"].unstack().map(math.log)
    logs = {role: (cost[role] - cost["a"]).unstack() for role in ("aa", "b")}
    means = seen.groupby(["client", "role"]).mean(numeric_only=True)
    yield "| client | b in a | a again | a (µs) | server | client | receipts a call | sleeps a call, a, b |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in clients:
        a, b = means.loc[(name, "a")], means.loc[(name, "b")]
        server, client, receipts = ((a[what] + b[what]) / 2 for what in ("server_busy", "client_busy", "receipts"))
        yield (
            f"| {name} | {ratio(logs['b'][name])} | {ratio(logs['aa'][name])} | {a['cost_us']:.0f} | {server:.2f} | "
            f"{client:.2f} | {receipts:.2f} | {a['sleeps']:.2f}, {b['sleeps']:.2f} |"
        )
    if len(clients) > 1:
        yield f"\nmoves the ratio, from that under {clients[0]}:\n"
        for name in clients[1:]:
            yield f"- {name}: {ratio(logs['b'][name] - logs['b'][clients[0]])}"


def ratio(logs):
    """Return a ratio with its interval."""
    one = statistics.from_logs("cpu_per_call_us", "b", "a", [0], logs.tolist())
    return f"{one.ratio:.3f} ({one.low:.3f} to {one.high:.3f})" if one.low else f"{one.ratio:.3f}"


if __name__ == "__main__":
    sys.exit(main())
