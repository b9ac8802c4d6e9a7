"""Which files below a folder are pictures, and why others are left: the one walk over a user's folders."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath

import pandas as pd

from aulib.files import WRITTEN, remembered_file
from aulib.images import is_picture_name, open_picture

UNREAD_SUFFIXES = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
VIDEO_SUFFIXES = (
    "mp4", "avi", "mov", "mkv", "mpg", "mpeg", "m4v", "wmv", "webm", "flv", "3gp", "mts",
    "m2ts", "ts", "vob", "ogv", "asf", "dv",
)  # fmt: skip
LONGEST = 240  # bytes of a name; most file systems take 255, and `.jpg` may follow
NO_PICTURE = "no picture that is read here"
PROGRESS = ".prepare.jsonl"  # in a dataset folder that `prepare` makes
OURS = "a dataset folder, which holds copies; name it alone to read it"


def walk(
    root: str | Path, left: dict[str, str], out: Path | None = None, again: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """Path from the root ("" or ending with /) and visible files of each folder below it, links followed.

    A dataset folder that a command made below the root is not entered: it holds copies of what else is there.

    Args:
        left: gets the folders that are not entered, and why.
        out: a folder that is not entered and not listed.
        again: enter a folder by every link to it, unless it lies around the link; else once, by its own path
            if that is below the root.
    """
    unentered = os.path.realpath(out) if out else None
    seen: dict[str, str] = {}
    folders: deque[tuple[str, frozenset[str]]] = deque([("", frozenset())])
    links: deque[tuple[str, frozenset[str]]] = deque()
    while folders or links:
        relative, around = (folders or links).popleft()
        real = os.path.realpath(os.path.join(root, relative))
        first = seen.setdefault(real, relative)
        if real in around or (first != relative and not again):
            left[relative] = f"a link to {first or 'the folder it is in'}, which is read already"
            continue
        try:
            with os.scandir(os.path.join(root, relative)) as entries:
                inside = sorted(entries, key=lambda one: one.name)
        except OSError as error:
            left[relative] = f"this folder cannot be read: {error.strerror}"
            continue
        if relative and {WRITTEN, PROGRESS} & {one.name for one in inside}:
            left[relative] = OURS
            continue
        files = []
        for entry in inside:
            if entry.name[0] == ".":
                continue
            # A link to itself is no folder to `os.path`, and an error to the entry.
            if not (os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()):
                files.append(entry.name)
            elif unentered is None or os.path.realpath(entry.path) != unentered:
                below = (f"{relative}{entry.name}/", around | {real})
                (links if entry.is_symlink() else folders).append(below)
        yield relative, files


def list_pictures(photos: str | Path, out: str | Path | None = None) -> tuple[list[str], dict[str, str]]:
    """The pictures under a folder, and what else is there.

    A picture has a suffix that Pillow knows, one of UNREAD_SUFFIXES, or begins as a picture does.

    Args:
        out: a folder that is not entered.

    Returns:
        sorted paths of the pictures from `photos`; path -> why it is left, of other files and of folders that
        are not entered. Hidden files and folders are in neither.

    Raises:
        FileNotFoundError: no such folder, or no picture in it.
    """
    photos, left = Path(photos), {}
    if not photos.is_dir():
        raise FileNotFoundError(f"{photos} is not a folder, expected a folder of pictures")
    found = []
    for folder, names in walk(photos, left, out):
        for name in names:
            known = is_picture_name(name) or Path(name).suffix.lower() in UNREAD_SUFFIXES
            if known or _begins_as_picture(photos / folder / name):
                found.append(folder + name)
            else:
                left[folder + name] = NO_PICTURE
    if not found:
        some = (printable(path) + f" ({OURS})" * (left[path] == OURS) for path in sorted(left)[:3])
        some = ", ".join(some) or "nothing"
        raise FileNotFoundError(f"{photos} holds no picture, found {some}")
    return sorted(found), left


def why_unusable(path: Path) -> str:
    """Why a file that `list_pictures` lists is no picture that a dataset folder can hold, "" if it may be; it
    is not opened."""
    if path.suffix.lower() in UNREAD_SUFFIXES:
        return f"{path.suffix} is not read, convert it to JPEG or PNG"
    try:
        return "" if path.is_file() else "no file: a link to nothing, or a pipe"
    except OSError as error:  # in a folder that may be listed and not entered
        return f"unreadable: {error.strerror}"


def stored_name(source: str) -> str:
    """A path that a manifest can hold: UTF-8 without control characters, backslashes and outer spaces."""
    parts = [printable(part).strip().replace("\\", "_") or "_" for part in PurePosixPath(source).parts]
    return "/".join(parts)


def by_stored_name(pictures: list[str]) -> dict[str, str]:
    """The names that a table can hold (`stored_name`) -> pictures.

    Raises:
        ValueError: two pictures have the same.
    """
    found: dict[str, str] = {}
    for picture in pictures:
        if (other := found.setdefault(name := stored_name(picture), picture)) != picture:
            raise ValueError(f"a table calls both {other!r} and {picture!r} {name!r}; rename one of them")
    return found


def shortened(path: str) -> str:
    """The path with each part that is longer than LONGEST bytes cut: its beginning, a hash and its suffix."""
    return "/".join(part if len(part.encode()) <= LONGEST else _cut(part) for part in path.split("/"))


def printable(text: str) -> str:
    """The text with control characters and bytes that are not UTF-8 as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def write_listed(file: Path, table: pd.DataFrame) -> None:
    """Write skipped.csv or notes.csv: what is left out or odd, and why."""
    with remembered_file(file.parent, file.name) as partial:
        table.assign(**table.select_dtypes(exclude="number").map(printable)).to_csv(partial, index=False)


def is_video(path: str | PurePath) -> bool:
    """Whether a name has the suffix of a video."""
    return PurePath(path).suffix.lower()[1:] in VIDEO_SUFFIXES


def begins_as_video(path: Path) -> bool:
    """Whether a file begins as an MP4 or QuickTime file, Matroska (WebM) or AVI does, whatever its name."""
    with open(path, "rb") as opened:
        start = opened.read(12)
    kind, brand = start[4:8], start[8:12]
    is_mp4 = kind == b"ftyp" and not brand.startswith((b"hei", b"mif", b"avi", b"crx"))  # kinds of pictures
    return is_mp4 or start.startswith(b"\x1a\x45\xdf\xa3") or (start[:4], brand) == (b"RIFF", b"AVI ")


def frame_number(stem: str) -> int | None:
    """The number that a file name ends with (2440, 0643, frame-12); None without one."""
    found = re.search(r"\d+$", stem)
    return int(found[0]) if found else None


def _cut(name: str) -> str:
    end = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    end += PurePosixPath(name).suffix if is_picture_name(name) else ""
    return name.encode()[: LONGEST - len(end)].decode(errors="ignore") + end


def _begins_as_picture(path: Path) -> bool:
    try:
        with open_picture(path):
            return True
    except Exception:  # what is no picture makes decoders raise anything
        return False
