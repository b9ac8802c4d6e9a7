"""One run folder, one runner: a lock that the system gives back when its holders are gone.

`flock` belongs to an open file. The runner hands that open file to the kernel it starts, so the lock is free
only when both are dead: a kernel that outlives its killed runner by a second still keeps others out, and no
lock is ever stale. (dask's own locks live in one scheduler, and two drivers have two; the package filelock
keeps the open file to itself, where a kernel cannot share it.)
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None

PATIENCE = 2.0  # seconds; who only looks whether a run is held, holds it for an instant


class RunIsHeld(RuntimeError):
    """Another process is busy with this run folder."""


@contextmanager
def run_lock(folder: str | Path, patience: float = PATIENCE) -> Iterator[int]:
    """Hold a run folder, which need not exist.

    Args:
        patience: seconds to wait for another holder to be done.

    Yields:
        the descriptor of the open lock; a process that inherits it holds the folder too.

    Raises:
        RunIsHeld: another process has it; the message says which.
    """
    file = _lock_file(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        deadline = time.monotonic() + patience
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise RunIsHeld(f"{folder} is being run by {holder(folder)}")
            time.sleep(0.02)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)  # gives the lock back, unless a kernel still has it open


def is_held(folder: str | Path) -> bool:
    """Whether a process is busy with the folder just now."""
    file = _lock_file(folder)
    if not file.is_file():
        return False
    descriptor = os.open(file, os.O_RDWR)
    try:
        return not _taken(descriptor)
    finally:
        os.close(descriptor)


def holder(folder: str | Path) -> str:
    """Who took the folder last: "process 123 on host"."""
    try:
        owner = json.loads(_lock_file(folder).read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError):
        return "another process"


def _lock_file(folder: str | Path) -> Path:
    """Beside the folder and not in it: a folder can be set aside while it is held."""
    folder = Path(folder).absolute()
    return folder.parent / ".locks" / folder.name


def _taken(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
