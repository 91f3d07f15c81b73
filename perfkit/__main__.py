"""The command line: `python -m perfkit serve`, `sweep` and the other studies, `report`, `doctor`, and others."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfkit.design.arms import parse_arm
from perfkit.design.engines import DEFAULT_ENGINE, ENGINES, PATTERNS
from perfkit.design.parameters import PARAMETERS
from perfkit.errors import NotebookError, PerfkitError, StoreError

if TYPE_CHECKING:
    from perfkit.design.plan import Plan
    from perfkit.studies.common.study import Study

STUDIES = ("sweep", "compare", "engines", "commit", "published")
"""Commands that execute a notebook; `studies.catalogue` has them, but `serve` starts faster without importing it."""

FAILED, BAD_INPUT, GATE_FAILED, NO_VERDICT = 1, 2, 3, 4
"""Exit codes other than 0: broke after it had begun; refused before; a --fail-if held; not known, or not trusted.

With a --fail-if the last one is of its own threshold: the interval holds it, or the metric has no verdict.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    commands: dict[str, Callable[[list[str]], int]] = {
        "serve": _serve,
        **{name: partial(_study, name) for name in STUDIES},
        "compare": _compare,
        "report": _report,
        "calibrate": _calibrate,
        "doctor": partial(_other, "doctor"),
        "manifests": partial(_other, "manifests"),
    }
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
    subject.add_argument("--arm", help=f"engine, pattern and options in one: {DEFAULT_ENGINE}/mutex?workers=4")
    parser.add_argument(
        "--engine", default=DEFAULT_ENGINE, help=f"what serves gRPC: {', '.join(ENGINES)} (%(default)s)"
    )
    parser.add_argument("--workers", default=10, help="threads that handle calls, if any do (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=50055, help="port to listen on, 0 for a free one (%(default)s)")
    parser.add_argument("--tls-cert", default="", help="the server's certificate, PEM; with --tls-key")
    parser.add_argument("--tls-key", default="", help="its key, PEM")
    parser.add_argument("--tls-client-ca", default="", help="let in only clients with a certificate of this authority")
    parser.add_argument("--folder", type=Path, help="where an arm with store=sqlite or append keeps its files")
    options = parser.parse_args(arguments)
    if bool(options.tls_cert) != bool(options.tls_key) or (options.tls_client_ca and not options.tls_cert):
        parser.error("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    workers = PARAMETERS["workers"].read("--workers", options.workers)
    arm = parse_arm(options.arm or f"{options.engine}/{options.pattern}", workers)

    from perfkit.subject.serve import Tls, serve  # noqa: PLC0415 - after bad input, which needs no gRPC

    tls = Tls(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None
    serve(arm, options.host, options.port, tls, options.folder)
    return 0


def _study(name: str, arguments: list[str]) -> int:
    _execute(name, _notebook_parser(name), arguments)
    return 0


def _compare(arguments: list[str]) -> int:
    from perfkit import gate  # noqa: PLC0415 - as in _execute
    from perfkit.show import robust  # noqa: PLC0415
    from perfkit.studies import compare  # noqa: PLC0415

    parser = _notebook_parser("compare")
    parser.add_argument("--json", type=Path, help="a file for the answer as JSON")
    parser.add_argument("--fail-if", type=gate.parse, help='end with 3 if the whole interval is: "cpu_per_call>5%%"')

    def refuse(options: argparse.Namespace, plan: "Plan") -> None:
        if options.fail_if:
            gate.refuse_unmeasurable(options.fail_if, plan)
        if options.json:
            _refuse_unwritable(options.json)

    options, folder = _execute("compare", parser, arguments, refuse)
    found = compare.robustness(folder)
    if options.json:
        options.json.write_text(json.dumps(gate.as_json(found), indent=1) + "\n")
    print(robust.headline(found))
    if options.fail_if:
        return {gate.BEYOND: GATE_FAILED, gate.INSIDE: 0, gate.OPEN: NO_VERDICT}[gate.judge(options.fail_if, found)]
    return 0 if found.is_reached else NO_VERDICT


def _refuse_unwritable(path: Path) -> None:
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise StoreError(f"--json {path} can't be written: {error.strerror}; name another file") from error


def _calibrate(arguments: list[str]) -> int:
    from perfkit.show import report_studies  # noqa: PLC0415 - as in _execute
    from perfkit.studies import calibrate, compare  # noqa: PLC0415

    parser = _parser("calibrate", "Repeat whole comparisons and say what their intervals held, detected and missed.")
    _add_parameters(parser, compare.STUDY, [name for name in compare.STUDY.parameters if name not in CALIBRATED])
    parser.add_argument("--studies", default=20, help=f"{PARAMETERS['studies'].help} (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("data/runs/calibrate"), help="their folder (%(default)s)")
    options = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    options.setdefault("precision_pct", 0)  # the whole budget: nothing looks at the data before the end
    answers = []
    for number, answer in enumerate(
        calibrate.calibrate(options.pop("studies"), options.pop("out"), **options), start=1
    ):
        answers.append(answer)
        print(report_studies.calibration_line(number, answer), flush=True)
    print(report_studies.calibration_summary(answers))
    return 0


def _report(arguments: list[str]) -> int:
    from perfkit.record.load import load_plan  # noqa: PLC0415 - as in _execute

    parser = _parser("report", "Draw a stored run again: its notebook, and that as one page for mail (report.html).")
    parser.add_argument("run", type=Path, help="the run's folder")
    folder = parser.parse_args(arguments).run
    study = load_plan(folder).study
    _execute(study, _notebook_parser(study), [f"--run={folder}"])
    return 0


CALIBRATED = ("seed", "out", "run")
"""Parameters of a comparison that its calibration sets itself."""


def _other(name: str, arguments: list[str]) -> int:
    from perfkit import commands  # noqa: PLC0415 - as in _execute

    command, description = commands.COMMANDS[name]
    return command(_parser(name, description), arguments)


def _execute(
    name: str,
    parser: argparse.ArgumentParser,
    arguments: list[str],
    refuse: "Callable[[argparse.Namespace, Plan], None] | None" = None,
) -> tuple[argparse.Namespace, Path]:
    """Execute a study's notebook with options for its parameters; return all options, and the run folder.

    `refuse` sees options and plan, of a study of one, before anything is started.
    """
    from perfkit import notebooks  # noqa: PLC0415 - `serve` starts faster without them
    from perfkit.record.load import load_plan  # noqa: PLC0415
    from perfkit.studies.catalogue import CATALOGUE  # noqa: PLC0415
    from perfkit.studies.common import campaign  # noqa: PLC0415

    study = CATALOGUE[name]
    _add_parameters(parser, study, list(study.parameters))
    options = parser.parse_args(arguments)
    values = {name: value for name, value in vars(options).items() if name in study.parameters and value is not None}
    # Prepared here too, so that what is refused is refused in one line, before a kernel starts.
    stored = study.stored(study.settings(values))
    if refuse:
        refuse(options, load_plan(stored) if stored else study.plan(**values))
    folder = campaign.prepare(study, values).resolve()
    if stored is None:
        values |= {"out": str(folder)}
    elif "run" in values:
        values |= {"run": str(folder)}
    # A stored run may be somebody else's.
    home = folder if os.access(folder, os.W_OK) else Path.cwd()
    output, page = home / f"{name}.ipynb", home / "report.html"
    notebooks.execute(f"{name}.ipynb", values, output)
    notebooks.export(output, page)
    print(f"as a page: {page}\nexecuted notebook: {output}")
    return options, folder


def _notebook_parser(name: str) -> argparse.ArgumentParser:
    return _parser(name, f"Execute notebooks/{name}.ipynb; each option is the parameter of the same name.")


def _add_parameters(parser: argparse.ArgumentParser, study: "Study", names: Sequence[str]) -> None:
    for name in names:
        default = str(study.defaults[name] or "").replace("%", "%%")
        text = study.parameters[name].help.replace("%", "%%") + (f" ({default})" if default else "")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, default=None, type=_value, help=text)


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
