"""Execute a notebook in a fresh kernel with papermill, and find the cause of a failure."""

import gc
import logging
import os
import re
import tempfile
from pathlib import Path

import papermill
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets import default
from traitlets.config import Config

from aubench.study.notebook_runner import AS_FUNCTION
from aulib.files import NO_ROOM, no_room, read_json

KERNEL_LOG = "kernel.log"  # next to the executed copy: output of native libraries, the last words of a crash
START_TIMEOUT = 300  # seconds; a kernel starts slowly on a busy machine
# dask's workers return freed memory at every 64 KiB, and a kernel inherits that. Each training step would
# then ask for all its memory again, which takes as long as computing.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


def execute(notebook: Path, copy: Path, values: dict, lock: int, progress: bool = True) -> None:
    """Run every cell of `notebook` with `values` in place of its parameters, saving `copy` cell by cell.

    The modules in the notebook's folder can be imported, as in Jupyter.

    Args:
        lock: file descriptor that the kernel inherits, so that it holds the lock of its run too.
        progress: show a bar of cells and the last line printed, if stderr is a terminal.

    Raises:
        any error of papermill, nbclient or jupyter_client; `cause_of` explains it.
    """
    for name in ("papermill", "asyncio"):  # when a kernel dies they log what `cause_of` reports
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Kernels that start together collide on TCP ports: each gets Unix sockets in a folder of its own. Their
    # paths may have about 100 bytes.
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < 70 else "/tmp"
    with tempfile.TemporaryDirectory(prefix="au-", dir=parent, ignore_cleanup_errors=True) as folder:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(copy),
                values,
                engine_name="aulib",
                kernel_name=NATIVE_KERNEL_NAME,
                language="python",  # a stripped notebook may not say
                progress_bar={"desc": notebook.stem, "disable": None} if progress else False,
                start_timeout=START_TIMEOUT,
                config=Config(
                    KernelManager={
                        "transport": "ipc",
                        "ip": f"{folder}/k",
                        "connection_file": f"{folder}/kernel.json",
                    }
                ),
                home=folder,
                log=copy.with_name(KERNEL_LOG),
                folder=notebook.resolve().parent,
                lock=lock,
            )
        finally:
            gc.collect()  # tasks of a dead kernel, before their sockets are gone


class OwnInterpreter(KernelSpecManager):
    """The one kernel is this interpreter, whatever kernels JUPYTER_* or a home name `python3`."""

    def find_kernel_specs(self) -> dict[str, str]:
        return {NATIVE_KERNEL_NAME: RESOURCES}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        spec = KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())
        spec.metadata["kernel_provisioner"] = {"provisioner_name": "local-provisioner"}
        return spec


class _OwnKernel(AsyncKernelManager):
    @default("kernel_spec_manager")
    def _own_interpreter(self) -> KernelSpecManager:
        return OwnInterpreter(parent=self)


class _LoggedEngine(Engine):
    """papermill's engine, with a kernel whose own output is logged and which inherits open files."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, start_timeout, config, home: str, log: Path, folder: Path, lock: int, **_
    ):
        line = _LastLine(nb_man.pbar)
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            kernel_manager_class=_OwnKernel,
            startup_timeout=start_timeout,
            stdout_file=line,
            stderr_file=line,
            config=config,
        )
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | KEEP_MEMORY | {AS_FUNCTION: "1", "PYTHONPATH": os.pathsep.join(paths)}
        environment |= {"IPYTHONDIR": home, "JUPYTER_RUNTIME_DIR": home}  # no startup files of the user's
        try:
            with open(log, "a", encoding="utf-8") as output:
                client.execute(env=environment, stdout=output, stderr=output, pass_fds=[lock])
        except BaseException:  # papermill marks a cell as failed only if it raised, not if its kernel died
            begun = [cell for cell in nb_man.nb.cells if cell.metadata.papermill["start_time"]]
            if begun:
                nb_man.cell_exception(begun[-1])
            raise
        if not log.stat().st_size:
            log.unlink()


papermill_engines.register("aulib", _LoggedEngine)


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


def cause_of(error: BaseException, copy: Path) -> tuple[str, str]:
    """The cause of a failed `execute` on one line, and the details: traceback or last words of the kernel."""
    name = type(error).__name__
    if hasattr(error, "ename"):  # PapermillExecutionError: a cell raised
        cause = f"In [{error.exec_count}] {error.ename}: {error.evalue}"
        return " ".join(cause.split()), re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    where, log = _failed_cell(copy), copy.with_name(KERNEL_LOG)
    last_words = log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.is_file() else ""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted {where}", ""
    if getattr(error, "errno", None) in NO_ROOM:
        cause = f"{no_room(error, copy)} ({where})"
    elif name == "DeadKernelError":
        cause = f"the kernel died {where} (killed, or out of memory)"
    else:
        cause = f"{name} {where}: {error}"
    return " ".join(cause.split()), f"{name}: {error}\n\n{last_words}".rstrip()


def _failed_cell(copy: Path) -> str:
    try:
        cells = read_json(copy)["cells"] if copy.is_file() else []
    except ValueError:  # cut off by a full disk; it makes room for error.txt
        copy.unlink()
        cells = []
    for number, cell in enumerate(cells, 1):
        if cell["metadata"].get("papermill", {}).get("status") == "failed":
            return f"in cell {number}"
    return "before the first cell"
