"""`perfkit serve`: one of perfkit's own servers, as trials start it and as anyone may."""

from pathlib import Path

import click

from perfkit.cli import HELP
from perfkit.design.arms import parse_arm
from perfkit.design.engines import DEFAULT_ENGINE, ENGINES, PATTERNS
from perfkit.design.parameters import PARAMETERS


def command(name: str) -> click.Command:
    """Return the command of this name."""
    return {"serve": serve}[name]


@click.command(short_help=HELP["serve"], help=HELP["serve"])
@click.option("--pattern", help=" or ".join(PATTERNS))
@click.option("--arm", help=f"engine, pattern and options in one: {DEFAULT_ENGINE}/mutex?workers=4")
@click.option("--engine", default=DEFAULT_ENGINE, show_default=True, help=f"what serves gRPC: {', '.join(ENGINES)}")
@click.option("--workers", default="10", show_default=True, help="threads that handle calls, if any do")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=50055,
    show_default=True,
    help="port to listen on; 0: a free one",
)
@click.option("--tls-cert", default="", help="the server's certificate, PEM; with --tls-key")
@click.option("--tls-key", default="", help="its key, PEM")
@click.option("--tls-client-ca", default="", help="let in only clients with a certificate of this authority")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="where an arm with store=sqlite or append, or stages=True, keeps files",
)
@click.option(
    "--stopped",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    hidden=True,  # of trials by turns
    help="a file that says for how many ns the server has been stopped; its waits don't count them",
)
def serve(
    pattern: str | None,
    arm: str | None,
    engine: str,
    workers: str,
    host: str,
    port: int,
    tls_cert: str,
    tls_key: str,
    tls_client_ca: str,
    folder: Path | None,
    stopped: Path | None,
) -> None:
    """Serve until a signal comes."""
    if bool(pattern) == bool(arm):
        raise click.UsageError("name either --pattern or --arm: what is to be served")
    if bool(tls_cert) != bool(tls_key) or (tls_client_ca and not tls_cert):
        raise click.UsageError("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    served = parse_arm(arm or f"{engine}/{pattern}", PARAMETERS["workers"].read("--workers", workers))

    from perfkit.subject.serve import Tls  # noqa: PLC0415 - after bad input, which needs no gRPC
    from perfkit.subject.serve import serve as until_signal  # noqa: PLC0415

    tls = Tls(tls_cert, tls_key, tls_client_ca) if tls_cert else None
    until_signal(served, host, port, tls, folder, stopped)
