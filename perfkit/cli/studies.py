"""Commands that execute a study's notebook, and what a comparison says to a shell besides."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from perfkit import notebooks
from perfkit.checkout import RUNS
from perfkit.cli import GATE_FAILED, HELP, NO_VERDICT, STUDIES, gate
from perfkit.cli.options import Command, given, options
from perfkit.design.parameters import PARAMETERS
from perfkit.design.plan import Plan
from perfkit.errors import StoreError
from perfkit.record.load import load_plan
from perfkit.show import levels, report_commit, report_studies
from perfkit.show.curves import crossover as crossover_said
from perfkit.show.several import robust
from perfkit.studies import commit, compare, crossover, engines, sweep
from perfkit.studies.catalogue import CATALOGUE
from perfkit.studies.common import campaign
from perfkit.studies.several import calibrate

CALIBRATED = ("seed", "out", "run")
"""Parameters of a comparison that its calibration sets itself."""

LAST_LINES: dict[str, Callable[[Path], str]] = {
    "sweep": lambda folder: levels.sentence(sweep.answer(folder)),
    "compare": lambda folder: robust.headline(compare.robustness(folder)),
    "engines": lambda folder: report_studies.engines_headline(engines.read(folder)),
    "commit": lambda folder: report_commit.headline(*commit.read(folder)),
    "crossover": lambda folder: crossover_said.headline(crossover.read(folder)),
}
"""study → its answer in a sentence or two, of its folder"""


def command(name: str) -> click.Command:
    """Return the command of this name."""
    made = {"compare": _compare_command, "calibrate": _calibrate_command, "report": _report_command}
    return made.get(name, lambda: _study_command(name))()


def _study_command(name: str) -> click.Command:
    study = CATALOGUE[name]

    def run(**values: Any) -> None:
        _say(name, _execute(name, given(values)))

    return Command(name, callback=run, params=options(study.parameters, study.defaults), help=_help(name))


def _help(name: str) -> str:
    return f"{STUDIES[name]} Executes {name}.ipynb; each option is the notebook's parameter of the same name."


def _compare_command() -> click.Command:
    study = compare.STUDY
    more = [
        click.Option(["--json", "json_file"], type=click.Path(path_type=Path), help="a file for the answer as JSON"),
        click.Option(
            ["--summary"], type=click.Path(path_type=Path),
            help="a file for the answer as Markdown, with its figure beside it as SVG",
        ),
        click.Option(
            ["--fail-if", "gates"], type=gate.GateType(), multiple=True,
            help='end with 3 if the whole interval is beyond: "cpu_per_call>5%"; several may be given',
        ),
    ]  # fmt: skip
    return Command(
        "compare", callback=_compare, params=[*options(study.parameters, study.defaults), *more], help=_help("compare")
    )


def _compare(json_file: Path | None, summary: Path | None, gates: tuple[gate.Gate, ...], **values: Any) -> int:
    def refuse(plan: Plan) -> None:
        for one in gates:
            gate.refuse_unmeasurable(one, plan)
        for name, path in {"--json": json_file, "--summary": summary}.items():
            if path:
                _refuse_unwritable(name, path)

    folder = _execute("compare", given(values), refuse)
    found = compare.robustness(folder)
    if json_file:
        json_file.write_text(json.dumps(gate.as_json(found), indent=1) + "\n")
    judged = {one: gate.judge(one, found) for one in gates}
    if summary:
        from perfkit.cli.summary import write  # noqa: PLC0415 - it takes seconds to import, and most need none

        write(summary, folder, found, judged)
    print(robust.headline(found))
    if gate.BEYOND in judged.values():
        return GATE_FAILED
    if gates:
        return NO_VERDICT if gate.OPEN in judged.values() else 0
    return 0 if found.is_reached else NO_VERDICT


def _refuse_unwritable(name: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise StoreError(f"{name} {path} can't be written: {error.strerror}; name another file") from error


def _calibrate_command() -> click.Command:
    study = compare.STUDY
    parameters = {name: one for name, one in study.parameters.items() if name not in CALIBRATED}
    own = [
        click.Option(["--studies"], default="20", show_default=True, help=PARAMETERS["studies"].help),
        click.Option(
            ["--out"], type=click.Path(path_type=Path), default=RUNS / "calibrate", show_default=True,
            help="their folder",
        ),
    ]  # fmt: skip
    return Command(
        "calibrate", callback=_calibrate, params=[*options(parameters, study.defaults), *own], help=HELP["calibrate"]
    )


def _calibrate(studies: str, out: Path, **values: Any) -> None:
    asked = {"precision_pct": 0, **given(values)}  # the whole budget: nothing looks at the data before the end
    answers = []
    for number, answer in enumerate(calibrate.calibrate(studies, out, **asked), start=1):
        answers.append(answer)
        print(report_studies.calibration_line(number, answer), flush=True)
    print(report_studies.calibration_summary(answers))


def _report_command() -> click.Command:
    def draw(run: Path) -> None:
        name = load_plan(run).study
        _say(name, _execute(name, {"run": str(run)}))

    run = click.Argument(["run"], type=click.Path(path_type=Path))
    return Command("report", callback=draw, params=[run], help=HELP["report"])


def _say(name: str, folder: Path) -> None:
    """Let the last line be the answer."""
    if name in LAST_LINES:
        print(LAST_LINES[name](folder))


def _execute(name: str, values: dict[str, Any], refuse: Callable[[Plan], None] | None = None) -> Path:
    """Execute a study's notebook with these of its parameters; return the run folder.

    `refuse` sees the plan, of a study of one, before anything is started.
    """
    study = CATALOGUE[name]
    # Prepared here too, so that what is refused is refused in one line, before a kernel starts.
    stored = study.stored(study.settings(values))
    if refuse:
        refuse(load_plan(stored) if stored else study.plan(**values))
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
    return folder
