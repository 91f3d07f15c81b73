"""The command line: `python -m perfkit serve | sweep`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from perfkit.errors import PerfkitError, PlanError
from perfkit.plan import ENGINES, PATTERNS, parse_arm

BAD_INPUT = 2
FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for bad input before anything was started, 1 for what broke later."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    commands = {"serve": _serve, "sweep": _sweep}
    if command not in commands:
        print(f"usage: python -m perfkit {{{','.join(commands)}}} [--help]", file=sys.stderr)
        return 0 if command in ("-h", "--help") else BAD_INPUT
    try:
        commands[command](rest)
    except PlanError as error:
        return _complain(error, BAD_INPUT)
    except PerfkitError as error:
        return _complain(error, FAILED)
    return 0


def _serve(arguments: list[str]) -> None:
    parser = _parser("serve", "Serve one pattern over gRPC until SIGTERM or SIGINT.")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--pattern", help=" or ".join(PATTERNS))
    subject.add_argument("--arm", help=f"engine, pattern and options in one: {ENGINES[0]}/mutex?workers=4")
    parser.add_argument("--engine", default=ENGINES[0], help=f"what serves gRPC: {', '.join(ENGINES)} (%(default)s)")
    parser.add_argument("--workers", default=10, help="worker threads (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=50055, help="port to listen on, 0 for a free one (%(default)s)")
    given = parser.parse_args(arguments)
    arm = parse_arm(given.arm or f"{given.engine}/{given.pattern}?workers={given.workers}", workers=10)

    from perfkit.serve import serve  # noqa: PLC0415 - after bad input, which needs no gRPC

    serve(arm, given.host, given.port)


def _sweep(arguments: list[str]) -> None:
    from perfkit import experiment, notebooks  # noqa: PLC0415 - `serve` starts faster without them

    parser = _parser("sweep", "Execute notebooks/sweep.ipynb; each option is the parameter of the same name.")
    for name, meaning in notebooks.parameters("sweep.ipynb").items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, default=None, type=_value, help=meaning)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    # Prepared here too, so that what is refused is refused in one line, before a kernel starts.
    folder = experiment.prepare(**given).resolve()
    given |= {"run": str(folder)} if "run" in given else {"out": str(folder)}
    output = folder / "sweep.ipynb"
    notebooks.execute("sweep.ipynb", given, output)
    print(f"executed notebook: {output}")


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m perfkit {command}", description=description, allow_abbrev=False)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are 0 (any free one) to 65535")
    return int(text)


def _value(text: str) -> Any:
    """Read a value as papermill reads that of -p."""
    words = {"True": True, "true": True, "False": False, "false": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _complain(error: PerfkitError, code: int) -> int:
    print(f"perfkit: error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
