"""The command `perfkit`: what is typed becomes parameters of studies, what comes of it an exit code."""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click
from click.exceptions import NoArgsIsHelpError

from perfkit.errors import NotebookError, PerfkitError

FAILED, BAD_INPUT, GATE_FAILED, NO_VERDICT = 1, 2, 3, 4
"""Exit codes other than 0: broke after it had begun; refused before; a --fail-if held; not known, or not trusted.

With a --fail-if the last one is of its own threshold: the interval holds it, or the metric has no verdict.
"""

STUDIES = {
    "sweep": "Compare patterns over numbers of virtual users.",
    "compare": "Compare two arms at one load, until the answer is known.",
    "engines": "Compare patterns on all engines, or draw the stored survey.",
    "commit": "Compare patterns where each call is committed, or draw the stored runs.",
    "crossover": "Map where the queue wins over two factors, or draw the stored map.",
    "published": "Draw the published study beside two sweeps of ours.",
}
"""Commands that execute a notebook, each with what it does."""

COMMANDS = {
    **dict.fromkeys(STUDIES, "studies"),
    "report": "studies",
    "calibrate": "studies",
    "diff": "history",
    "history": "history",
    "pool": "history",
    "notebooks": "tools",
    "doctor": "tools",
    "manifests": "tools",
    "serve": "serving",
}
"""name → the module here that has it; only that one is imported, so that `serve` starts fast"""

HELP = {
    **STUDIES,
    "report": "Draw a stored run again, and as a page for mail.",
    "calibrate": "Repeat whole comparisons: what did their intervals hold and miss?",
    "diff": "Say what changed between two stored comparisons of one question.",
    "history": "Draw a folder of stored comparisons as one line with intervals.",
    "pool": "Say what finished comparisons of one question, from several machines, say together.",
    "notebooks": "Copy the notebooks into a folder, to open or to execute them there.",
    "doctor": "Say what this machine, or each host of a cluster, can and can't measure.",
    "manifests": "Print what starts a cluster for perfkit elsewhere.",
    "serve": "Serve one pattern over gRPC until SIGTERM or SIGINT.",
}


class Commands(click.Group):
    """All commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, D102
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {cmd_name!r}; {meant}")
        module = import_module(f"perfkit.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002, D102
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="perfkit")
def perfkit() -> None:
    """Say what two builds of a gRPC service cost under load, with an honest error bar."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return int(perfkit.main(arguments, prog_name="perfkit", standalone_mode=False) or 0)
    except NoArgsIsHelpError as error:
        error.show()
        return BAD_INPUT
    except click.ClickException as error:
        print(f"perfkit: error: {error.format_message()}", file=sys.stderr)
        return BAD_INPUT
    except click.Abort:
        print("perfkit: stopped; finished trials are kept: start the same again to go on", file=sys.stderr)
        return FAILED
    except PerfkitError as error:
        print(f"perfkit: error: {error}", file=sys.stderr)
        return FAILED if isinstance(error, NotebookError) else BAD_INPUT
