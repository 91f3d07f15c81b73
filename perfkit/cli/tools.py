"""Commands that measure nothing: what can be measured where, how clusters are started, the notebooks to take along."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from perfkit.checkout import RUNS
from perfkit.cli import HELP
from perfkit.cli.options import where
from perfkit.design.parameters import PARAMETERS
from perfkit.design.reading import whole
from perfkit.errors import StoreError
from perfkit.manifests import MANIFESTS, Wanted
from perfkit.notebooks import FOLDER
from perfkit.rig.where import having


def command(name: str) -> click.Command:
    """Return the command of this name."""
    return {"doctor": doctor, "manifests": manifests, "notebooks": notebooks}[name]


def _examine(as_json: bool, k6: str | None, cluster: str | None, server_on: str | None) -> None:
    with having(k6=k6 or "k6", cluster=cluster or "", server_on=server_on or "") as bench:
        findings = bench.examine(RUNS.parent)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.check) for finding in findings)
        print(*(finding.line(width) for finding in findings), sep="\n")


doctor = click.Command(
    "doctor",
    callback=_examine,
    params=[*where(), click.Option(["--json", "as_json"], is_flag=True, help="the findings as JSON")],
    help=f"{HELP['doctor']} And what to do about it.",
)

_WANTED = Wanted()


@click.command(help=f"{HELP['manifests']} docs/cluster.md says how it is used.")
@click.argument("kind", type=click.Choice(list(MANIFESTS)))
@click.option("--hosts", default=_WANTED.hosts, type=str, show_default=True, help="one serves, the others load")
@click.option("--cpus", default=_WANTED.cpus, type=str, show_default=True, help="whole ones of each host")
@click.option("--memory", default=_WANTED.memory, show_default=True, help="of each host")
@click.option("--image", default=_WANTED.image, show_default=True, help="made by the repository's Dockerfile")
@click.option("--address", default=_WANTED.address, show_default=True, help="what the k6-operator loads")
@click.option("--vus", default=_WANTED.vus, type=str, show_default=True, help=PARAMETERS["vus"].help)
def manifests(kind: str, **wanted: Any) -> None:
    """Print what starts a cluster."""
    for name, least in {"hosts": 2, "cpus": 1, "vus": 1}.items():
        wanted[name] = whole(least)(f"--{name}", wanted[name])
    print(MANIFESTS[kind](Wanted(**wanted)), end="")


@click.command(help=HELP["notebooks"])
@click.argument("folder", type=click.Path(path_type=Path))
def notebooks(folder: Path) -> None:
    """Copy what is not there yet; what is there may have been changed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = [path.name for path in FOLDER.glob("*.ipynb") if (folder / path.name).exists()]
        if there:
            raise StoreError(f"{folder} has {min(there)} already; name another folder: nothing is overwritten")
        for path in sorted(FOLDER.glob("*.ipynb")):
            print(shutil.copy(path, folder / path.name))
    except OSError as error:
        raise StoreError(f"can't write to {folder}: {error.strerror}; name another folder") from error
