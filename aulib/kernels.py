"""Execute a notebook in a fresh kernel and say truly how it failed.

papermill's executed copy tells the truth only when a cell raises: after a timeout, a dead kernel or an
interrupt it marks every cell "completed". `true_cause` mends the copy and puts the cause on one line.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KERNEL_STARTS = 3  # tries; a cell that raises is never run again


def execute(
    notebook: Path,
    copy: Path,
    values: dict,
    kernel_name: str,
    timeout: float | None = None,
    progress: bool = True,
) -> None:
    """Run every cell of `notebook` with `values` in place of its parameters, saving `copy` cell by cell.

    Starting the kernel is tried again; a cell that began never is.

    Args:
        timeout: seconds a single cell may take; None for no limit.
        progress: show a bar of cells and the last line printed, if stderr is a terminal.

    Raises:
        whatever papermill, nbclient or jupyter_client raise; `true_cause` reads it.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.engines import NBClientEngine, papermill_engines

    class ShowLastLine(NBClientEngine):
        """papermill's own engine, with what the cells print shown behind the progress bar."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            options |= {"stdout_file": _LastLine(nb_man.pbar), "stderr_file": _LastLine(nb_man.pbar)}
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("aulib", ShowLastLine)
    bar = {"desc": notebook.stem, "disable": None} if progress else False
    for attempt in range(1, KERNEL_STARTS + 1):
        with _kernel_settings() as settings:
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
    if name == "DeadKernelError":
        cause = f"the kernel died {where} (killed, or out of memory)"
    elif isinstance(error, KeyboardInterrupt):
        cause = f"interrupted {where}"
    else:
        cause = f"{name} {where}: {error}"
    if position is not None:
        written = json.loads(copy.read_text(encoding="utf-8"))
        written["metadata"]["papermill"]["exception"] = True
        for i, cell in enumerate(written["cells"][position:]):
            status = {"status": "pending"} if i else {"status": "failed", "exception": True}
            cell["metadata"].setdefault("papermill", {}).update(status)
        copy.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return _one_line(cause), f"{name}: {error}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
