"""What all converters share: finding the files of each session, and matching labels with pictures.

A set is a subclass: patterns of its files, `read_labels`, and `add_extras` where it has landmarks.
"""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from aubench.datasets.converters.label_tables import au_name
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, choose_frame_offset, index_frames
from aubench.datasets.picture_files import VIDEO_SUFFIXES, printable
from aulib.files import read_text
from aulib.images import is_picture_name
from aulib.tables import normal_form, person_name

ROWS = 500  # of a list of pictures, at most, that one process takes at a time
VIDEOS = rf"\.(?:{'|'.join(VIDEO_SUFFIXES)})"  # ends the pattern of a video


class Converter:
    """Reader of one raw set, for sets with a folder of pictures or a video per session.

    Attributes:
        expected: what a whole download holds.
        files: kind -> pattern of the path (`Tree.find`). Kinds are labels (needed), pictures (a folder),
            video, landmarks, and others that `read_labels` asks for. Groups named subject, session and frame
            say which session a file belongs to, `au` which AU, `split` the set's own split.
        example: a label file, for the message that there is none.
        ignored: label files with this (a regular expression) in their folder are left alone.
        second_choice: files and folders with this in their path are used only where there is no other.
        one_folder: a session with pictures in two folders is an error; else the first is used, with a note.
        splits: group `split`, in lower case -> train, val or test.
        header: the label files begin with a header.
        picture_offset: picture number = label frame + this; `fixed_offset` says that no tree does otherwise.
        video_offset: index in the video, from 0, = label frame + this.
        frame_name: format of a frame's name.
    """

    expected: Expected
    files: dict[str, str]
    example: str
    ignored = r"(?!)"
    second_choice = r"(?!)"
    one_folder = True
    splits: dict[str, str] = {}
    header = False
    picture_offset = 0
    fixed_offset = False
    video_offset = -1
    frame_name = "{}"

    def find(self, tree: Tree) -> list[Source]:
        """The sessions that have label files.

        Raises:
            FileNotFoundError: no label file is there.
            ValueError: two label files of one session (and AU), or its pictures in two folders.
        """
        found = {kind: self._by_session(tree, kind) for kind in self.files}
        if not found["labels"]:
            raise tree.missing(self.example)
        return [
            self._source(tree, {kind: sessions.get(key, []) for kind, sessions in found.items()})
            for key in sorted(found["labels"])
        ]

    def read(self, source: Source) -> Session:
        """Labels, pictures and landmarks of one session.

        Raises:
            ValueError: a file is damaged; the message names it and the line.
        """
        if source.session is not None:
            return source.session
        labels = self.read_labels(source)
        frames = labels.index.tolist()
        names = [self.frame_name.format(frame) for frame in frames]
        session = Session(names, [None] * len(frames), labels)
        if "pictures" in source.files:
            by_number, ambiguous = index_frames(source.files["pictures"])
            offset, numbers = self.picture_offset, {*by_number, *ambiguous}
            if not self.fixed_offset:
                offset, session.notes = choose_frame_offset(source.name, frames, numbers, offset)
            for row, number in enumerate(frame + offset for frame in frames):
                session.pictures[row] = by_number.get(number)
                if number in ambiguous:
                    session.faults[row] = f"two pictures of it: {ambiguous[number]}"
        elif "video" in source.files:
            session.video = source.files["video"]
            offset = 0 if 0 in frames else self.video_offset
            session.video_frames = [frame + offset for frame in frames]
        self.add_extras(session, source, frames)
        return session

    def read_labels(self, source: Source) -> pd.DataFrame:
        """AU01_c, AU01_r ... indexed by frame number."""
        raise NotImplementedError

    def add_extras(self, session: Session, source: Source, frames: list[int]) -> None:
        """Add landmarks, and notes about oddities of the set."""

    def expected_of(self, sources: list[Source]) -> Expected:
        """What a whole download holds, given what was found."""
        return self.expected

    def subject_name(self, text: str) -> str:
        """A person's name, from the group `subject` of a path."""
        return text.upper()

    def num_label_rows(self, source: Source) -> int | None:
        """Frames that a session lists, for the report of one that cannot be read; None if uncountable."""
        if source.session is not None:
            return len(source.session.frames)
        for kind, path in source.files.items():
            if kind.startswith("labels"):
                try:
                    lines = map(str.strip, read_text(path).split("\n"))
                except (OSError, ValueError):  # another AU's file may do
                    continue
                if number := sum(bool(line) and line[0] != "#" for line in lines):
                    return number - self.header
        return None

    def _by_session(self, tree: Tree, kind: str) -> dict[tuple, list[tuple[str, dict[str, str]]]]:
        """(subject, session, frame) -> paths and their groups, the preferred first."""
        found: dict[tuple, list] = {}
        for path, groups in tree.find(self.files[kind]):
            if kind == "labels" and re.search(self.ignored, path.rpartition("/")[0], re.IGNORECASE):
                continue
            if kind == "pictures" and path.endswith("/") and path not in tree.with_pictures:
                continue
            groups["subject"] = self.subject_name(groups["subject"])
            key = groups["subject"].lower(), groups.get("session", "").lower(), groups.get("frame", "")
            found.setdefault(key, []).append((path, groups))
        for paths in found.values():
            paths.sort(key=lambda one: self._rank(one[0]))
        return found

    def _rank(self, path: str) -> bool:
        return re.search(self.second_choice, path, re.IGNORECASE) is not None

    def _source(self, tree: Tree, found: dict[str, list[tuple[str, dict[str, str]]]]) -> Source:
        """One session of files of each kind."""
        groups = found["labels"][0][1]
        name = printable("/".join(filter(None, (groups["subject"], groups.get("session")))))
        source = Source(
            name, printable(groups["subject"]), {}, self.splits.get(groups.get("split", "").lower(), "")
        )
        for kind, paths in found.items():
            for path, groups in paths:
                key = f"{kind} {au_name(groups['au'])}" if "au" in groups else kind
                if other := source.files.get(key):
                    self._second(tree, source, kind, other, path)
                else:
                    source.files[key] = tree.root / path
        return source

    def _second(self, tree: Tree, source: Source, kind: str, used: Path, other: str) -> None:
        """A second file or folder of one kind: an error, a note, or ignored."""
        used_path = used.relative_to(tree.root).as_posix()
        in_capitals = used_path.lower() == other.rstrip("/").lower()
        if kind == "pictures" and not self.one_folder and not in_capitals:
            source.notes = [f"pictures in two folders: {used_path} is used, {other} is not"]
        elif in_capitals or kind in ("labels", "pictures") and self._rank(used_path) == self._rank(other):
            what = {"labels": "label files", "pictures": "folders with pictures"}.get(kind, "files")
            raise ValueError(
                f"{source.name} has two {what}, {used} and {tree.root / other}; "
                f"move the one that does not count out of the raw download"
            )


