"""The one place where files and folders get their names: whole or not at all, over nothing of the user's."""

import errno
import filecmp
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RESULTS = "results"  # in the cache: files with a line for each file written by `result_file`
PART = ".part"  # ends the hidden temporary folders
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What NumPy, torch and safetensors say instead.
UNSAID = re.compile(r"requested and \d+ written|PytorchStreamWriter|inline_container|os error (27|28|122)")


def cache_root() -> Path:
    """The user's cache: $AULIB_CACHE, else ~/.cache/aulib (created if missing).

    Raises:
        OSError: it cannot be made, as in a container without a home; says what to do.
    """
    root = os.environ.get("AULIB_CACHE") or "~/.cache/aulib"
    try:
        root = Path(root).expanduser()
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home
        why = getattr(error, "strerror", None) or error
        text = (
            f"the cache folder {root} cannot be made ({why}): set AULIB_CACHE to a folder that can be written"
        )
        raise OSError(text) from None
    return root


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name, moved onto `path` when the block ends without error; for files in folders of ours."""
    with _beside(path) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextmanager
def result_file(path: str | Path, kind: str) -> Iterator[Path]:
    """As `atomic_file`, for a name that the user chose: over nothing but a result of the same kind that was
    written there so and is unchanged.

    Args:
        kind: a word, such as "predictions".

    Raises:
        FileExistsError: as `refuse_other`, before the block or after it, unless the content is the same.
    """
    path = Path(os.path.realpath(path)) if Path(path).exists() else Path(path)  # a link stays one
    with _beside(path) as temporary:
        yield temporary
        if not (path.is_file() and filecmp.cmp(temporary, path, shallow=False)):
            refuse_other(path, kind)
        with suppress(OSError):
            mark, lines = _mark(temporary, path, kind), _lines(path)
            lines.parent.mkdir(exist_ok=True)
            with open(lines, "a+b") as written:
                written.seek(0)
                if mark not in written.read():
                    written.write(mark)
        os.replace(temporary, path)


def refuse_other(path: str | Path, kind: str) -> None:
    """To ask before long work whether `result_file` would write.

    Raises:
        FileExistsError: `path` is no result of that kind that this user's commands wrote there, or was edited
            since.
        OSError: its folder cannot be written.
    """
    path = Path(path)
    with _beside(path):
        pass
    if os.path.lexists(path) and not _is_result(path, kind):
        why = "is no earlier result of this, or was edited since (the cache remembers results)"
        raise FileExistsError(f"{path} exists and {why}; choose another name or remove it")


def _is_result(path: Path, kind: str) -> bool:
    try:
        return path.is_file() and _mark(path, path, kind) in _lines(path).read_bytes()
    except OSError:
        return False


def _lines(path: Path) -> Path:
    """The file of RESULTS that remembers a path. There are 256: one alone would be read in full for each of
    thousands of crops."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:2]
    return cache_root() / RESULTS / f"{name}.txt"


def _mark(file: Path, path: Path, kind: str) -> bytes:
    """A line of RESULTS: what `file` holds, and under which name and as what it is kept."""
    return f"{digest_of(file)} {kind} {ascii(os.path.realpath(path))}\n".encode()


def digest_of(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder of a temporary name, which becomes `path` when the block ends without error.

    Raises:
        FileExistsError: `path` is a file or holds something, before the block or after it: of two processes
            the later one is told.
    """
    refuse_used(path)
    with _beside(Path(os.path.realpath(path))) as temporary:  # a link to an empty folder stays one
        temporary.mkdir()
        yield temporary
        publish_folder(temporary, path)


def publish_folder(temporary: Path, path: Path) -> None:
    """Rename a finished folder; FileExistsError as for `new_folder`."""
    target = Path(os.path.realpath(path))
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
    if os.path.lexists(path) and not path.is_dir():
        found = "a file" if path.exists() else "a link to nothing"
        raise FileExistsError(f"{path} is {found}, expected a new folder")
    if path.is_dir() and any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty, expected a new folder")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in a new hidden folder next to `path`; the folder is removed at the end, with what is in it."""
    named = {"prefix": ".", "suffix": PART, "dir": path.parent, "ignore_cleanup_errors": True}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(**named)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(error, path) from error
        raise _told(
            error.errno, f"{path} cannot be written ({error.strerror}): choose another folder"
        ) from error
    try:
        with folder as own:
            yield Path(own) / path.name
    except Exception as error:
        if getattr(error, "errno", None) in NO_ROOM or UNSAID.search(str(error)):
            raise no_room(error, path) from error
        raise


def no_room(error: BaseException, path: str | Path) -> OSError:
    """The error of a full disk, or of a file that may grow no further, in one sentence."""
    code = getattr(error, "errno", None) or errno.ENOSPC
    return _told(code, f"{path}: {os.strerror(code)}; make room and repeat the command, what is done is kept")


def _told(code: int, text: str) -> OSError:
    """An error with a number whose text is a sentence."""
    error = OSError(text)
    error.errno = code
    return error
