"""The command line: `python -m perfkit serve | sweep | compare | calibrate | doctor`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfkit import parameters
from perfkit.arms import ENGINE, PATTERNS, parse_arm
from perfkit.engines import ENGINES
from perfkit.errors import NotebookError, PerfkitError

FAILED, BAD_INPUT, GATE_FAILED, NO_VERDICT = 1, 2, 3, 4
"""Exit codes beside 0: broke after it had begun; refused before; a --fail-if held; not known, or not trusted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    commands = {"serve": _serve, "sweep": _sweep, "compare": _compare, "calibrate": _calibrate, "doctor": _doctor}
    if command not in commands:
        print(f"usage: python -m perfkit {{{','.join(commands)}}} [--help]", file=sys.stderr)
        return 0 if command in ("-h", "--help") else BAD_INPUT
    try:
        return commands[command](rest)
    except PerfkitError as error:
        print(f"perfkit: error: {error}", file=sys.stderr)
        return FAILED if isinstance(error, NotebookError) else BAD_INPUT


def _serve(arguments: list[str]) -> int:
    parser = _parser("serve", "Serve one pattern over gRPC until SIGTERM or SIGINT.")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--pattern", help=" or ".join(PATTERNS))
    subject.add_argument("--arm", help=f"engine, pattern and options in one: {ENGINE}/mutex?workers=4")
    parser.add_argument("--engine", default=ENGINE, help=f"what serves gRPC: {', '.join(ENGINES)} (%(default)s)")
    parser.add_argument("--workers", default=10, help="threads that handle calls, if any do (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=50055, help="port to listen on, 0 for a free one (%(default)s)")
    parser.add_argument("--tls-cert", default="", help="the server's certificate, PEM; with --tls-key")
    parser.add_argument("--tls-key", default="", help="its key, PEM")
    parser.add_argument("--tls-client-ca", default="", help="let in only clients with a certificate of this authority")
    given = parser.parse_args(arguments)
    if bool(given.tls_cert) != bool(given.tls_key) or (given.tls_client_ca and not given.tls_cert):
        parser.error("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    workers = parameters.whole("--workers", given.workers, least=1)
    arm = parse_arm(given.arm or f"{given.engine}/{given.pattern}", workers)

    from perfkit.serve import Tls, serve  # noqa: PLC0415 - after bad input, which needs no gRPC

    tls = Tls(given.tls_cert, given.tls_key, given.tls_client_ca) if given.tls_cert else None
    serve(arm, given.host, given.port, tls)
    return 0


def _sweep(arguments: list[str]) -> int:
    parser = _parser("sweep", "Execute notebooks/sweep.ipynb; each option is the parameter of the same name.")
    _execute("sweep", parser, arguments)
    return 0


def _compare(arguments: list[str]) -> int:
    from perfkit import experiment, gate  # noqa: PLC0415 - as in _execute

    parser = _parser("compare", "Execute notebooks/compare.ipynb; each option is the parameter of the same name.")
    parser.add_argument("--json", type=Path, help="a file for the answer as JSON")
    parser.add_argument("--fail-if", type=gate.parse, help='end with 3 if the whole interval is: "cpu_per_call>5%%"')
    given, folder = _execute("compare", parser, arguments)
    answer = experiment.answer(folder)
    if given.json:
        given.json.write_text(json.dumps(gate.as_json(answer), indent=1) + "\n")
    print(answer.sentence)
    if not answer.is_reached:
        return NO_VERDICT
    return GATE_FAILED if given.fail_if and gate.fails(given.fail_if, answer) else 0


def _calibrate(arguments: list[str]) -> int:
    from perfkit import calibrate  # noqa: PLC0415 - as in _execute

    parser = _parser("calibrate", "Repeat whole comparisons and say what their intervals held, found and missed.")
    parser.add_argument("--studies", type=int, default=20, help="how many comparisons (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("data/runs/calibrate"), help="their folder (%(default)s)")
    parser.add_argument("--a", default="threads/mutex", help="the arm that controls are made of (%(default)s)")
    parser.add_argument("--b", default="threads/inputQ", help="the other (%(default)s)")
    parser.add_argument("--vus", default=20, help="virtual users at each server (%(default)s)")
    parser.add_argument("--budget-s", default=120, help="seconds of each (%(default)s)")
    parser.add_argument("--precision-pct", default=0, help="as in compare; 0 uses the whole budget (%(default)s)")
    parser.add_argument("--share-session", default=False, help="as in compare (%(default)s)")
    given = vars(parser.parse_args(arguments))
    answers = []
    for number, answer in enumerate(calibrate.studies(given.pop("studies"), given.pop("out"), **given), start=1):
        answers.append(answer)
        print(calibrate.line(number, answer), flush=True)
    print(calibrate.summary(answers))
    return 0


def _doctor(arguments: list[str]) -> int:
    from perfkit import doctor  # noqa: PLC0415 - as in _execute

    parser = _parser("doctor", "Say what this machine can and can't measure, and what to do about it.")
    parser.add_argument("--k6", default="k6", help="the k6 program, by name or path (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    given = parser.parse_args(arguments)
    findings = doctor.examine(given.k6)
    if given.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        print(*findings, sep="\n")
    return 0


def _execute(kind: str, parser: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, Path]:
    """Execute a notebook with options for its parameters; return all that was given, and the run folder."""
    from perfkit import doctor, experiment, notebooks  # noqa: PLC0415 - `serve` starts faster without them

    meanings = notebooks.parameters(f"{kind}.ipynb")
    for name, meaning in meanings.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, dest=name, default=None, type=_value, help=meaning.replace("%", "%%"))
    given = parser.parse_args(arguments)
    parameters = {name: value for name, value in vars(given).items() if name in meanings and value is not None}
    # Prepared here too, so that what is refused is refused in one line, before a kernel starts.
    folder = experiment.prepare(kind, **parameters).resolve()
    parameters |= {"run": str(folder)} if "run" in parameters else {"out": str(folder)}
    output = folder / f"{kind}.ipynb"
    if "run" not in parameters:
        for finding in doctor.examine(str(parameters.get("k6", "k6"))):
            if not finding.ok:
                print(finding, file=sys.stderr)
    notebooks.execute(f"{kind}.ipynb", parameters, output)
    print(f"executed notebook: {output}")
    return given, folder


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


if __name__ == "__main__":
    sys.exit(main())
