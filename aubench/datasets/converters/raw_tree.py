"""Finding things in raw trees: folders wherever the download put them, frames whatever their padding.

Names are compared without regard to case, and links to folders are followed once, so that a loop of links
ends.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".mp4", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm"}
MAX_DEPTH = 8


class Tree:
    """The folders and files below `root`, listed once: every question is answered from memory.

    Attributes:
        folders: (names from the root, lower case) and path of each folder, the shallowest first.

    Raises:
        FileNotFoundError: `root` is not a folder.
    """

    def __init__(self, root: str | Path, progress: bool = False):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root} is not a folder, expected the raw download")
        self.folders: list[tuple[tuple[str, ...], Path]] = []
        self._names: dict[Path, list[str]] = {}
        with tqdm(desc=f"listing {self.root.name}", unit=" files", disable=not progress) as bar:
            self._list(self.root, (), set(), bar)
        self.folders.sort(key=lambda folder: len(folder[0]))
        self._called: dict[str, list[tuple[tuple[str, ...], Path]]] = {}  # by the last part
        for folder in self.folders:
            self._called.setdefault(folder[0][-1] if folder[0] else "", []).append(folder)

    def _list(self, folder: Path, parts: tuple[str, ...], above: set[str], bar: tqdm) -> None:
        real = os.path.realpath(folder)
        if real in above or len(parts) > MAX_DEPTH:  # a link back to where we came from
            return
        self.folders.append((parts, folder))
        below, names = _entries(folder)
        self._names[folder] = names
        bar.update(len(names))
        for name in below:
            self._list(folder / name, (*parts, name.lower()), above | {real}, bar)

    def find(self, *tail: str) -> list[Path]:
        """Folders whose path ends with `tail`, the shallowest first; `tail` may hold regular expressions."""
        patterns = [re.compile(part, re.IGNORECASE) for part in tail]

        def fits(parts: tuple[str, ...]) -> bool:
            last = parts[len(parts) - len(patterns) :]
            return len(parts) >= len(patterns) and all(map(re.Pattern.fullmatch, patterns, last))

        last = tail[-1].replace("\\", "")  # a plain name, escaped or not, is looked up
        plain = re.escape(last) == tail[-1]
        folders = self._called.get(last.lower(), []) if plain else self.folders
        return [path for parts, path in folders if fits(parts)]

    def names_in(self, folder: Path) -> list[str]:
        """Names of the visible files of a listed folder, sorted."""
        return self._names.get(folder, [])

    def with_pictures(self, folders: list[Path]) -> list[Path]:
        """Those of `folders` that hold pictures."""
        return [folder for folder in folders if any(map(_is_picture, self.names_in(folder)))]

    def files(self, *tail: str, name: str) -> list[Path]:
        """Files called `name` (a regular expression) in every folder that `find(*tail)` names, sorted."""
        fits = re.compile(name, re.IGNORECASE).fullmatch
        return [folder / n for folder in self.find(*tail) for n in self.names_in(folder) if fits(n)]

    def label_files(self, name: str, example: str, hint: str = "") -> list[Path]:
        """`everywhere(name)`, at least one.

        Raises:
            FileNotFoundError: there is none; the message names `example`, what lies in the root, and `hint`.
        """
        return self.everywhere(name) or self.refuse(example, hint)

    def refuse(self, example: str, hint: str = "") -> NoReturn:
        """FileNotFoundError: no label file is there."""
        raise FileNotFoundError(f"{self.root} has no {example} or its like, found {self.top()}{hint}")

    def everywhere(self, name: str) -> list[Path]:
        """Files called `name` (a regular expression) in any folder, sorted by path. Looks at every file, so
        it is for once a set, not once a session."""
        fits = re.compile(name, re.IGNORECASE).fullmatch
        return sorted(folder / n for folder, names in self._names.items() for n in names if fits(n))

    @cached_property
    def videos(self) -> list[Path]:
        """All videos, sorted by path."""
        return sorted(
            folder / name
            for folder, names in self._names.items()
            for name in names
            if os.path.splitext(name)[1].lower() in VIDEOS
        )

    def video(self, *stems: str) -> Path | None:
        """The first video whose name without suffix is the first of `stems` (regular expressions) that any
        has."""
        for stem in stems:
            fits = re.compile(stem, re.IGNORECASE).fullmatch
            if found := next((video for video in self.videos if fits(video.stem)), None):
                return found
        return None

    def top(self) -> str:
        """What lies directly below the root, for error messages."""
        names = sorted(entry.name for entry in os.scandir(self.root) if not entry.name.startswith("."))
        return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"


def single_folder(folders: list[Path], what: str) -> Path | None:
    """The one folder, None if there is none.

    Raises:
        ValueError: there are several, so that pictures of another kind might be taken; two are named.
    """
    if len(folders) > 1:
        raise ValueError(
            f"{what} has pictures in {len(folders)} folders, {folders[0]} and {folders[1]}; "
            f"move those that do not count out of the raw download"
        )
    return folders[0] if folders else None


def second_folder_note(folders: list[Path]) -> tuple[str, ...]:
    """A note where pictures lie in two folders and the first is taken, as a set's own tree may have it."""
    if len(folders) < 2:
        return ()
    kinds = [folder.parent.name or str(folder.parent) for folder in folders[:2]]
    if kinds[0] == kinds[1]:
        kinds = [str(folder) for folder in folders[:2]]
    return (f"pictures in two folders: those of {kinds[0]} are taken, not those of {kinds[1]}",)


