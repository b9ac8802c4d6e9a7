"""A lock on a run folder, or another folder that is filled bit by bit: one process at a time works in it.

`flock` belongs to an open file. The kernel inherits that file from the runner, so the lock is free only when
both have ended: a kernel that outlives its killed runner by a second still keeps others out, and no lock is
ever stale. (dask's locks live in one scheduler, and two drivers have two; the package filelock does not let a
kernel inherit its open file.)
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aulib.files import read_json

PATIENCE = 2.0  # seconds; `is_held` and `_remove` hold the lock for an instant


class RunIsHeld(RuntimeError):
    """Another process is busy with this folder."""

    exit_status = 1


@contextmanager
def run_lock(folder: str | Path, patience: float = PATIENCE, work: str = "run") -> Iterator[int]:
    """Lock a folder, which need not exist.

    Args:
        patience: seconds to wait while another process holds the lock.
        work: what is done to the folder, for the message.

    Yields:
        descriptor of the open lock file; a process that inherits it holds the lock too.

    Raises:
        RunIsHeld: another process has the lock; the message names it.
    """
    file, deadline = _lock_file(folder), time.monotonic() + patience
    while (descriptor := _locked(file)) is None:
        if time.monotonic() > deadline:
            raise RunIsHeld(f"{folder} is being {work} by {holder(folder)}")
        time.sleep(0.02)
    try:
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)  # releases the lock, unless a kernel still has it open
        _remove(file)


def is_held(folder: str | Path) -> bool:
    """Whether a process is busy with the folder now."""
    try:
        with open(_lock_file(folder), "rb+") as file:
            return not _taken(file.fileno())
    except FileNotFoundError:
        return False


def holder(folder: str | Path) -> str:
    """The last process that locked the folder: "process 123 on host"."""
    try:
        owner = read_json(_lock_file(folder))
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _lock_file(folder: str | Path) -> Path:
    """Next to the folder, not in it: a locked folder can be renamed. In it where nothing can be written next
    to it, as to a mounted one."""
    folder = Path(folder).absolute()
    home = folder.parent if os.access(folder.parent, os.W_OK) or not folder.is_dir() else folder
    return home / f".aulib-{folder.name}.lock"


def _locked(file: Path) -> int | None:
    """Descriptor of the lock file, made if missing, once this process has the lock; None if another has."""
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        if not _taken(descriptor):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        os.close(descriptor)  # its last holder has just removed the file


def _remove(file: Path) -> None:
    """Nothing of ours is left beside what a user named, unless somebody else has the lock, or was killed."""
    with suppress(OSError):
        if file.is_file() and (descriptor := _locked(file)) is not None:
            with open(descriptor, "rb"):
                file.unlink()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
