"""Execute a notebook in a fresh kernel with papermill, and find the true cause of a failure.

papermill's executed copy is right only when a cell raises: after a timeout, a dead kernel or an interrupt it
marks every cell "completed". `true_cause` corrects the copy and puts the cause on one line.
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

import papermill
from jupyter_client.kernelspec import NoSuchKernel
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

KERNEL_LOG = "kernel.log"  # next to the executed copy: output of native libraries, the last words of a crash
# dask's workers return freed memory at every 64 KiB, and a kernel inherits that. Each training step would
# then ask for all its memory again, which takes as long as computing.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
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

    The modules in the notebook's folder can be imported, as in Jupyter. A kernel that does not start is tried
    again; a cell that began is not.

    Args:
        timeout: seconds a single cell may take; None for no limit.
        progress: show a bar of cells and the last line printed, if stderr is a terminal.
        kept_open: file descriptors that the kernel inherits, such as the lock of its run.

    Raises:
        any error of papermill, nbclient or jupyter_client; `true_cause` explains it.
    """
    options = {"kept_open": kept_open, "log": copy.with_name(KERNEL_LOG), "folder": notebook.resolve().parent}
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
                    **options,
                )
                return
            except NoSuchKernel:
                raise
            except Exception:
                if attempt == KERNEL_STARTS or _last_started(copy) is not None:
                    raise


class _LoggedEngine(Engine):
    """papermill's engine with a kernel whose own output is logged and which inherits open files."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man,
        kernel_name,
        start_timeout,
        execution_timeout,
        log: Path,
        folder: Path,
        kept_open: tuple[int, ...],
        config=None,
        **_,
    ):
        line = _LastLine(nb_man.pbar)
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            stdout_file=line,
            stderr_file=line,
            config=config,
        )
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | KEEP_MEMORY | {"PYTHONPATH": os.pathsep.join(paths)}
        inherited = {"pass_fds": kept_open} if kept_open and sys.platform != "win32" else {}
        with open(log, "a") as output:
            client.execute(env=environment, stdout=output, stderr=output, **inherited)
        if not log.stat().st_size:
            log.unlink()


papermill_engines.register("aulib", _LoggedEngine)


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Silence what these log when a kernel dies or is interrupted; `true_cause` reports it."""
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        gc.collect()  # asyncio logs abandoned tasks when they are collected
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _kernel_settings() -> Iterator[dict]:
    """Unix sockets in a short folder for this run: TCP ports collide when kernels start together."""
    if sys.platform == "win32":
        yield {}
        return
    short = len(tempfile.gettempdir()) < 70  # a socket's path may have about 100 bytes
    parent = tempfile.gettempdir() if short else "/tmp"
    with tempfile.TemporaryDirectory(prefix="au-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield {"config": Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})}


class _LastLine:
    """A writable that shows its last line next to a progress bar."""

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
    """The cause on one line, and the details; corrects the executed copy where papermill says "completed"."""
    if hasattr(error, "ename"):  # PapermillExecutionError: the copy is right
        detail = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        return _one_line(f"In [{error.exec_count}] {error.ename}: {error.evalue}"), detail
    position = _last_started(copy)
    where = "before the first cell" if position is None else f"in cell {position + 1}"
    name = type(error).__name__
    detail = f"{name}: {error}\n\n{_last_words(copy)}".rstrip()
    if name == "DeadKernelError":
        cause = f"the kernel died {where} (killed, or out of memory)"
    elif isinstance(error, KeyboardInterrupt):
        cause, detail = f"interrupted {where}", ""  # the traceback of an interrupt explains nothing
    else:
        cause = f"{name} {where}: {error}"
    if position is not None:
        written = json.loads(copy.read_text(encoding="utf-8"))
        written["metadata"]["papermill"]["exception"] = True
        for i, cell in enumerate(written["cells"][position:]):
            status = {"status": "pending"} if i else {"status": "failed", "exception": True}
            cell["metadata"].setdefault("papermill", {}).update(status)
        copy.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return _one_line(cause), detail


def _last_words(copy: Path) -> str:
    log = copy.with_name(KERNEL_LOG)
    return log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.is_file() else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
