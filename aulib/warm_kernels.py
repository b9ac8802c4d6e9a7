"""Kernels that start with everything imported: forked from a process that imported it once.

Importing torch, the library and its figures costs a fresh kernel several seconds of CPU, a fork some
hundredths. The parent of the forks, the nursery, is a process of its own without threads: it imports what
the notebook imports, then forks a kernel whenever it is asked. Each run still has a process to itself. The
nursery ends, and its kernels with it, when the process that asks is gone.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from psutil import STATUS_ZOMBIE, NoSuchProcess, Process

from aulib.code_version import imports_of_notebook, stamp_of_library

MESSAGE = 1 << 20
SHAPES_IMPORTS = ("OMP_", "MKL_", "OPENBLAS_", "CUDA_", "PYTHON", "MPL", "AULIB_", "HOME")
KEEP_MEMORY = {  # glibc would give a training step's memory back, and clear it anew page by page for the next
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
}  # fmt: skip
IMPORTED_LATE = {"aulib.runs": ("lightning_fabric", "sklearn.linear_model")}  # within functions, 2 s in all
HARMLESS_THREADS = ("jemalloc_bg_thd",)  # pyarrow's; jemalloc itself restarts it in a fork


class Nursery:
    """A running nursery, seen from the process that asks it for kernels."""

    def __init__(self, modules: list[str]):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "aulib.warm_kernels", str(theirs.fileno()), *modules]
        # a bar of tqdm that is not in a widget would fill the executed copy with lines
        env = {"TQDM_MININTERVAL": "10", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        env |= KEEP_MEMORY
        with theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=env | os.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.channel = ours
        self.usable = self._answer() == "ready"

    def fork(self, arguments: list[str], env: dict, cwd: str | None, files: list[int]) -> int:
        """Start a kernel and return its pid; `files` are its stdout, stderr, and what it shall keep open."""
        request = {"arguments": arguments, "env": env, "cwd": str(cwd or Path.cwd())}
        socket.send_fds(self.channel, [json.dumps(request).encode()], files)
        return int(self._answer())

    def _answer(self) -> str:
        answer = self.channel.recv(MESSAGE).decode()
        if not answer:
            raise ConnectionError(f"the process that forks kernels ended with status {self.process.wait()}")
        return answer

    def close(self) -> None:
        self.channel.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# modules, library and environment, and the nursery that fits them; None: none could be made for these
_nursery: tuple[list[str], tuple, Nursery | None] | None = None
_one_at_a_time = threading.Lock()


def nursery_for(*notebooks: Path) -> Nursery | None:
    """The nursery that has imported what `notebooks` import, with the library as it is on disk now.

    One is kept, also for a notebook that imports less. It is started anew for one that imports more, and when
    the library or the environment changed.

    Returns:
        None where kernels cannot be forked: not on Linux, or what is imported starts threads.
    """
    global _nursery
    if sys.platform != "linux":
        return None
    env = {name: value for name, value in os.environ.items() if name.startswith(SHAPES_IMPORTS)}
    named = [name for notebook in notebooks for name in imports_of_notebook(notebook)]
    late = [late for name in named for late in IMPORTED_LATE.get(name, ())]
    modules = list(dict.fromkeys(named + late))
    around = (stamp_of_library(), env)
    with _one_at_a_time:
        if _nursery is None or not _serves(*_nursery, modules, around):
            close_nursery()
            _nursery = modules, around, _started(modules)
        return _nursery[2]


def _serves(
    kept: list[str], kept_around: tuple, nursery: Nursery | None, modules: list[str], around: tuple
) -> bool:
    """Whether what is kept is as good as one started for `modules`."""
    if kept_around != around:
        return False
    if nursery is None:  # of fewer modules one may be had
        return kept == modules
    return set(modules) <= set(kept) and nursery.process.poll() is None


def _started(modules: list[str]) -> Nursery | None:
    try:
        nursery = Nursery(modules)
    except OSError:  # it died while importing; a fresh kernel will show why
        return None
    if nursery.usable:
        return nursery
    nursery.close()
    return None


@atexit.register
def close_nursery() -> None:
    global _nursery
    if _nursery is not None and _nursery[2] is not None:
        _nursery[2].close()
    _nursery = None


class ForkedKernel(Process):
    """As much of `subprocess.Popen` as jupyter_client asks of a kernel that is no child of this process."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        try:
            gone = not self.is_running() or self.status() == STATUS_ZOMBIE
        except NoSuchProcess:
            gone = True
        return 1 if gone else None

    def wait(self, timeout=None) -> int | None:
        return self.poll()


class ForkingProvisioner(LocalProvisioner):
    async def launch_kernel(self, cmd, **options):
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        files = [options["stdout"].fileno(), options["stderr"].fileno(), *options.get("pass_fds", ())]
        pid = self.parent.nursery.fork(arguments, options["env"], options.get("cwd"), files)
        self.process = ForkedKernel(pid)
        self.pid = self.pgid = pid
        self.cwd = options.get("cwd") or Path.cwd()
        return self.connection_info


def manager_of(nursery: Nursery) -> type[AsyncKernelManager]:
    """A kernel manager whose kernels come from `nursery`."""

    class ForkingManager(AsyncKernelManager):
        async def _async_pre_start_kernel(self, **options):
            self.kernel_id = self.kernel_id or os.urandom(8).hex()
            self.provisioner = ForkingProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
            return await super()._async_pre_start_kernel(**options)

    ForkingManager.nursery = nursery
    return ForkingManager


def serve(channel: socket.socket, modules: list[str]) -> None:
    """What the nursery does: import, then fork a kernel for each request until the channel closes."""
    for name in ["ipykernel.kernelapp", "matplotlib_inline.backend_inline", *modules]:
        if _asked(channel, 0):
            return  # nobody can ask before "ready": who would is gone
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a function of a module, or an error that the cell itself will raise
    gc.collect()
    gc.freeze()  # the collector would otherwise touch, and so copy, every shared page
    channel.send(b"threads" if _threads() else b"ready")
    kernels: set[int] = set()
    try:
        while True:
            kernels = {pid for pid in kernels if os.waitpid(pid, os.WNOHANG) == (0, 0)}
            if not _asked(channel, 0.2):
                continue
            message, files, _, _ = socket.recv_fds(channel, MESSAGE, 16)
            if not message:
                return
            pid = os.fork()
            if pid == 0:
                kernels.clear()
                channel.close()
                _become_kernel(json.loads(message), files)
            kernels.add(pid)
            for file in files:
                os.close(file)
            channel.send(str(pid).encode())
    finally:
        for pid in kernels:
            os.kill(pid, signal.SIGKILL)


def _asked(channel: socket.socket, seconds: float) -> bool:
    return bool(select.select([channel], [], [], seconds)[0])


def _threads() -> list[str]:
    names = [Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    names.remove(Path("/proc/self/comm").read_text().strip())  # the main one
    return [name for name in names if name not in HARMLESS_THREADS]


def _become_kernel(request: dict, files: list[int]) -> NoReturn:
    parent = os.getppid()
    os.setsid()
    for file, standard in zip(files[:2], (1, 2), strict=True):
        os.dup2(file, standard)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # as in a fresh process; `random` sees to itself
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    status = 1
    try:
        IPKernelApp.launch_instance([*sys.argv[1:], f"--IPKernelApp.parent_handle={parent}"])
        status = 0
    finally:  # what a notebook asked for at its exit is done; taking every module apart is not
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
