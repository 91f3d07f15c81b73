"""A stranger's machine: their environment, their servers, their text. Wrong numbers that nobody would notice first."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import perfkit
from perfkit import notebooks
from perfkit.checkout import ROOT
from perfkit.cli import gate, main
from perfkit.design.arms import parse_arm
from perfkit.design.plan import Load
from perfkit.errors import PerfkitError, PlanError
from perfkit.record import runs
from perfkit.record.validity import LEAST_CALL_US, flags
from perfkit.rig import family, generators, host, machine, process, trial  # noqa: F401 - machine is used from outside
from perfkit.show import draw, words
from tests.faults.bench import PLAN, QUICK, TEST, Bench, fault
from tests.support.plans import plan_compare, plan_sweep, solo
from tests.support.processes import command_of, descendants, wait_for
from tests.support.servers import COUNTED, foreign
from tests.support.trials import own_flags

LOAD = Load(2, 0.2, 1.0)

K6_LEAST_S = 10e-6
"""k6 needs several times as much CPU time for a call on any machine; a shell that waits for it needs none."""

NO_TRIAL, NOTHING = "no trial was made of it", "nothing was started"


def _measured(arm: str, k6: str = "k6", **placement: float):
    """One solo trial, which a neighbour may have disturbed and nothing else."""
    one = solo(parse_arm(arm, 4), LOAD)
    result, _ = trial.measure(one, 0, generators.find([LOAD], k6), trial.place(pin=True, **placement))
    assert own_flags(result) == set()
    return result


def _refused(arm: str, **placement: float) -> tuple[str, str]:
    with pytest.raises(PerfkitError) as told:
        _measured(arm, **placement)
    return str(told.value), NO_TRIAL


def _server(bench: Bench, message: str = COUNTED, before: str = "") -> str:
    return foreign(bench.folder, message, before)


def _altered(bench: Bench, old: str, new: str) -> str:
    """Return an arm: that server with something else in it."""
    command, path = _server(bench), bench.folder / "server.py"
    path.write_text(path.read_text().replace(old, new))
    assert new in path.read_text()
    return f"exec:{command}"


def _script(bench: Bench) -> str:
    path = bench.folder / "k6-script"
    path.write_text(f'#!/bin/sh\n{generators.find()["k6"].path} "$@"\nexit $?\n')
    path.chmod(0o755)
    return str(path)


@fault("k6 behind a shell script")
def _(bench: Bench) -> tuple[str, str]:
    result = _measured("threads/mutex", _script(bench))
    (one,) = result.generators
    assert one.usage.cpu_s / result.served[0].calls.acknowledged > K6_LEAST_S
    return "its CPU time is read as without", "the trial"


@fault("k6 behind a shell script, and the sweep is killed (SIGKILL)")
def _(bench: Bench) -> tuple[str, str]:
    call = f"perfkit.sweep(**{ {**PLAN, 'duration_s': 20}!r}, k6={_script(bench)!r}, out={str(bench.out)!r})"

    def begun(pid: int) -> None:
        wait_for("k6 and its script", lambda: sum("counter.js" in command_of(one) for one in descendants(pid)) >= 2)

    bench.own_process(call, begun, lambda run: run.kill())
    return "server, script and k6 end with it", NO_TRIAL


@fault("a server of two processes")
def _(bench: Bench) -> tuple[str, str]:
    result = _measured(f"exec:/bin/sh -c '{_server(bench)}; exit $?'")
    assert result.served[0].cpu_per_call_us(LOAD) > LEAST_CALL_US, "of the shell alone it would be next to nothing"
    return "the CPU time of both counts", "the trial"


@fault("a quota of CPU time (a control group's)")
def _(_bench: Bench) -> tuple[str, str]:
    group = Path("/sys/fs/cgroup/cpu/perfkit-test")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("30000")  # of a tenth of a second
    except OSError as error:
        pytest.skip(f"this machine lets nobody make a control group ({error.strerror})")
    said = (
        "import sys; sys.path.insert(0, '.')\n"
        "from perfkit.record.validity import flags\n"
        "from tests.faults.strangers import _measured, machine\n"
        "print(machine.quota(), 'throttled' in flags(_measured('threads/mutex')))"
    )
    enter = f'echo $$ > {group}/tasks; exec {sys.executable} -c "$0"'
    told = subprocess.run(["/bin/sh", "-c", enter, said], cwd=ROOT, capture_output=True, text=True, check=True)
    group.rmdir()
    assert told.stdout.split() == ["0.3", "True"]
    return (
        "the doctor names it; the trial is flagged: throttled",
        "the trial, without a verdict on throughput",
    )


@fault("something else on the measured cores")
def _(_bench: Bench) -> tuple[str, str]:
    core = str(trial.place(pin=True).server[0])
    with process.child(
        [sys.executable, "-c", "while True: pass"], process.Place((int(core),)), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):  # fmt: skip
        seen = flags(_measured("threads/mutex"))
    assert "busy cores" in seen
    return "the trial is flagged: busy cores", "the trial, with that caveat"


@fault("`http_proxy`, `GRPC_TRACE`, `PYTHONDEVMODE` and `PYTHONASYNCIODEBUG` are set")
def _(bench: Bench) -> tuple[str, str]:
    harmful = {
        "http_proxy": "http://127.0.0.1:9", "GRPC_TRACE": "all", "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1",
    }  # fmt: skip
    for name, value in harmful.items():
        bench.monkeypatch.setenv(name, value)
    assert not set(harmful) & set(process.environment())
    _measured("asyncio/mutex")
    _measured(f"exec:{_server(bench)}")
    return "no child gets them: a call costs as much as without", "the trial"


@fault("a server that begins at 41", TEST)
def _(bench: Bench) -> tuple[str, str]:
    result = _measured(_altered(bench, "count, lock = 0", "count, lock = 41"))
    assert result.served[0].final_count == result.served[0].calls.acknowledged_total
    return "it is counted from there", "the trial"


@fault("a server that counts calls which only ask")
def _(bench: Bench) -> tuple[str, str]:
    return _refused(_altered(bench, "self.count += request.value", "self.count += 1"))


@fault("a server that answers `Counter 7: Incremented value is N`")
def _(bench: Bench) -> tuple[str, str]:
    command = _server(bench, 'f"Counter 7: Incremented value is {self.count}"')
    _measured(f"exec:{command}")
    return "N is its count", "the trial"


@fault("a server that answers two numbers, in words of its own")
def _(bench: Bench) -> tuple[str, str]:
    command = _server(bench, 'f"counter 7 is {self.count}"')
    return _refused(f"exec:{command}")


@fault("`GIT_DIR` is another repository's (a hook)", TEST)
def _(bench: Bench) -> tuple[str, str]:
    subprocess.run(["git", "init", "-q", str(bench.folder / "other")], check=True)
    before = host.collect({"k6": ""}).git_commit
    bench.monkeypatch.setenv("GIT_DIR", str(bench.folder / "other" / ".git"))
    assert host.collect({"k6": ""}).git_commit == before
    return "provenance is this checkout's commit", NOTHING


@fault("no CPU clock of other processes (a sandbox)")
def _(bench: Bench) -> tuple[str, str]:
    def refuse(_clock: int) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    bench.monkeypatch.setattr(family.time, "clock_gettime_ns", refuse)
    assert _measured("threads/mutex").served[0].usage.cpu_s > 0
    return "it is read from /proc, to 10 ms", "the trial"


@fault("a server that needs longer to start than `start_s`")
def _(bench: Bench) -> tuple[str, str]:
    slow = _server(bench, before="import time; time.sleep(3)\n")
    _measured(f"exec:{slow}", start_s=60)
    return _refused(f"exec:{slow}", start_s=0.5)


@fault("`--fail-if` on a metric that nothing measures", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    with pytest.raises(PlanError) as told:
        gate.refuse_unmeasurable(gate.parse("p99>5%"), plan_compare())
    assert main(["compare", "--fail-if", "p99>5%", "--out", str(bench.out)]) == 2
    assert not bench.out.exists()
    return str(told.value), NOTHING


@fault("`--json` in a folder that is a file", QUICK)
def _(bench: Bench) -> tuple[str, str]:
    (bench.folder / "no").touch()
    code = main(["compare", "--json", str(bench.folder / "no" / "out.json"), "--out", str(bench.out)])
    assert (code, bench.out.exists()) == (2, False)
    return "exit code 2, and the file is named", NOTHING


@fault("a checkout in a folder with accents, blanks, % and #")
def _(bench: Bench) -> tuple[str, str]:
    home = bench.folder / "jo sé" / "50%" / "a#b"
    home.mkdir(parents=True)
    for name in ("perfkit", "k6", "notebooks", "proto", "data/example/sweep"):
        shutil.copytree(ROOT / name, home / name)
    call = f"import perfkit; perfkit.sweep(**{PLAN!r}, out={str(bench.out)!r}); print(perfkit.__file__)"
    told = subprocess.run([sys.executable, "-c", call], cwd=home, capture_output=True, text=True, check=True)
    assert "50%" in told.stdout
    assert own_flags(perfkit.load(bench.out)) == set()
    return "it is measured as anywhere", "2 trials"


@fault("`$`, braces and a comma in an arm's command, in a sweep")
def _(bench: Bench) -> tuple[str, str]:
    _server(bench)
    (bench.folder / "$x_{1}$.py").write_text((bench.folder / "server.py").read_text())
    arms = f"mutex,exec:{sys.executable} '{bench.folder}/$x_{{1}}$.py' {{port}} a,b"
    folder = perfkit.sweep(**{**PLAN, "arms": arms}, out=bench.out)
    assert draw("price", folder).data
    said = perfkit.report.sweep(folder)
    assert "exec:" in said
    assert "whether  and" not in said
    assert perfkit.study_tables(perfkit.load(folder))
    return "they are measured, told and drawn as they are", "2 trials"


@fault("quotes and `$` on make's command line", QUICK)
def _(_bench: Bench) -> tuple[str, str]:
    typed = "ARMS=mutex,exec:./a $b 'c d' {port}"
    # Also where make runs this: its own flags are not this one's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "-n", "sweep", typed], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    words_typed = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {told.stdout.splitlines()[-1].partition('sweep')[2]}"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert words_typed == ["--arms=mutex,exec:./a $b 'c d' {port}"]
    return "the program gets what was typed", NOTHING


@fault("levels as papermill's text, a range or NumPy's numbers; ~ in `out`")
def _(bench: Bench) -> tuple[str, str]:
    several = ("[2, 3]", range(2, 4), np.array([2, 3]), (np.int64(2), 3))
    assert {plan_sweep(vus=one).levels for one in several} == {(2, 3)}
    bench.monkeypatch.setenv("HOME", str(bench.folder))
    assert perfkit.sweep(**PLAN, run="", out="~/run") == bench.out
    return "they are read as what they mean", "2 trials"


@fault("a cell of one's own that begins with `# Parameters`", QUICK)
def _(_bench: Bench) -> tuple[str, str]:
    notebooks.check_parameters("sweep", ["# Parameters\ntable.loc[0], other.name = 1, 2\nfolder = perfkit.load('x')\n"])
    return "it is let be", NOTHING


@fault("k6 under another file name")
def _(bench: Bench) -> tuple[str, str]:
    path = bench.folder / "k6-2.2.0"
    path.symlink_to(generators.find()["k6"].path)
    _measured("threads/mutex", str(path))
    return "it is k6", "the trial"


@fault("a matplotlibrc with TeX and PDF", TEST)
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    import matplotlib as mpl

    with mpl.rc_context({"text.usetex": True, "savefig.format": "pdf"}):
        assert draw("levels", bench.out).data.startswith(b"\x89PNG")
    return "figures take nothing from it", "the PNG is one"


@fault("a start from the folder that holds the checkout", TEST)
def _(bench: Bench) -> tuple[str, str]:
    (bench.folder / "perfkit").mkdir()  # as Python sees a checkout from there: a folder without __init__.py
    told = subprocess.run([sys.executable, "-c", "import perfkit; print(perfkit.sweep)"], cwd=bench.folder,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert told.returncode == 0, told.stderr
    return "the installed package is found", NOTHING


@fault("a sitecustomize that prints")
def _(bench: Bench) -> tuple[str, str]:
    (bench.folder / "sitecustomize.py").write_text("print('hello from site')\n")
    bench.monkeypatch.setenv("PYTHONPATH", f"{bench.folder}:{os.environ.get('PYTHONPATH', '')}")
    _measured("threads/mutex")
    return "its lines are passed over", "the trial"


@fault("a file system without locks")
def _(bench: Bench) -> tuple[str, str]:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    bench.monkeypatch.setattr(fcntl, "flock", refuse)
    perfkit.sweep(**PLAN, out=bench.out)
    return "a warning", "2 trials"


@fault("a stored run that can't be written")
def _(bench: Bench) -> tuple[str, str]:
    bench.finish()
    access = os.access
    bench.monkeypatch.setattr(os, "access", lambda path, mode: path != bench.out and access(path, mode))
    bench.monkeypatch.chdir(bench.folder)
    assert main(["sweep", "--run", str(bench.out)]) == 0
    # Nothing else: the kernel's sockets would be in the way of another run that is started here.
    assert {path.name for path in bench.folder.iterdir()} == {"run", "report.html", "sweep.ipynb"}
    assert (bench.folder / "sweep.ipynb").read_text().count('"image/png"') >= 5
    return "it is drawn into the current folder, which gets two files", "what was there"


@fault("junk in data/runs")
def _(bench: Bench) -> tuple[str, str]:
    bench.monkeypatch.setattr(runs, "RUNS", bench.folder)
    for number, junk in enumerate(("[]", "{}", "\0", '{"schema": 2}', '{"schema": "x"}')):
        folder = bench.folder / f"sweep-2099010{number}"
        folder.mkdir()
        (folder / "plan.json").write_text(junk)
    assert perfkit.sweep(**PLAN).parent == bench.folder
    return "it is passed over", "2 trials in a folder of their own"


@fault("two long commands that begin alike")
def _(bench: Bench) -> tuple[str, str]:
    command = _server(bench)
    long = " ".join(["x" * 20] * 5)
    perfkit.sweep(**{**PLAN, "arms": [f"exec:{command} {long} {n}" for n in (1, 2)]}, out=bench.out)
    assert len(list((bench.out / "k6").iterdir())) == 2
    return "each has files of its own", "2 trials with k6's summaries"


@fault("most trials of a comparison have a flag", TEST)
def _(_bench: Bench) -> tuple[str, str]:
    answer = perfkit.answer(ROOT / "data/example/compare")
    (flagged, *_) = answer.flagged or (None,)
    if flagged is None:
        from perfkit.analysis.comparison import Flagged
        from perfkit.record.validity import FLAGS

        limited = next(flag for flag in FLAGS if flag.name == "generator limited")
        flagged = Flagged(limited, 1, 1, {})
    said = words.sentence(replace(answer, flagged=(replace(flagged, trials=flagged.of),)))
    assert said.endswith(f"In most trials: {flagged.flag.name}.")
    assert json.dumps(gate.as_json(perfkit.robustness(ROOT / "data/example/compare")))
    return "the sentence says so wherever it stands", "the answer"