class PictureList(Converter):
    """Reader of a set of single pictures that a table lists with their AUs, each its own subject."""

    def find(self, tree: Tree) -> list[Source]:
        """Some table rows per source; the tables are read here.

        Raises:
            FileNotFoundError: no table is there.
            ValueError: one is damaged, or two pictures have one name, in any capitals.
        """
        tables = [tree.root / path for path, _ in tree.find(self.files["labels"])]
        if not tables:
            raise tree.missing(self.example)
        pictures, notes = self._index_pictures(tree)
        splits = self.read_splits(tree)
        sources = []
        for path in tables:
            table = self.read_table(path)
            for first in range(0, len(table), ROWS):
                rows = table.iloc[first : first + ROWS]
                found = [pictures.get(any_capitals(name)) for name in rows["image"]]
                session = _session_of(rows, found, splits)
                name = path.stem if len(table) <= ROWS else f"{path.stem}-{first // ROWS:04d}"
                sources.append(Source(name, "", {"labels": path}, notes=notes, session=session))
                notes = []
        return sources

    def read_table(self, path: Path) -> pd.DataFrame:
        """One row per picture, numbered from 1: `image` (its file name), AU01_c ..., and `fault`, why it
        cannot be used or ""."""
        raise NotImplementedError

    def read_splits(self, tree: Tree) -> dict[str, str]:
        """Name of a picture without suffix -> train, val or test, where the set has such lists."""
        return {}

    def _index_pictures(self, tree: Tree) -> tuple[dict[str, Path], list[str]]:
        """`any_capitals` of a name, without `_aligned`, -> picture; and a note if two have one name."""
        found: dict[str, str] = {}
        doubled = []
        for path in sorted(filter(is_picture_name, tree.files), key=self._rank):
            first = found.setdefault(any_capitals(PurePosixPath(path).name).replace("_aligned.", "."), path)
            if first != path:
                doubled.append((first, path))
        equal = [(tree.root / a, tree.root / b) for a, b in doubled if self._rank(a) == self._rank(b)]
        if equal and self.one_folder:
            raise ValueError(
                f"two pictures of one name, {equal[0][0]} and {equal[0][1]}; move the ones "
                f"that do not count out of the raw download"
            )
        notes = [f"{len(equal)} pictures are there twice, such as {a} (used) and {b}" for a, b in equal[:1]]
        return {name: tree.root / path for name, path in found.items()}, notes


def any_capitals(name: str) -> str:
    """The one spelling of a file's name in a raw download, where 0001.JPG and 0001.jpg are one picture."""
    return normal_form(name).casefold()


def _session_of(rows: pd.DataFrame, pictures: list[Path | None], splits: dict[str, str]) -> Session:
    stems = [PurePosixPath(name).stem for name in rows["image"]]
    return Session(
        frames=[
            f"{stem} (row {row})" if fault else stem
            for stem, row, fault in zip(stems, rows.index, rows["fault"], strict=True)
        ],
        pictures=pictures,
        labels=rows.drop(columns=["image", "fault"]),
        subjects=[person_name(stem) or f"unnamed {stem}" for stem in stems],
        splits=[splits.get(stem, "") for stem in stems],
        faults={row: fault for row, fault in enumerate(rows["fault"]) if fault},
    )
