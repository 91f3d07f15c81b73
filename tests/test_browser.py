"""JupyterLab as a person uses it: a real browser, a real kernel, real figures, and the stop button."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.support import ROOT
from tests.support.processes import command_of, descendants, wait_for

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium and no google-chrome on PATH"),
    pytest.mark.timeout(600),
]

PATIENCE_S = 120

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
"""So that a browser started by root in a closed network does nothing but show the page."""


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


def small_copy(path, **parameters):
    """Copy the sweep's notebook with other values in its cell of parameters, as a user would type them."""
    notebook = json.loads((ROOT / "notebooks/sweep.ipynb").read_text())
    (cell,) = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    for name, value in parameters.items():
        source, changed = re.subn(rf"^{name} = .*?(?=  #)", f"{name} = {value!r}", source, flags=re.MULTILINE)
        assert changed == 1
    cell["source"] = source.splitlines(keepends=True)
    path.write_text(json.dumps(notebook))


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
        f"--port={port}",
        "--port-retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
    ]  # fmt: skip
    with started(lab, env=environment, stderr=subprocess.DEVNULL) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        api = playwright.request.new_context()
        wait_for("JupyterLab", lambda: is_up(api, f"{home}/api/status"))

        def opened(name):
            page = browser.new_page(viewport={"width": 1300, "height": 1800})
            page.set_default_timeout(PATIENCE_S * 1000)
            page.goto(f"{home}/lab/tree/{name}")
            page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
            page.wait_for_function(KERNEL_IS_READY)
            return page

        yield folder, opened, server.pid
        api.dispose()
        browser.close()


def is_up(api, url):
    try:
        return api.get(url).ok
    except Error:  # nobody listens yet
        return False


KERNEL_IS_READY = """() => {
  document.querySelector('.jp-Dialog .jp-mod-accept')?.click();  // which kernel? the one that is offered
  return jupyterapp.shell.currentWidget?.context?.sessionContext.session?.kernel?.status === 'idle';
}"""

WATCH_OUTPUT = """() => {
  window.outputs = [];
  new MutationObserver(() => {
    const text = [...document.querySelectorAll('.jp-OutputArea-output')].map((one) => one.textContent).join('\\n');
    if (text !== window.outputs.at(-1)) window.outputs.push(text);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
"""Keep each text that the cells' output has had, so that none is missed between two looks."""

STOP_BUTTON = '.jp-NotebookPanel-toolbar [data-command="notebook:interrupt-kernel"]'


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def shoot(page, name):
    """Keep a screenshot where SCREENSHOTS says."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_run_all_shows_progress_that_moves_and_the_answer_while_it_runs_and_then_the_figures(lab, tmp_path):
    folder, opened, _ = lab
    small_copy(folder / "sweep.ipynb", vus=[2], duration_s=1, warmup_s=0.3, repeats=2, out=str(tmp_path / "run"))
    # In each block's pause, however short the time since the last one.
    often = "perfkit.Place('sweep', SimpleNamespace(monotonic=count(0, 60).__next__))"
    copied = folder / "sweep.ipynb"
    cell = 'place = perfkit.Place(\\"sweep\\")'
    assert cell in copied.read_text()
    hurried = f"from itertools import count; from types import SimpleNamespace; place = {often}"
    copied.write_text(copied.read_text().replace(cell, hurried))
    page = opened("sweep.ipynb")
    page.evaluate(WATCH_OUTPUT)
    run_all(page)
    wait_for("six figures", lambda: page.locator(".jp-OutputArea-output img").count() >= 6, 2 * PATIENCE_S)
    progress = [(re.findall(r"\b(\d+)/6\b", text), text) for text in page.evaluate("window.outputs")]
    moved = {counts[-1] for counts, _ in progress if counts}  # 2 blocks: turns, and 2 solo trials
    assert len(moved) >= 3, f"progress did not move: {moved}"
    answered = [int(counts[-1]) for counts, text in progress if counts and "The answer." in text]
    assert answered, "the answer did not stand there while it ran"
    assert min(answered) < 6
    page.get_by_text("The answer.").wait_for()
    shoot(page, "lab-sweep")


@pytest.mark.full
def test_the_stop_button_ends_server_and_k6(lab, tmp_path):
    folder, opened, pid = lab
    small_copy(folder / "sweep.ipynb", vus=[3], duration_s=30, repeats=1, out=str(tmp_path / "run"))
    page = opened("sweep.ipynb")
    run_all(page)

    def loads():
        commands = map(command_of, descendants(pid))
        return [command for command in commands if "counter.js" in command or "serve" in command.split("\0")]

    wait_for("server and k6", lambda: len(loads()) >= 2, PATIENCE_S)
    page.locator(STOP_BUTTON).click()
    wait_for("their end", lambda: not loads())
    page.get_by_text("KeyboardInterrupt").first.wait_for()
    shoot(page, "lab-stopped")
