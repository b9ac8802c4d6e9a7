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


def choose_frame_offset(name: str, coded: list[int], pictures: set[int], usual: int) -> tuple[int, list[str]]:
    """What to add to a label's frame number to get its picture's: `usual`, unless the files contradict it.

    Code bases disagree whether frames count from 0 or from 1. The offset that pairs the first label with the
    first picture is taken if it alone leaves the fewest labels outside the range of the pictures (none, where
    there is no picture 0), or if there is a picture 0 without a label and a label for the last picture. Gaps
    in the range say nothing: every offset has them.

    Returns:
        the offset, a note if it is not `usual`, and a note if another may be right.
    """
    if not coded or not pictures:
        return usual, []
    first, last = min(pictures), max(pictures)
    outside = {
        offset: sum(not first <= frame + offset <= last for frame in coded) for offset in (usual, 0, -1, 1)
    }
    offset, aligned = usual, first - min(coded)
    if aligned in outside:
        fewest = outside[aligned] < min(number for other, number in outside.items() if other != aligned)
        from_zero = first == 0 and outside[usual] == 0 and last == max(coded) + usual
        offset = aligned if from_zero or fewest and not (first and outside[aligned]) else usual
    notes = []
    if offset != usual:
        notes.append(f"picture number = label frame {offset:+d} here, usually {usual:+d}")
    possible = {other for other, number in outside.items() if number <= outside[offset]}
    if not outside[offset]:
        possible &= {usual, aligned}
    if first != (0 if offset < usual else 1):  # nothing shows where these pictures begin to count
        possible.add(usual)
    if rivals := " or ".join(f"{other:+d}" for other in sorted(possible - {offset})):
        notes.append(
            f"{name}: {len(coded)} labels ({min(coded)} to {max(coded)}) and {len(pictures)} pictures "
            f"({first} to {last}) leave their pairing unclear: picture number = label frame {offset:+d} is "
            f"used, {rivals} is possible; compare a picture with its label"
        )
    return offset, notes
