"""Aff-Wild2: videos from the web. The tree and the source of each fact: docs/datasets/affwild2.md."""

import pandas as pd

from aubench.datasets.converters.converter import VIDEOS, Converter
from aubench.datasets.converters.label_tables import au_name, codes, label_columns, read_header
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import index_frames
from aubench.datasets.videos import num_frames
from aulib.files import read_text
from aulib.tables import read_columns

HEADERS = [
    [au_name(number) for number in numbers]
    for numbers in ((1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26), (1, 2, 4, 6, 12, 15, 20, 25))
]

SPLITS = {  # in lower case
    "trainfromtrain_set": "train",
    "valfromtrain_set": "val",
    "train_set": "train",
    "validation_set": "test",  # as OpenGraphAU
}


class AffWild2(Converter):
    """One session per video (and person in it)."""

    expected = Expected(
        aus=tuple(HEADERS[0]),
        sources="AUs and splits: OpenGraphAU; numbers differ between the challenges' years; no base rates "
        "are known to us",
    )
    files = {
        "labels": rf"(?P<split>{'|'.join(SPLITS)})/(?P<subject>[^/]+)\.txt",
        "pictures": r"(?P<subject>[^/]+)/",
        # _left and _right are two people in one video: only crops show which one is meant
        "video": rf"(?P<subject>[^/]+)(?<!_left)(?<!_right){VIDEOS}",
    }
    splits = SPLITS
    example = "Train_Set/<video>.txt or Validation_Set"
    ignored = r"expr|va_|valence"  # the challenges' other labels
    second_choice = r"^(?!.*aligned)"
    one_folder = False
    header = True
    fixed_offset = True
    frame_name = "{:05d}"

    def subject_name(self, text: str) -> str:
        return text

    def read_labels(self, source: Source) -> pd.DataFrame:
        path = source.files["labels"]
        header = read_header(path)
        names = list(map(au_name, header))
        if sorted(names) not in HEADERS:
            found, expected = ",".join(header)[:60], ",".join(HEADERS[0])
            raise ValueError(f"{path} line 1: the header is {found!r}, expected {expected}, each once")
        table = read_columns(path, names, [codes(r"AU\d\d", 1, (-1,))], header="")
        # Frame 1 is the line below the header; a blank line or a comment has no label, and moves none.
        text = read_text(path)
        table.index += 1 - text[: len(text) - len(text.lstrip())].count("\n")
        return label_columns(table, "_c")

    def add_extras(self, session: Session, source: Source, frames: list[int]) -> None:
        """A note where label rows and frames contradict each other: a row too many or too few moves all that
        follow. Pictures may lack frames where no face was found, even the last; they cannot have more.

        Raises:
            ValueError: pictures that count from 0.
        """
        rows = f"{source.name} has labels up to frame {max(frames)}"
        if session.video:
            in_video = num_frames(session.video)
            if in_video and in_video != max(frames):
                session.notes.append(f"{rows}, its video {in_video} frames")
        elif "pictures" in source.files:
            numbers = [number for folder in index_frames(source.files["pictures"]) for number in folder]
            if 0 in numbers:
                raise ValueError(f"{source.name} has a picture 0, expected the first frame to be 1")
            if max(numbers, default=0) > max(frames):
                session.notes.append(f"{rows}, pictures up to frame {max(numbers)}")
