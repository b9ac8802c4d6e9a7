"""GFT (Sayette Group Formation Task): 96 people in groups of three, one minute each, 172,800 frames.

No public reader of this set was found, so its tree here is a guess, and every departure from it is an error
that says what was found: a CSV a person, `001A.csv`, with a header of AU numbers (`frame,1,2,...` or
`frame,AU1,...`) and frames from 1; pictures in a folder `001A/` or a video `001A.mp4`. Codes -999, 999, 9 and
-1 are unknown.
"""

import re

from aubench.datasets.converters.label_tables import coded_table, occurrence_frame
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, match_pictures, second_folder_note

UNKNOWN = (-999, 999, 9, -1)
EXPECTED = Expected(
    subjects=96,
    frames=172_800,
    slack=0.05,
    aus=("AU01", "AU02", "AU04", "AU06", "AU10", "AU12", "AU14", "AU15", "AU23", "AU24"),
    sources="subjects and frames: Girard et al. 2017, abstract; AUs: the ten of JAA-Net's network.py; no "
    "base rates are known to us",
)
_NAME = r"(\d{3}[A-Za-z]?)(_\w+)?\.csv"


def find(raw: Tree) -> list[Source]:
    """One source a person.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    hint = "; the tree of GFT is a guess of ours (docs/datasets/gft.md)"
    labels = raw.label_files(_NAME, "001A.csv", hint)
    sources = {}
    for path in labels:
        subject = re.fullmatch(_NAME, path.name, re.IGNORECASE)[1].upper()
        if subject in sources:
            raise ValueError(f"{path} and {sources[subject].files['labels']} are both labels of {subject}")
        folders = raw.with_pictures(raw.find(subject))
        sources[subject] = Source(
            subject,
            subject,
            {
                "labels": path,
                "pictures": next(iter(folders), None),
                "video": raw.video(rf"{subject}(_\w+)?"),
            },
            notes=second_folder_note(folders),
        )
    return list(sources.values())


def read(source: Source) -> Session:
    """Occurrence of one person; see `coded_table` for what is refused."""
    path = source.files["labels"]
    frames, values = coded_table(path)
    matched = match_pictures(source.files["pictures"], frames, 0)
    first = 0 if 0 in frames else 1
    return Session(
        frames=[str(frame) for frame in frames],
        pictures=matched.pictures,
        labels=occurrence_frame(values, UNKNOWN, path),
        video=source.files["video"],
        video_frames=[frame - first for frame in frames],
        faults=matched.faults,
        notes=matched.notes,
    )
