"""What a raw set is read as: sessions, each a run of frames with labels, pictures and landmarks."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass
class Session:
    """One row per coded frame; no picture is decoded yet.

    Attributes:
        frames: N names, unique here, as the set calls them.
        pictures: N files, None where there is none.
        labels: N rows of AU01_c (0, 1, NaN) and AU01_r (0-5, NaN).
        landmarks: (N, K, 2) pixels from (0, 0), NaN where missing; or None.
        video, video_frames: where pictures are None: the file and N frame indices from 0.
        subjects, splits: N names each if they differ within the session; "" is no split.
        faults: row -> why that frame cannot be used, known before its picture is opened.
        notes: oddities for the report.
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
    notes: list[str] = field(default_factory=list)

    def origin(self, row: int) -> str:
        """The picture of a frame, or video#index, or ""."""
        if self.pictures[row] is not None:
            return str(self.pictures[row])
        return f"{self.video}#{self.video_frames[row]}" if self.video is not None else ""


@dataclass
class Source:
    """The files of one session, as a converter's `find` lists them.

    Attributes:
        name: unique in the set; the folder below images/ ("F001/T1").
        subject: the person.
        files: kind -> file or folder (a folder stands for the pictures in it).
        split: the set's own split, "" if it has none.
        notes: oddities for the report.
        session: the content where `find` has read it already.
    """

    name: str
    subject: str
    files: dict[str, Path]
    split: str = ""
    notes: list[str] = field(default_factory=list)
    session: Session | None = None

    def of_kind(self, kind: str) -> dict[str, Path]:
        """AU -> file, of a kind with one file per AU ("labels AU01")."""
        start = f"{kind} "
        return {key.removeprefix(start): path for key, path in self.files.items() if key.startswith(start)}


@dataclass(frozen=True)
class Expected:
    """What a whole download holds, as far as public sources say; None and {} where they do not.

    Attributes:
        subjects, sessions, frames: numbers of coded people, of their sessions, and of coded frames.
        frames_of: person -> coded frames.
        slack: share of `frames` that may be missing without a warning, where the figure is approximate.
        aus: AUs that the set codes.
        rates: published base rates in [0, 1].
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
