"""JupyterLab and voila in a headless Chromium, for tests marked `browser`."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOKEN = "for-these-tests"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
START_S, RUN_MS = 120, 300_000  # a busy machine of two cores

RUN_ALL = """async () => {
    const app = window.jupyterapp, panel = app.shell.currentWidget;
    await panel.context.ready; await panel.sessionContext.ready;
    await app.commands.execute('notebook:run-all-cells');
}"""

ERRORS = """() => window.jupyterapp.shell.currentWidget.content.widgets.flatMap(cell =>
    cell.model.type !== 'code' ? [] : cell.model.outputs.toJSON()
        .filter(output => output.output_type === 'error')
        .map(output => `${output.ename}: ${output.evalue}`))
"""  # of the notebook's model: on the page they look like what a progress bar writes to stderr


def chromium() -> str | None:
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def page_of_browser(width: int = 1280, height: int = 900, flags: tuple[str, ...] = ()):
    """A page of a new browser, closed at the end. flags: beside FLAGS, as for a camera."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = [*FLAGS, *flags]
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=arguments)
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(RUN_MS)
            yield page
        finally:
            browser.close()


@contextlib.contextmanager
def server(command: list[str], home: Path, port: int, root: Path = ROOT):
    """Run a server of the code in `root` with its own settings; it and its kernels end with the block."""
    home.mkdir(parents=True, exist_ok=True)
    folders = {name: str(home / name.lower()) for name in ("config", "runtime", "data")}
    environment = os.environ | {f"JUPYTER_{name.upper()}_DIR": folder for name, folder in folders.items()}
    environment |= {
        "IPYTHONDIR": str(home / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "notebooks/course")]),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }  # fmt: skip
    settings = {  # no news from the network, and all cells are rendered, visible or not
        "apputils-extension/notification": {"fetchNews": "false"},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in settings.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with open(home / "server.log", "w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=home, start_new_session=True
        )
        try:
            _wait_for(port, process, home / "server.log")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"no server on port {port} after {START_S} s:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def jupyterlab(folder: Path, home: Path, make_lab: bool = False):
    """JupyterLab in `folder`, or what `make lab` starts in a checkout there.

    Yields:
        a function from a notebook's name to its address.
    """
    port = free_port()
    program = ["aubench.lab"] if make_lab else ["jupyterlab", f"--ServerApp.root_dir={folder}"]
    command = [
        sys.executable, "-m", *program, "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        f"--IdentityProvider.token={TOKEN}", "--expose-app-in-browser",
    ]  # fmt: skip
    with server(command, home, port, folder if make_lab else ROOT):
        yield lambda name: f"http://127.0.0.1:{port}/lab/tree/{name}?token={TOKEN}&reset"


@contextlib.contextmanager
def app(run: Path, home: Path):
    """`aulib app` on a run; yields its address and its token."""
    port = free_port()
    code = (
        "import secrets, sys; from aubench.app import serve; run, runs, kept, port, token = sys.argv[1:]; "
        "secrets.token_urlsafe = lambda size: token; "
        "serve({'run': run, 'runs_folder': runs}, kept, int(port), False)"
    )
    arguments = [str(run), str(run.parent), str(home / "kept"), str(port), TOKEN]
    with server([sys.executable, "-c", code, *arguments], home, port):
        yield f"http://127.0.0.1:{port}/", TOKEN


def page_at(address: str) -> tuple[str, str]:
    """The final address after redirects, and its page."""
    with urllib.request.urlopen(address, timeout=120) as answer:
        return answer.url, answer.read().decode()


def open_notebook(page, address: str) -> None:
    """Load until its cells are on the page; retried, since JupyterLab's first load hangs now and then."""
    from playwright.sync_api import TimeoutError as TookTooLong

    for patience in (RUN_MS / 4, RUN_MS / 4, RUN_MS / 2):
        try:
            page.goto(address, timeout=patience)
            page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=patience)
            return
        except TookTooLong as error:
            last = error
    raise last


def run_all_cells(page, address: str) -> list[str]:
    """Run a notebook in JupyterLab and return the errors of its cells."""
    open_notebook(page, address)
    page.evaluate(RUN_ALL)
    return page.evaluate(ERRORS)


def source_of(page, selector: str) -> str:
    return page.eval_on_selector(selector, "image => image.src")


def changed_by(page, image: str, act) -> None:
    """Call `act` and wait until the picture changes."""
    before = source_of(page, image)
    act()
    page.wait_for_function(
        "([selector, old]) => document.querySelector(selector).src !== old", arg=[image, before]
    )


def boxes_of(page, selector: str) -> list[dict]:
    """Position and size of each element of the page that matches and is shown."""
    return page.eval_on_selector_all(
        selector,
        "found => found.filter(e => e.offsetParent).map(e => e.getBoundingClientRect().toJSON())",
    )


def stands_next_to(page, one: str, other: str) -> bool:
    """Whether the first match of `one` shares height, and no width, with each match of `other`."""
    box, *_ = boxes_of(page, one)
    others = boxes_of(page, other)
    return bool(others) and all(
        min(box["bottom"], each["bottom"]) > max(box["top"], each["top"])
        and (box["right"] <= each["left"] or each["right"] <= box["left"])
        for each in others
    )


def too_wide(page) -> list[str]:
    """What of code and outputs scrolls sideways, and figures shown smaller than they were drawn."""
    return page.evaluate(
        """() => [...document.querySelectorAll(
            '.jp-Cell .cm-scroller, .jp-OutputArea-output, .jp-OutputArea-output *')].filter(e =>
            e.clientWidth && (e.scrollWidth > e.clientWidth + 1
                && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
            || e.matches('.jp-RenderedImage img') && e.naturalWidth > e.getBoundingClientRect().width + 1)
        ).map(e => {
            const cell = [...document.querySelectorAll('.jp-Cell')].indexOf(e.closest('.jp-Cell'));
            return `cell ${cell}: ${e.tagName} ${e.className} ${e.naturalWidth ?? e.scrollWidth}`;
        })"""
    )


def press(page, handle: str, key: str, times: int = 1) -> None:
    """Press a key on a control."""
    page.locator(handle).focus()
    for _ in range(times):
        page.keyboard.press(key)


def probability_shown(page, au: str) -> float:
    return float(page.locator(f".au-bars [data-au={au}]").get_attribute("aria-valuenow"))


def choose_file(page, button: str, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(button).click()
    chooser.value.set_files(file)


def drag(page, handle: str, to: tuple[float, float]) -> None:
    """Drag a control with the mouse to a point of the page."""
    box = page.locator(handle).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(*to, steps=8)
    page.mouse.up()


def answer(page, name: str, value: str, verdict: str) -> str:
    """Type an answer into its cell (such as `answer_1 = ...`), run it, wait for the verdict, return it."""
    cell = page.locator(".jp-CodeCell", has=page.locator(".cm-line", has_text=re.compile(rf"^{name} = ")))
    line = cell.locator(".cm-line", has_text=re.compile(rf"^{name} = "))
    line.click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(f"{name} = {value}")
    page.keyboard.press("Shift+Enter")
    said = cell.locator(".jp-RenderedMarkdown", has_text=verdict)
    said.wait_for()
    return said.inner_text()
