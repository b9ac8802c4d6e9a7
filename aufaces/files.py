"""The one place where files and folders get their names: whole or not at all, over nothing of the user's."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"  # ends the hidden temporary folders


def cache_root() -> Path:
    """The user's cache: $AULIB_CACHE, else ~/.cache/aulib (created if missing)."""
    root = Path(os.environ.get("AULIB_CACHE") or Path.home() / ".cache" / "aulib")
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name, moved onto `path` when the block ends without error."""
    with _beside(path) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder of a temporary name, which becomes `path` when the block ends without error.

    Raises:
        FileExistsError: `path` is a file or holds something, before the block or after it: of two processes
            the later one is told.
    """
    refuse_used(path)
    with _beside(Path(path).resolve()) as temporary:  # a link to an empty folder stays one
        temporary.mkdir()
        yield temporary
        publish_folder(temporary, path)


def publish_folder(temporary: Path, path: Path) -> None:
    """Rename a finished folder; FileExistsError as for `new_folder`."""
    target = Path(path).resolve()
    try:
        if target.is_dir():
            target.rmdir()  # fails unless it is empty
        os.rename(temporary, target)
    except OSError:
        refuse_used(path)
        raise


def refuse_used(path: Path) -> None:
    """Raises FileExistsError unless `path` does not exist or is an empty folder."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, expected a new folder")
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty, expected a new folder")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in a new hidden folder next to `path`; the folder is removed at the end, with what is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".", suffix=PART, dir=path.parent, ignore_cleanup_errors=True
    ) as own:
        yield Path(own) / path.name
