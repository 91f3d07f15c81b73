import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from perfkit.checkout import ROOT as HOME
from perfkit.cli import COMMANDS, HELP, main
from perfkit.cli.summary import text
from perfkit.studies import compare
from tests.support import ROOT

EXAMPLE = ROOT / "data/example/compare-joint"


def said(capsys, *arguments):
    code = main(list(arguments))
    return code, " ".join(capsys.readouterr().out.split())


def test_every_command_is_listed_with_a_line(capsys):
    code, told = said(capsys, "--help")
    assert code == 0
    assert set(COMMANDS) == set(HELP)
    for name, line in HELP.items():
        assert f"{name} {line}" in told
    assert main([]) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name):
    code, told = said(capsys, name, "--help")
    assert code == 0
    assert told.startswith(f"Usage: perfkit {name}")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--solo"], True),
        (["--no-solo"], False),
        (["--solo", "True"], True),
        (["--solo=False"], False),
        (["--solo", "--vus", "5"], True),
        ([], None),
    ],
)
def test_a_switch_is_written_as_shells_and_as_papermill_have_it(words, asked):
    from perfkit.cli import studies

    command = studies.command("compare")
    assert command.make_context("compare", list(words)).params["solo"] is asked


def test_a_switch_of_neither_kind_is_refused_by_its_name(capsys):
    assert main(["compare", "--solo", "perhaps"]) == 2
    assert "solo='perhaps' is neither True nor False" in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.load
def test_a_shell_completes_commands_options_and_switches():
    def completed(*words):
        told = subprocess.run(
            [sys.executable, "-m", "perfkit"], capture_output=True, text=True, check=True, cwd=ROOT,
            env={**os.environ, "_PERFKIT_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words),
                 "COMP_CWORD": str(len(words) - 1)},
        )  # fmt: skip
        return {line.partition(",")[2] for line in told.stdout.splitlines()}

    assert completed("perfkit", "comp") == {"compare"}
    assert {"--solo", "--no-solo"} <= completed("perfkit", "compare", "--")


def test_notebooks_are_copied_and_never_over_others(tmp_path, capsys):
    code, told = said(capsys, "notebooks", str(tmp_path / "mine"))
    assert code == 0
    copied = {path.name for path in (tmp_path / "mine").iterdir()}
    assert copied == {path.name for path in (HOME / "notebooks").glob("*.ipynb")}
    assert told.count("mine/") == len(copied)
    assert main(["notebooks", str(tmp_path / "mine")]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["notebooks", str(tmp_path / "file")]) == 2


@pytest.mark.load
def test_a_stored_comparison_is_told_in_markdown_with_its_figure(tmp_path):
    summary = tmp_path / "new/summary.md"
    words = ["--run", str(EXAMPLE), "--summary", str(summary), "--fail-if", "cpu_per_call>2%", "--fail-if",
             "cpu_per_call<-20%"]  # fmt: skip
    os.chdir(tmp_path)
    try:
        code = main(["compare", *words])
    finally:
        os.chdir(ROOT)
    assert code == 3
    told = summary.read_text()
    assert told.startswith("### inputQ costs more CPU per call than mutex: +3.2 %")
    assert re.search(r"^\| CPU per call \| \+3.2 % \| \+2.8 % to \+3.6 % \| ", told, re.MULTILINE)
    assert "Gate `cpu_per_call>2%` **failed**" in told
    assert "Gate `cpu_per_call<-20%` passed" in told
    assert "The A/A control passed" in told
    assert (tmp_path / "new/summary.svg").read_text().count("<svg") == 1


def test_what_a_gate_said_is_in_the_summary():
    found = compare.robustness(EXAMPLE)
    assert "Gate" not in text(Path(EXAMPLE), found, {})


@pytest.mark.parametrize("option", ["--json", "--summary"])
def test_a_file_that_can_not_be_written_is_named_before_anything_starts(option, capsys, tmp_path):
    (tmp_path / "file").touch()
    assert main(["compare", "--run", str(EXAMPLE), option, str(tmp_path / "file/x")]) == 2
    assert f"{option} {tmp_path}/file/x can't be written" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["serve"], ["serve", "--pattern", "mutex", "--arm", "threads/mutex"]])
def test_what_is_to_be_served_is_named_once(arguments, capsys):
    assert main(arguments) == 2
    assert "name either --pattern or --arm" in capsys.readouterr().err
