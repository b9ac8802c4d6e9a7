"""Execute a notebook in a fresh kernel and say truly how it failed.

papermill's executed copy tells the truth only when a cell raises: after a timeout, a dead kernel or an
interrupt it marks every cell "completed". `true_cause` mends the copy and puts the cause on one line.
"""

import gc
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KERNEL_LOG = "kernel.log"  # beside the executed copy: what native libraries print, and a crash's last words
KERNEL_STARTS = 3  # tries; a cell that raises is never run again


def execute(
    notebook: Path,
    copy: Path,
    values: dict,
    kernel_name: str,
    timeout: float | None = None,
    progress: bool = True,
    kept_open: tuple[int, ...] = (),
) -> None:
    """Run every cell of `notebook` with `values` in place of its parameters, saving `copy` cell by cell.

    Starting the kernel is tried again; a cell that began never is.

    Args:
        timeout: seconds a single cell may take; None for no limit.
        progress: show a bar of cells and the last line printed, if stderr is a terminal.
        kept_open: file descriptors the kernel inherits, such as the lock of its run.

    Raises:
        whatever papermill, nbclient or jupyter_client raise; `true_cause` reads it.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine, papermill_engines

    paths = [str(notebook.resolve().parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}  # as in Jupyter, its folder's modules
    inherited = {"pass_fds": kept_open} if kept_open and sys.platform != "win32" else {}

    class ShowLastLine(Engine):
        """papermill's engine; what cells print is shown beside the bar, what the kernel prints is logged."""

        @classmethod
        def execute_managed_notebook(
            cls, nb_man, kernel_name, start_timeout, execution_timeout, config=None, **_
        ):
            live = _LastLine(nb_man.pbar)
            settings = {"stdout_file": live, "stderr_file": live} | ({"config": config} if config else {})
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=execution_timeout,
                startup_timeout=start_timeout,
                **settings,
            )
            file = copy.with_name(KERNEL_LOG)
            with open(file, "a") as log:
                client.execute(env=environment, stdout=log, stderr=log, **inherited)
            if not file.stat().st_size:
                file.unlink()

    papermill_engines.register("aulib", ShowLastLine)
    bar = {"desc": notebook.stem, "disable": None} if progress else False
    for attempt in range(1, KERNEL_STARTS + 1):
        with _kernel_settings() as settings, _quiet("papermill", "asyncio"):
            try:
                papermill.execute_notebook(
                    str(notebook),
                    str(copy),
                    values,
                    engine_name="aulib",
                    kernel_name=kernel_name,
                    language="python",  # a stripped notebook may not say
                    progress_bar=bar,
                    execution_timeout=timeout,
                    **settings,
                )
                return
            except NoSuchKernel:
                raise
            except Exception:
                if attempt == KERNEL_STARTS or _last_started(copy) is not None:
                    raise


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """What these would print when a kernel dies or is interrupted is said better by `true_cause`."""
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        gc.collect()  # asyncio complains of abandoned tasks when they are collected
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _kernel_settings() -> Iterator[dict]:
    """Unix sockets under a short path of the run's own: TCP ports collide when kernels start together."""
    if sys.platform == "win32":
        yield {}
        return
    from traitlets.config import Config

    short = len(tempfile.gettempdir()) < 70  # the path of a socket may have some 100 bytes
    parent = tempfile.gettempdir() if short else "/tmp"
    with tempfile.TemporaryDirectory(prefix="au-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield {"config": Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})}


class _LastLine:
    """A writable that shows the last line it was given behind a progress bar."""

    def __init__(self, bar):
        self.bar = bar

    def write(self, text: str) -> None:
        lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
        if self.bar is not None and lines:
            self.bar.set_postfix_str(lines[-1][:70])

    def flush(self) -> None:
        pass


def _last_started(copy: Path) -> int | None:
    """Position of the last cell that began in an executed copy; None if none did."""
    cells = json.loads(copy.read_text(encoding="utf-8"))["cells"] if copy.is_file() else []
    started = [i for i, cell in enumerate(cells) if cell["metadata"].get("papermill", {}).get("start_time")]
    return started[-1] if started else None


def true_cause(error: BaseException, copy: Path) -> tuple[str, str]:
    """One line and the whole story; corrects the executed copy where papermill left it saying "completed"."""
    if hasattr(error, "ename"):  # PapermillExecutionError: the copy tells the truth
        detail = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        return _one_line(f"In [{error.exec_count}] {error.ename}: {error.evalue}"), detail
    position = _last_started(copy)
    where = "before the first cell" if position is None else f"in cell {position + 1}"
    name = type(error).__name__
    told = f"{name}: {error}\n\n{_last_words(copy)}".rstrip()
    if name == "DeadKernelError":
        cause = f"the kernel died {where} (killed, or out of memory)"
    elif isinstance(error, KeyboardInterrupt):
        cause, told = f"interrupted {where}", ""  # what libraries print on the way out explains nothing
    else:
        cause = f"{name} {where}: {error}"
    if position is not None:
        written = json.loads(copy.read_text(encoding="utf-8"))
        written["metadata"]["papermill"]["exception"] = True
        for i, cell in enumerate(written["cells"][position:]):
            status = {"status": "pending"} if i else {"status": "failed", "exception": True}
            cell["metadata"].setdefault("papermill", {}).update(status)
        copy.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return _one_line(cause), told


def _last_words(copy: Path) -> str:
    log = copy.with_name(KERNEL_LOG)
    return log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.is_file() else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
