"""Find files in a raw download, in any folder, and pictures by frame number, whatever the padding."""

import re
from pathlib import Path

from tqdm.auto import tqdm

from aubench.datasets.picture_files import frame_number, walk
from aulib.images import is_picture_name


class Tree:
    """The visible files below `root`, listed once. Links to folders are followed, except back to a parent.

    Attributes:
        files: paths from the root, sorted.
        folders: those of the folders with files, the shallowest first.
        with_pictures: those of `folders` that hold pictures.
        left: folders that were not entered, and why.

    Raises:
        FileNotFoundError: `root` is not a folder.
    """

    def __init__(self, root: str | Path, progress: bool = False):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"{self.root} is not a folder, expected the raw download")
        self.files: list[str] = []
        self.folders: list[str] = []
        self.with_pictures: set[str] = set()
        self.left: dict[str, str] = {}
        listed = tqdm(
            walk(self.root, self.left, again=True), f"listing {self.root.name}", disable=not progress
        )
        for folder, names in listed:
            self.files += [f"{folder}{name}" for name in names]
            if names:
                self.folders.append(folder)
            if any(is_picture_name(name) for name in names):
                self.with_pictures.add(folder)
        self.files.sort()
        self.folders.sort(key=lambda folder: (folder.count("/"), folder))

    def find(self, pattern: str) -> list[tuple[str, dict[str, str]]]:
        """Files whose path from the root ends with `pattern`, and its named groups.

        Args:
            pattern: a regular expression for the end of the path, such as `au_occ/(?P<subject>f\\d+)\\.csv`,
                whatever the case. One that ends with / finds folders.
        """
        matches = re.compile(f"(?:.*/)?(?:{pattern})", re.IGNORECASE | re.DOTALL).fullmatch
        paths = self.folders if pattern.endswith("/") else self.files
        return [(path, found.groupdict("")) for path in paths if (found := matches(path))]

    def missing(self, example: str) -> FileNotFoundError:
        """The error for a tree without label files, with what lies directly below the root."""
        names = sorted(path.name for path in self.root.iterdir() if not path.name.startswith("."))
        found = ", ".join(names[:8] + ["..."] * (len(names) > 8)) or "nothing"
        archives = self.find(r"[^/]*\.(?:zip|rar|7z)")
        hint = f"; unpack {archives[0][0]} and the like first" if archives else ""
        return FileNotFoundError(f"{self.root} has no {example} or the like, found {found}{hint}")


def index_frames(folder: Path) -> tuple[dict[int, Path], dict[int, str]]:
    """Index the pictures of a folder by the number their names end with: 643.jpg and 0643.jpg are frame 643.

    Returns:
        frame number -> picture, and frame number -> the names of two pictures that both have that number.
    """
    numbers: dict[int, Path] = {}
    ambiguous: dict[int, str] = {}
    for path in sorted(folder.iterdir()):
        number = frame_number(path.stem) if is_picture_name(path.name) and path.name[0] != "." else None
        if number is not None and (other := numbers.setdefault(number, path)) is not path:
            ambiguous[number] = f"{other.name} and {path.name}"
    return {number: path for number, path in numbers.items() if number not in ambiguous}, ambiguous


def match_pictures(
    folder: Path, frames: list[int], usual_offset: int, fixed: bool
) -> tuple[list[Path | None], dict[int, str], list[str]]:
    """Match label frames with the numbered pictures of a folder.

    Args:
        fixed: picture number = label frame + `usual_offset`; otherwise see `choose_frame_offset`.

    Returns:
        the picture of each frame, None where there is none; row -> why its picture is unclear; and notes.
    """
    by_number, ambiguous = index_frames(folder)
    offset, notes = usual_offset, []
    if not fixed:
        offset, notes = choose_frame_offset(frames, {*by_number, *ambiguous}, usual_offset)
    wanted = [frame + offset for frame in frames]
    faults = {
        row: f"two pictures of it: {ambiguous[number]}"
        for row, number in enumerate(wanted)
        if number in ambiguous
    }
    return [by_number.get(number) for number in wanted], faults, notes


def choose_frame_offset(coded: list[int], pictures: set[int], usual: int) -> tuple[int, list[str]]:
    """What to add to a label's frame number to get its picture's: `usual`, unless the files contradict it.

    Code bases disagree whether frames count from 0 or from 1. If `usual` leaves one or two frames at the ends
    without a picture, and exactly one of -1, 0, +1 leaves none, that one is taken.

    Returns:
        the offset, and a note if it is not `usual`.
    """
    missing = {offset: {frame + offset for frame in coded} - pictures for offset in (usual, 0, -1, 1)}
    complete = [offset for offset, numbers in missing.items() if not numbers]
    if usual in complete or len(complete) != 1 or len(missing[usual]) > 2:
        return usual, []
    if any(min(pictures) < number < max(pictures) for number in missing[usual]):
        return usual, []
    return complete[0], [f"picture number = label frame {complete[0]:+d} here, usually {usual:+d}"]
