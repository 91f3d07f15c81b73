"""JupyterLab as a person uses it: a real browser, a real kernel, real figures, and the stop button."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nbformat
import pytest
import websocket

from tests.conftest import ROOT, command_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium and no google-chrome on PATH"),
    pytest.mark.timeout(300),
]

PATIENCE_S = 60


class Page:
    """One page of a browser, by its DevTools protocol."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, suppress_origin=True, timeout=PATIENCE_S)
        self._number = 0
        self.close = self._socket.close

    def call(self, method, **parameters):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def ask(self, script):
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait_for(self, script, patience_s=PATIENCE_S):
        until = time.monotonic() + patience_s
        while not (told := self.ask(script)):
            assert time.monotonic() < until, f"never came: {script}"
            time.sleep(0.2)
        return told

    def click(self, selector):
        """Press the mouse on an element that is in sight."""
        x, y = self.ask(
            f"(() => {{ const box = document.querySelector('{selector}').getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shoot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def started(argv, **options):
    process = subprocess.Popen([str(part) for part in argv], stdout=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - our own server's
            return reply.read()
    except OSError:
        return b""


def wait_for(condition):
    until = time.monotonic() + PATIENCE_S
    while not (told := condition()):
        assert time.monotonic() < until
        time.sleep(0.2)
    return told


def small_copy(path, **parameters):
    """Copy the sweep's notebook with other values in its cell of parameters, as a user would type them."""
    notebook = nbformat.read(ROOT / "notebooks/sweep.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    for name, value in parameters.items():
        cell.source, changed = re.subn(rf"^{name} = .*?(?=  #)", f"{name} = {value!r}", cell.source, flags=re.MULTILINE)
        assert changed == 1
    nbformat.write(notebook, path)


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab on a folder of its own, and a browser; gives (folder, page opener, pid of the lab)."""
    folder, settings = tmp_path / "notebooks", tmp_path / "settings/@jupyterlab/notebook-extension"
    folder.mkdir()
    settings.mkdir(parents=True)
    # Draw cells that are out of sight too: figures are counted.
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "HOME": str(tmp_path)}
    lab = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser", "--ip=127.0.0.1",
        f"--port={port}", "--port-retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
    ]  # fmt: skip
    browser = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1300,1800",
        "--remote-debugging-port=0", f"--user-data-dir={tmp_path / 'browser'}", "about:blank",
    ]  # fmt: skip
    with (
        started(lab, env=environment, stderr=subprocess.DEVNULL) as server,
        started(browser, env=environment, stderr=subprocess.DEVNULL),
        ExitStack() as pages,
    ):
        told = tmp_path / "browser/DevToolsActivePort"
        wait_for(lambda: told.exists() and len(told.read_text().split()) == 2)
        devtools = f"http://127.0.0.1:{told.read_text().split()[0]}/json/new?"
        wait_for(lambda: answers(f"{home}/api/status"))

        def opened(name):
            request = urllib.request.Request(f"{devtools}{home}/lab/tree/{name}", method="PUT")  # noqa: S310
            with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - the browser that was started
                page = Page(json.load(reply)["webSocketDebuggerUrl"])
            pages.callback(page.close)
            page.wait_for("!!(window.jupyterapp && document.querySelector('.jp-Notebook .jp-CodeCell'))")
            page.wait_for(KERNEL_IS_READY)
            return page

        yield folder, opened, server.pid


KERNEL_IS_READY = """(() => {
  document.querySelector('.jp-Dialog .jp-mod-accept')?.click();  // which kernel? the one that is offered
  return jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.status === 'idle';
})()"""


STOP_BUTTON = '.jp-NotebookPanel-toolbar [data-command="notebook:interrupt-kernel"]'


def run_all(page):
    page.ask("jupyterapp.commands.execute('runmenu:run-all').then(() => 0), 0")


OUTPUTS = "[...document.querySelectorAll('.jp-OutputArea-output')].map((one) => one.textContent).join('\\n')"


def test_run_all_shows_progress_that_moves_and_then_the_figures(lab, tmp_path):
    folder, opened, _ = lab
    small_copy(folder / "sweep.ipynb", vus=[2, 5], duration_s=1, warmup_s=0.3, repeats=1, out=str(tmp_path / "run"))
    page = opened("sweep.ipynb")
    run_all(page)
    seen = set()
    until = time.monotonic() + PATIENCE_S
    while page.ask("document.querySelectorAll('.jp-OutputArea-output img').length") < 5:
        assert time.monotonic() < until, page.ask(OUTPUTS)[-500:]
        seen |= set(re.findall(r"\b([0-4])/4\b", page.ask(OUTPUTS)))
        time.sleep(0.1)
    assert len(seen) >= 3, f"progress did not move: {seen}"
    page.wait_for(f"{OUTPUTS}.includes('The answer.')")
    page.shoot(tmp_path / "lab.png")
    if shots := os.environ.get("SCREENSHOTS"):
        shutil.copy(tmp_path / "lab.png", Path(shots) / "lab-sweep.png")


def test_the_stop_button_ends_server_and_k6(lab, tmp_path, descendants):
    folder, opened, pid = lab
    small_copy(folder / "sweep.ipynb", vus=[3], duration_s=30, repeats=1, out=str(tmp_path / "run"))
    page = opened("sweep.ipynb")
    run_all(page)

    def loads():
        commands = map(command_of, descendants(pid))
        return [command for command in commands if "counter.js" in command or "serve" in command.split("\0")]

    wait_for(lambda: len(loads()) >= 2)
    page.click(STOP_BUTTON)
    wait_for(lambda: not loads())
    page.wait_for(f"{OUTPUTS}.includes('KeyboardInterrupt')")
    if shots := os.environ.get("SCREENSHOTS"):
        page.shoot(Path(shots) / "lab-stopped.png")
