import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import perfkit
from perfkit import notebooks
from perfkit.cli import main
from perfkit.errors import PlanError
from perfkit.show import levels as shown
from perfkit.studies import sweep
from perfkit.studies.catalogue import CATALOGUE
from tests.support import ROOT
from tests.support.notebooks import code_cells, images, outputs_of, text
from tests.support.plans import SMALL
from tests.support.processes import descendants, find, wait_for, wait_for_end
from tests.support.trials import own_flags

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BIN = Path(sys.executable).parent


def run(*argv, cwd=ROOT, **environment):
    return subprocess.run(
        [str(part) for part in argv], cwd=cwd, capture_output=True, text=True, timeout=170, check=False,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_clean_and_thin(path):
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"
    code = code_cells(path)
    assert [cell.tags for cell in code].count(["parameters"]) == 1
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
        if "parameters" not in cell.tags:
            assert len(cell.source.splitlines()) <= 8
            assert not any(word in cell.source for word in ("def ", "class ", "for ", "while ", "plt."))


@pytest.mark.parametrize("study", CATALOGUE.values(), ids=lambda study: study.name)
def test_a_notebooks_parameters_are_those_of_its_study_with_the_same_defaults_and_help(study):
    (cell,) = [cell for cell in code_cells(ROOT / f"notebooks/{study.name}.ipynb") if "parameters" in cell.tags]
    lines = [f"{name} = {default!r}".replace("'", '"') for name, default in study.defaults.items()]
    helps = [parameter.help for parameter in study.parameters.values()]
    written = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
    assert written == [f"{line}  # {text}" for line, text in zip(lines, helps, strict=True)]
    assert cell.source.splitlines()[0] == "# What you will want to change:"
    assert cell.source.splitlines()[4:6] == ["", "# The rest:"]


def test_a_misspelt_parameter_is_refused_and_the_right_one_named():
    notebooks.check_parameters("sweep", ["", "vus = 1", "# Parameters\nvus = 500\nout = 'x'\n"])
    with pytest.raises(PlanError, match=r"parameter 'vuss' is unknown; did you mean 'vus'\? The parameters are: vus, "):
        notebooks.check_parameters("sweep", ["# Parameters\nvuss = 500\n"])
    with pytest.raises(PlanError, match="did you mean 'vus'"):
        notebooks.check_parameters("sweep", ["# Parameters\nvuss = -5\n"])
    with pytest.raises(PlanError, match="'repeats' is unknown"):
        notebooks.check_parameters("compare", ["# Parameters\nrepeats = 5\n"])


@pytest.mark.full
@pytest.mark.load
def test_every_notebook_is_one_by_its_format():
    import nbformat  # it takes five seconds

    for path in NOTEBOOKS:
        nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.load
def test_papermill_runs_the_sweep_where_the_user_stands(tmp_path):
    """In the folder of the notebooks; that it does at the root too, `tests/rig/cluster/test_ssh.py` shows."""
    before = set((ROOT / "notebooks").iterdir())

    folder = tmp_path / "run"
    told = run(
        "papermill", "sweep.ipynb", tmp_path / "out.ipynb", "-p", "vus", "2,", "-p", "duration_s", 0.7,
        "-p", "warmup_s", 0.3, "-p", "repeats", 1, "-p", "out", folder, cwd=ROOT / "notebooks",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    assert "unknown parameter" not in told.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out.ipynb"}, "it wrote outside of out"
    assert set((ROOT / "notebooks").iterdir()) == before
    for method, servers in (("solo", 2), ("turns", 3)):
        table = perfkit.load(folder, method)
        assert len(table[table["complete"]]) == servers
        assert own_flags(table) == set()
    assert len(images(tmp_path / "out.ipynb")) >= 5
    assert "The answer." in text(tmp_path / "out.ipynb")
    first, *_ = (one for one in outputs_of(tmp_path / "out.ipynb"))
    assert "".join(first["data"]["text/markdown"]).startswith("**The answer.**"), "the place at the top is filled"
    streams = ["".join(one["text"]) for one in outputs_of(tmp_path / "out.ipynb") if one["output_type"] == "stream"]
    lines = [line for one in streams for line in one.splitlines() if not line.startswith("LOOK")]  # of a busy machine
    assert len(lines) <= 6, lines
    assert any(re.search(r"^\d+ trials in \d+ s\n", one, re.MULTILINE) for one in streams)
    assert (folder / "trials.csv").exists()
    for name in ("levels", "price", "cpu-per-call", "latency", "latency-distribution", "instrument"):
        for end in ("png", "svg"):
            assert (folder / "figures" / f"{name}.{end}").stat().st_size > 5000


@pytest.mark.full
@pytest.mark.load
def test_papermill_stops_at_a_misspelt_parameter_before_anything_starts(tmp_path):
    result = run(
        "papermill", "notebooks/sweep.ipynb", tmp_path / "out.ipynb", "-p", "vuss", 500, "-p", "out", tmp_path / "run"
    )
    assert result.returncode != 0
    assert "did you mean 'vus'" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("injection", "message"),
    [("vus = 0", "vus=0 is no whole number"), ("vus = '10,10'", "a level twice"), ("vuss = 5", "did you mean 'vus'")],
)
def test_a_notebooks_cells_stop_at_bad_input_before_anything_starts(tmp_path, injection, message):
    parameters, placing, measuring = [cell.source for cell in code_cells(ROOT / "notebooks/sweep.ipynb")][:3]
    injected = f"# Parameters\n{injection}\nout = {str(tmp_path / 'run')!r}\n"
    with pytest.raises(PlanError, match=message):
        exec("\n".join((parameters, injected, placing, measuring)), {"In": ["", parameters, injected]})  # noqa: S102 - our own
    assert not (tmp_path / "run").exists()


@pytest.mark.full
@pytest.mark.load
def test_the_shell_runs_the_sweep_on_this_environments_kernel_with_progress(tmp_path):
    """A kernel of the same name that the user has must not be the one that runs."""
    kernel = tmp_path / "home/.local/share/jupyter/kernels/python3"
    elsewhere = tmp_path / "elsewhere/kernels/python3"
    for folder in (kernel, elsewhere):
        folder.mkdir(parents=True)
        spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "not this one", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**SMALL, "vus": "2,"}.items()]
    told = run(
        sys.executable, "-m", "perfkit", "sweep", *options, "--out", "run", cwd=tmp_path,
        HOME=str(tmp_path / "home"), JUPYTER_PATH=str(tmp_path / "elsewhere"),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    *_, path, last = told.stdout.splitlines()
    assert path == f"executed notebook: {tmp_path / 'run' / 'sweep.ipynb'}"
    assert last == shown.sentence(sweep.answer(tmp_path / "run")), "the last line is the answer"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The answer." in page
    assert "import perfkit" not in page, "code is left out"
    assert not re.findall(r"(?:src|href)=[\"']?http", page), "it needs nothing from elsewhere"
    assert page.count("data:image/png;base64,") == len(images(tmp_path / "run" / "sweep.ipynb"))
    assert len(images(tmp_path / "run" / "sweep.ipynb")) >= 5
    assert "block 2/2" in told.stderr
    assert "4/4" in told.stderr
    assert "<00:" in told.stderr, "no time left is shown"
    assert own_flags(perfkit.load(tmp_path / "run")) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vus", "0"], "vus=0"),
        (["--vus=-5"], "vus=-5"),
        (["--vus", "abc"], "vus='abc'"),
        (["--vuss", "5"], "No such option '--vuss'. Did you mean '--vus'?"),
        (["--vu", "5"], "No such option '--vu'"),
        (["--repeats", "0"], "repeats=0"),
        (["--duration-s", "0"], "duration_s=0"),
        (["--arms", "mutex,x"], "arm 'x' is unknown"),
        (["--k6", "/no/k6"], "k6='/no/k6' is no program"),
        (["--run", "/no/run"], "there is no folder /no/run"),
    ],
)
def test_the_shell_refuses_bad_input_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["sweep", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.load
def test_bad_input_gives_a_shell_exit_code_2_and_no_traceback(tmp_path):
    result = run(sys.executable, "-m", "perfkit", "sweep", "--vus", "0", "--out", tmp_path / "run")
    assert (result.returncode, "vus=0" in result.stderr, "Traceback" in result.stderr) == (2, True, False)


def test_help_has_every_parameter_with_its_default(capsys):
    assert main(["compare", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, parameter in CATALOGUE["compare"].parameters.items():
        assert f"--{name.replace('_', '-')}" in text
        assert parameter.help.split(";")[0].removeprefix("True: ") in text
    assert "[default: threads/inputQ]" in text


def test_make_hands_every_variable_on_as_an_option():
    told = run("make", "-n", "sweep", "VUS=10,50", "DURATION_S=3", "CONNECT_PER_ITERATION=True", "VUSS=1")
    for option in ("--vus=10,50", "--duration-s=3", "--connect-per-iteration=True", "--vuss=1"):
        assert f"'{option}'" in told.stdout


@pytest.mark.load
@pytest.mark.parametrize("stop", [pytest.param("interrupt_kernel", marks=pytest.mark.full), "kill"])
def test_a_kernel_that_is_stopped_or_killed_leaves_no_server_and_no_k6(tmp_path, stop):
    """JupyterLab's stop button interrupts the kernel; a crash of it is a SIGKILL."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(tmp_path / "kernel"))
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    asked = client.execute(
        f"import perfkit; perfkit.sweep(vus=[3], duration_s=20, repeats=1, out={str(tmp_path / 'run')!r})"
    )
    pid = manager.provisioner.process.pid
    wait_for("k6 and server", lambda: find("counter.js", pid) and find("perfkit serve", pid))
    children = descendants(pid)
    if stop == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        manager.interrupt_kernel()
        # A slow kernel may have answered wait_for_ready's question twice; that answer comes first.
        while (reply := client.get_shell_msg(timeout=120))["parent_header"].get("msg_id") != asked:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    wait_for_end(children)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
