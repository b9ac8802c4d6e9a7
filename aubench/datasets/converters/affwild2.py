"""Aff-Wild2: videos from the web, twelve AUs a frame.

Tree: a text file a video, first line `AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26`, then a line a
frame, 0, 1, -1 for not coded; line j is `<video>/00001.jpg` for j = 1 of the cropped pictures [OpenGraphAU,
and several entries to the ABAW challenges]; the first challenge's files have the eight AUs
`AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25` [entries to it]. Files lie in Train_Set and Validation_Set, or in
OpenGraphAU's TrainFromTrain_Set, ValFromTrain_Set and Validation_Set. A row of -1 alone is skipped;
OpenGraphAU skips every row that has any.
"""

import re
from pathlib import Path

from aubench.datasets.converters.label_tables import au_number, occurrence_frame, rows_of, whole_number
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, index_frames, second_folder_note
from aubench.datasets.converters.videos import num_frames

AUS = (
    "AU01", "AU02", "AU04", "AU06", "AU07", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26",
)  # fmt: skip
HEADERS = ((1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26), (1, 2, 4, 6, 12, 15, 20, 25))
UNKNOWN = (-1,)
# OpenGraphAU tests on Validation_Set and chooses on a part of the training videos.
SPLITS = {
    "trainfromtrain_set": "train",
    "valfromtrain_set": "val",
    "train_set": "train",
    "validation_set": "test",
}
EXPECTED = Expected(
    aus=AUS,
    sources="AUs and splits: OpenGraphAU; numbers differ between the challenges' years; no base rates are "
    "known to us",
)


def find(raw: Tree) -> list[Source]:
    """One source a video; the set's Validation_Set is our test, some of the training videos our val.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    sources = []
    for folder in raw.find("|".join(SPLITS)):
        above = "/".join(folder.relative_to(raw.root).parts[:-1]).lower()
        if re.search(r"expr|va_|valence", above):
            continue
        for name in raw.names_in(folder):
            if name.lower().endswith(".txt"):
                sources.append(_source(raw, folder / name, SPLITS[folder.name.lower()]))
    if not sources:
        raw.refuse("Train_Set/<video>.txt or Validation_Set")
    return sources


def _source(raw: Tree, path: Path, split: str) -> Source:
    video = path.stem
    folders = raw.with_pictures(raw.find(re.escape(video)))
    folders.sort(key=lambda folder: "aligned" not in str(folder.relative_to(raw.root)).lower())
    two_people = re.search(r"_(left|right)$", video)
    film = None if folders or two_people else raw.video(re.escape(video))
    files = {"labels": path, "pictures": next(iter(folders), None), "video": film}
    return Source(video, video, files, split, notes=second_folder_note(folders))


def read(source: Source) -> Session:
    """Line j of the labels is picture j, from 1, so a line too many or too few moves all that follow it;
    where the video or the pictures speak against the number of lines, a note says so.

    Raises:
        ValueError: a header of other AUs than `HEADERS`, no line below it, a line with too few or too many
            codes, a code that is none.
    """
    path = source.files["labels"]
    (line, header), *rows = rows_of(path, ",")
    numbers = [au_number(name) for name in header]
    if None in numbers or not numbers:
        raise ValueError(f"{path} line {line}: {','.join(header)[:60]!r} is no header AU1,AU2,...")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{path} line {line}: {','.join(header)[:60]!r} names an AU twice")
    if sorted(numbers) not in map(list, HEADERS):
        expected = ",".join(f"AU{number}" for number in HEADERS[0])
        raise ValueError(f"{path} line {line}: the header is {','.join(header)[:60]!r}, expected {expected}")
    if not rows:
        raise ValueError(f"{path} holds no row below its header in line {line}, expected one a frame")
    values = {number: [] for number in numbers}
    for line, cells in rows:
        if len(cells) != len(numbers):
            raise ValueError(f"{path} line {line}: {len(cells)} codes, the header has {len(numbers)}")
        for number, cell in zip(numbers, cells, strict=True):
            values[number].append(whole_number(cell, path, line, f"AU{number:02d}"))
    frames = list(range(1, len(rows) + 1))
    by_number, ambiguous = index_frames(source.files["pictures"])
    return Session(
        frames=[f"{frame:05d}" for frame in frames],
        pictures=[by_number.get(frame) for frame in frames],
        labels=occurrence_frame(values, UNKNOWN, path),
        video=source.files["video"],
        video_frames=[frame - 1 for frame in frames],
        faults={f - 1: f"two pictures of it: {ambiguous[f]}" for f in frames if f in ambiguous},
        notes=_miscounted(source, len(rows), [*by_number, *ambiguous]),
    )


def _miscounted(source: Source, num_rows: int, pictures: list[int]) -> list[str]:
    """A note where labels and frames cannot be of one number. Pictures may lack frames, even the last, where
    no face was found; they cannot have more."""
    film = source.files["video"]
    frames = num_frames(film) if film else None
    if frames and frames != num_rows:
        return [f"{source.name} has {num_rows} label rows, its video {frames} frames: one may be shifted"]
    if pictures and max(pictures) > num_rows:
        return [f"{source.name} has {num_rows} label rows, pictures up to frame {max(pictures)}: cut off?"]
    return []
