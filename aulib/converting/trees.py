"""Finding things in raw trees: folders wherever the download put them, frames whatever their padding.

Names are compared without regard to case, and links to folders are followed once, so that a loop of links
ends.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
VIDEOS = {".avi", ".mp4", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm"}
MAX_DEPTH = 8


class Tree:
    """The folders below `root`, listed once.

    Raises:
        FileNotFoundError: `root` is not a folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root} is not a folder, expected the raw download")
        self.folders: list[tuple[tuple[str, ...], Path]] = []
        self._list(self.root, (), set())

    def _list(self, folder: Path, parts: tuple[str, ...], above: set[str]) -> None:
        real = os.path.realpath(folder)
        if real in above or len(parts) > MAX_DEPTH:  # a link back to where we came from
            return
        self.folders.append((parts, folder))
        try:
            with os.scandir(folder) as entries:
                below = sorted(e.name for e in entries if not e.name.startswith(".") and _is(e.is_dir))
        except OSError:
            return
        for name in below:
            self._list(folder / name, (*parts, name.lower()), above | {real})

    def find(self, *tail: str) -> list[Path]:
        """Folders whose path ends with `tail`, the shallowest first; `tail` may hold regular expressions."""
        patterns = [re.compile(part, re.IGNORECASE) for part in tail]

        def fits(parts: tuple[str, ...]) -> bool:
            last = parts[len(parts) - len(patterns) :]
            return len(parts) >= len(patterns) and all(map(re.Pattern.fullmatch, patterns, last))

        return [path for parts, path in sorted(self.folders, key=lambda f: len(f[0])) if fits(parts)]

    def files(self, *tail: str, name: str) -> list[Path]:
        """Files called `name` (a regular expression) in every folder that `find(*tail)` names, sorted."""
        pattern = re.compile(name, re.IGNORECASE)
        return [
            path for folder in self.find(*tail) for path in files_in(folder) if pattern.fullmatch(path.name)
        ]

    def everywhere(self, name: str) -> list[Path]:
        """Files called `name` (a regular expression) in any folder, sorted by path."""
        pattern = re.compile(name, re.IGNORECASE)
        return sorted(p for _, folder in self.folders for p in files_in(folder) if pattern.fullmatch(p.name))

    def top(self) -> str:
        """What lies directly below the root, for error messages."""
        names = sorted(entry.name for entry in os.scandir(self.root) if not entry.name.startswith("."))
        return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"


def files_in(folder: Path) -> list[Path]:
    """Visible files of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(folder / e.name for e in entries if not e.name.startswith(".") and _is(e.is_file))


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def pictures_in(folder: Path) -> list[Path]:
    return [path for path in files_in(folder) if path.suffix.lower() in PICTURES]


def frame_number(stem: str) -> int | None:
    """The number a file name ends with: 2440, 0643, frame-12, LeftVideoSN001_comp_00000012; None without
    one."""
    found = re.search(r"(\d+)$", stem)
    return int(found[1]) if found else None


def numbered_pictures(folder: Path) -> dict[int, Path]:
    """Frame number -> picture, whatever the padding: 643.jpg, 0643.jpg and 00643.jpg are frame 643.

    Raises:
        ValueError: two files are the same frame.
    """
    numbers: dict[int, Path] = {}
    for path in pictures_in(folder):
        number = frame_number(path.stem)
        if number is None:
            continue
        if number in numbers:
            raise ValueError(f"{folder}: {numbers[number].name} and {path.name} are both frame {number}")
        numbers[number] = path
    return numbers


def settle_offset(coded: list[int], pictures: list[int], usual: int) -> tuple[int, str]:
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
    if len(whole) == 1 and missing[usual] <= 2:  # a gap is no shift: only the ends tell
        return whole[0], f"label frame + {whole[0]} is the picture's number here, usually + {usual}"
    return usual, ""