def files_in(folder: Path) -> list[Path]:
    """Visible files of a folder, sorted by name."""
    return [folder / name for name in _entries(folder)[1]]


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the visible folders and of the visible files in a folder, sorted."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                if _is(entry.is_file):
                    files.append(entry.name)
                elif _is(entry.is_dir):
                    folders.append(entry.name)
    return sorted(folders), sorted(files)


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PICTURES


def pictures_in(folder: Path) -> list[Path]:
    return [folder / name for name in _entries(folder)[1] if _is_picture(name)]


def frame_number(stem: str) -> int | None:
    """The number a file name ends with: 2440, 0643, frame-12, LeftVideoSN001_comp_00000012; None without
    one."""
    found = re.search(r"(\d+)$", stem)
    return int(found[1]) if found else None


def index_frames(folder: Path | None) -> tuple[dict[int, Path], dict[int, str]]:
    """Index the pictures of a folder by frame number: 643.jpg, 0643.jpg and 00643.jpg are frame 643.

    Returns:
        frame number -> picture, and frame number -> the names of two pictures that both are that frame. Both
        empty without a folder.
    """
    numbers: dict[int, Path] = {}
    ambiguous: dict[int, str] = {}
    for path in pictures_in(folder) if folder else []:
        number = frame_number(path.stem)
        if number is None:
            continue
        if number in numbers:
            ambiguous[number] = f"{numbers[number].name} and {path.name}"
        else:
            numbers[number] = path
    return {number: path for number, path in numbers.items() if number not in ambiguous}, ambiguous


def require_indexed_frames(folder: Path) -> dict[int, Path]:
    """Frame number -> picture.

    Raises:
        ValueError: two pictures are the same frame.
    """
    numbers, ambiguous = index_frames(folder)
    for number, names in ambiguous.items():
        raise ValueError(f"{folder}: {names} are both frame {number}")
    return numbers


@dataclass(frozen=True)
class FramePictures:
    """The pictures of N label frames.

    Attributes:
        by_number: picture number -> picture, of the whole folder.
        offset: picture number = label frame + this.
        pictures: N files, None where there is none.
        faults: row -> why its picture cannot be told.
        notes: an offset that is not the usual one.
        last: the highest picture number, 0 without pictures.
    """

    by_number: dict[int, Path]
    offset: int
    pictures: list[Path | None]
    faults: dict[int, str]
    notes: list[str]
    last: int


def match_pictures(
    folder: Path | None, frames: list[int], usual_offset: int, no_pictures: int | None = None
) -> FramePictures:
    """Match label frames with the numbered pictures of a folder; see `choose_frame_offset`.

    Args:
        no_pictures: the offset to report for an empty folder or none (a video is used), by default the usual.
    """
    by_number, ambiguous = index_frames(folder)
    numbers = [*by_number, *ambiguous]
    offset, note = usual_offset if no_pictures is None else no_pictures, ""
    if numbers:
        offset, note = choose_frame_offset(frames, numbers, usual_offset)
    faults = {
        row: f"two pictures of it: {ambiguous[frame + offset]}"
        for row, frame in enumerate(frames)
        if frame + offset in ambiguous
    }
    pictures = [by_number.get(frame + offset) for frame in frames]
    return FramePictures(by_number, offset, pictures, faults, [note] if note else [], max(numbers, default=0))


def choose_frame_offset(coded: list[int], pictures: list[int], usual: int) -> tuple[int, str]:
    """What to add to a label's frame number to get its picture's: `usual`, unless the files speak against it.

    Code bases disagree whether frames count from 0 or from 1. With `usual` some coded frame may have no
    picture while with another of -1, 0, +1 every one has; then that one is taken and a note says so.

    Returns:
        the offset, and a note ("" if nothing is odd).
    """
    there = set(pictures)
    missing = {offset: sum(frame + offset not in there for frame in coded) for offset in (usual, 0, -1, 1)}
    if not missing[usual]:
        return usual, ""
    whole = [offset for offset, count in missing.items() if count == 0]
    first, last = min(there, default=0), max(there, default=0)
    gap = any(first <= frame + usual <= last and frame + usual not in there for frame in coded)
    if len(whole) == 1 and missing[usual] <= 2 and not gap:  # a gap is no shift: only the ends tell
        return whole[
            0
        ], f"frame n of the labels is picture {_shifted(whole[0])} here, usually {_shifted(usual)}"
    return usual, ""


def _shifted(offset: int) -> str:
    return "n" if offset == 0 else f"n {'+' if offset > 0 else '-'} {abs(offset)}"
