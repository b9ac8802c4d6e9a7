"""Reading text and JSON, writing JSON, and the version of this code; `aufaces.files` names all files."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aufaces.files import (  # noqa: F401 (handed on)
    NO_ROOM,
    PART,
    atomic_file,
    cache_root,
    digest_of,
    new_folder,
    no_room,
    refuse_other,
    refuse_used,
    result_file,
)

BEGINS = {  # first bytes of a file -> what it is, and what to do
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file",
    b"/annex/objects/": "a pointer of git-annex; `git annex get` fetches the file",
    b"<!doctype html": "a web page; download the file again",
    b"<html": "a web page; download the file again",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"par1": "a parquet table; call it .parquet",
    b"arrow1": "a Feather table; write it as .csv or .parquet",
    b"sep=": "a table whose first line is for Excel; leave that line out",
}
OF_TEXT = (".json", ".csv", ".txt", ".ipynb", ".yml", ".yaml")
WRITTEN = ".written"  # digests of what a command wrote into a dataset folder that it may write again


def decoded(data: bytes, path: str | Path) -> str:
    """The bytes of a text file as UTF-8, without byte order mark.

    Raises:
        ValueError: UTF-16 or -32, another encoding (with the line), or NUL bytes.
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise ValueError(f"{path} is UTF-32, expected UTF-8")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16, expected UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        raise ValueError(f"{path} line {line} is not UTF-8 (byte 0x{byte:02x}), save it as UTF-8") from None
    if "\x00" in text:
        raise ValueError(f"{path} holds NUL bytes, expected text")
    return text


def read_text(path: str | Path) -> str:
    """A text file as UTF-8, without byte order mark and carriage returns.

    Raises:
        ValueError: as `decoded`, or the file is empty.
    """
    text = decoded(Path(path).read_bytes(), path).replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise ValueError(f"{path} is empty")
    return text


@contextmanager
def reading(path: str | Path, expected: str) -> Iterator[None]:
    """For the call of a library that reads `path`: its errors leave with the file and what it is.

    Raises:
        ValueError: whatever the library raises but a missing module, or a missing, locked or unreadable file.
    """
    try:
        yield
    except GivenTwice as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # each library has its own
        if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno):
            raise
        found = what_it_is(Path(path))
        if "damaged" in found:
            found += f" ({' '.join(str(error).split())[:200] or type(error).__name__})"
        raise ValueError(f"{path}: expected {expected}, found {found}") from error


def what_it_is(path: Path) -> str:
    """What a file is that its library cannot read, by its size and first bytes, and what to do."""
    size = path.stat().st_size
    with open(path, "rb") as opened:
        start = opened.read(200)
    known = (what for begin, what in BEGINS.items() if start.lstrip().lower().startswith(begin))
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"heif"):
        return f"{size} bytes that are a HEIC picture; save it as JPEG or PNG"
    if (what := next(known, "")) and path.suffix.lower() not in what.split():
        return f"{size} bytes that are {what}"
    if not any(start):
        return f"{size} bytes of zeros; copy it again" if size else "an empty file; copy it again"
    if path.suffix.lower() not in OF_TEXT and start.isascii() and start.decode().isprintable():
        return f"{size} bytes of text, which is no {path.suffix or 'such file'}"
    return f"{size} bytes that are damaged or cut off; copy it again"


class GivenTwice(ValueError):
    """An object has a key twice, of which `json` would drop the first."""


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict:
    """For `json.loads(text, object_pairs_hook=no_key_twice)`."""
    value: dict = {}
    for key, one in pairs:
        if key in value:
            raise GivenTwice(f"key {key!r} is given twice")
        value[key] = one
    return value


def read_json(path: str | Path) -> dict:
    """A file that holds one JSON object.

    Raises:
        ValueError: it is no JSON, not UTF-8, another value, or has a key twice.
    """
    text = decoded(Path(path).read_bytes(), path)
    with reading(path, "JSON"):
        value = json.loads(text, object_pairs_hook=no_key_twice)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, {{...}}, found {type(value).__name__}")
    return value


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity, which JSON lacks, become null."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def remembered_file(folder: Path, name: str) -> Iterator[Path]:
    """As `atomic_file`, in a dataset folder that is written again: over nothing but what was written so.

    Raises:
        FileExistsError: as `refuse_edited`, after the block.
    """
    with atomic_file(folder / name) as temporary:
        yield temporary
        with open(folder / WRITTEN, "a", encoding="utf-8") as written:
            written.write(f"\n{_mark(temporary)} {name}\n")  # a line that was cut off is not continued
        refuse_edited(folder, name)


def refuse_edited(folder: Path, *names: str) -> None:
    """Raises FileExistsError if one of these is there, and not as a `remembered_file` left it."""
    if found := edited(folder, names):
        if not (folder / WRITTEN).is_file():
            raise FileExistsError(
                f"{folder} was made by an earlier version, which kept another list; take a new folder"
            )
        raise FileExistsError(
            f"{folder / found[0]} was edited since it was written, or is another file; move it elsewhere to "
            "have it written anew"
        )


def edited(folder: Path, names: Iterable[str]) -> list[str]:
    """Those files, or links, that are there and not as a `remembered_file` left them."""
    there, known = [name for name in names if os.path.lexists(folder / name)], b""
    if there and (folder / WRITTEN).is_file():
        known = (folder / WRITTEN).read_bytes()
    if len(there) > 1:  # to search for one line is faster than to split
        known = {b"\n%s\n" % line for line in known.splitlines()}
    return [name for name in there if f"\n{_mark(folder / name)} {name}\n".encode() not in known]


def _mark(path: Path) -> str:
    """A digest of the file, or of where a link leads; "" of what is neither."""
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()
    return digest_of(path) if path.is_file() else ""


def code_version() -> str:
    """Hash of aulib's source files: a run is out of date if any was edited."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
