"""What a raw set is read as: sessions of one person, each a run of frames with labels, pictures and
landmarks."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.labels import AU_NAMES


@dataclass(frozen=True)
class Source:
    """One piece of a raw set that is read and converted by itself; `find` of a converter lists them.

    Attributes:
        name: unique in the set; the folder below images/ ("F001/T1").
        subject: the person.
        files: what it is read from, by the converter's own keys (a folder stands for the pictures in it).
        split: the set's own split, "" if it has none.
        rows: which rows of a shared label file, (first, past the last).
        pictures: the picture of each row where `find` looked them up, None where there is none.
        notes: what `find` saw that is odd, for the report.
    """

    name: str
    subject: str
    files: dict[str, Path | None]
    split: str = ""
    rows: tuple[int, int] | None = None
    pictures: tuple[Path | None, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Session:
    """What a source holds, one row a coded frame; nothing is decoded yet.

    Attributes:
        frames: N names, unique here, as the set calls them.
        pictures: N files; None where there is none.
        labels: N rows of AU01_c (0, 1, NaN) and AU01_r (0-5, NaN).
        landmarks: (N, K, 2) pixels from (0, 0), NaN where missing; or None.
        video, video_frames: where pictures are None: the file and N frame indices, counted from 0.
        subjects, splits: N names each if they differ within the source; a split may be "" where none is
            given.
        faults: row -> why that frame cannot be used, known before its picture is opened.
        watched: files that could not be read; the session is read again when one of them changes.
        notes: what is odd, for the report.
    """

    frames: list[str]
    pictures: list[Path | None]
    labels: pd.DataFrame
    landmarks: np.ndarray | None = None
    video: Path | None = None
    video_frames: list[int] | None = None
    subjects: list[str] | None = None
    splits: list[str] | None = None
    faults: dict[int, str] = field(default_factory=dict)
    watched: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Expected:
    """What a whole download should hold, as far as public sources say; None and {} where they do not.

    Attributes:
        subjects, sessions, frames: counts of coded people, of their sessions, and of coded frames.
        frames_of: person -> coded frames.
        slack: share of `frames` that may be missing unsaid, where the figure is not one of coded frames.
        aus: AUs that the set codes.
        rates: published base rate of AUs, in [0, 1]; others are unknown to us.
        at_least: intensity from which `rates` count an AU as present.
        sources: where each figure is from.
    """

    subjects: int | None = None
    sessions: int | None = None
    frames: int | None = None
    frames_of: dict[str, int] = field(default_factory=dict)
    slack: float = 0.0
    aus: tuple[str, ...] = ()
    rates: dict[str, float] = field(default_factory=dict)
    at_least: float = 2
    sources: str = ""


def au_name(number: int) -> str:
    """AU01 of 1."""
    return f"AU{number:02d}"


def known_au(number: int) -> bool:
    """Whether aulib names this AU; others (rare, or gaze and head codes) are left out of manifests."""
    return au_name(number) in AU_NAMES
