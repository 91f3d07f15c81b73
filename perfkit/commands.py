"""Commands that execute no notebook and serve nothing: what can be measured where, and how clusters are started."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from perfkit.checkout import ROOT
from perfkit.design.parameters import PARAMETERS
from perfkit.design.reading import whole
from perfkit.manifests import MANIFESTS, Wanted
from perfkit.rig.where import having


def doctor(parser: ArgumentParser, arguments: Sequence[str]) -> int:
    """Print what this machine, or each host of a cluster, can and can't measure."""
    parser.add_argument("--k6", default="k6", help=f"{PARAMETERS['k6'].help} (%(default)s)")
    for name in ("cluster", "server_on"):
        parser.add_argument(f"--{name.replace('_', '-')}", default="", help=PARAMETERS[name].help)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    options = parser.parse_args(arguments)
    with having(k6=options.k6, cluster=options.cluster, server_on=options.server_on) as bench:
        findings = bench.examine(ROOT)  # below which runs lie
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.check) for finding in findings)
        print(*(finding.line(width) for finding in findings), sep="\n")
    return 0


def manifests(parser: ArgumentParser, arguments: Sequence[str]) -> int:
    """Print what starts a cluster elsewhere."""
    default = Wanted()
    parser.add_argument("kind", choices=MANIFESTS)
    parser.add_argument("--hosts", default=default.hosts, help="one serves, the others load (%(default)s)")
    parser.add_argument("--cpus", default=default.cpus, help="whole ones of each host (%(default)s)")
    parser.add_argument("--memory", default=default.memory, help="of each host (%(default)s)")
    parser.add_argument("--image", default=default.image, help="made by this checkout's Dockerfile (%(default)s)")
    parser.add_argument("--address", default=default.address, help="what the k6-operator loads (%(default)s)")
    parser.add_argument("--vus", default=default.vus, help=f"{PARAMETERS['vus'].help} (%(default)s)")
    options = vars(parser.parse_args(arguments))
    kind = options.pop("kind")
    for name, least in {"hosts": 2, "cpus": 1, "vus": 1}.items():
        options[name] = whole(least)(f"--{name}", options[name])
    print(MANIFESTS[kind](Wanted(**options)), end="")
    return 0


COMMANDS: Mapping[str, tuple[Callable[[ArgumentParser, Sequence[str]], int], str]] = {
    "doctor": (
        doctor,
        "Say what this machine, or each host of a cluster, can and can't measure, and what to do about it.",
    ),
    "manifests": (manifests, "Print what starts a cluster for perfkit elsewhere; docs/cluster.md says how it is used."),
}
"""name → what it does with its parser and arguments, and its description"""
