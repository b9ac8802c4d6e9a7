"""BP4D and BP4D+: AU occurrence by frame. The trees and the source of each fact: docs/datasets/bp4d.md."""

import numpy as np
import pandas as pd

from aubench.datasets.converters.converter import VIDEOS, Converter
from aubench.datasets.converters.label_tables import coded_table, intensities
from aubench.datasets.converters.mat_files import read_tracks
from aubench.datasets.converters.raw_session import Expected, Session, Source

AUS = ("AU01", "AU02", "AU04", "AU06", "AU07", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
NOT_CODED = (9,)
FRAMES_OF = (  # coded frames, counted in ME-GraphAU's lists
    "F001 3934 F002 3937 F003 3700 F004 3737 F005 3915 F006 3576 F007 3573 F008 3695 F009 3297 "
    "F010 3266 F011 3732 F012 3543 F013 3434 F014 3490 F015 3451 F016 3510 F017 3823 F018 3525 "
    "F019 3489 F020 3646 F021 3447 F022 3593 F023 3726 M001 4153 M002 3833 M003 3379 M004 3521 "
    "M005 3271 M006 3572 M007 3684 M008 3291 M009 3290 M010 3298 M011 3469 M012 3609 M013 3613 "
    "M014 3483 M015 3664 M016 3648 M017 3542 M018 3488"
).split()
SESSION = r"(?P<subject>[FM]\d{3})_(?P<session>T\d{1,2})"


class BP4D(Converter):
    """One session per person and task."""

    expected = Expected(
        subjects=41,
        sessions=328,
        frames=146_847,
        frames_of=dict(zip(FRAMES_OF[::2], map(int, FRAMES_OF[1::2]), strict=True)),
        aus=AUS,
        rates={
            "AU01": 0.211, "AU02": 0.170, "AU04": 0.203, "AU06": 0.461,
            "AU07": 0.549, "AU10": 0.594, "AU12": 0.562, "AU14": 0.466,
            "AU15": 0.169, "AU17": 0.344, "AU23": 0.165, "AU24": 0.151,
        },
        sources="subjects, sessions, frames: ME-GraphAU's lists; base rates: counted in FG-Net's test.csv of "
        "three folds (146,423 frames)",
    )  # fmt: skip
    files = {
        "labels": rf"(?:au_?occ|aucoding)/{SESSION}\.csv",
        "intensity": rf"au_?int/au\d+/{SESSION}_AU(?P<au>\d+)\.csv",
        "pictures": r"(?P<subject>[FM]\d{3})/(?P<session>T\d{1,2})/",
        "video": rf"2?(?P<subject>[FM]\d{{2,3}})_(?P<session>T\d{{1,2}}){VIDEOS}",
        "landmarks": rf"2dfeatures/{SESSION}\.mat",
    }
    example = "AUCoding/AU_OCC/F001_T1.csv"
    second_choice = r"aucoding/[^/]*$"
    header = True
    picture_offset = 0  # [ME-GraphAU, JAA-Net]
    video_offset = 0

    def subject_name(self, text: str) -> str:
        return f"{text[0].upper()}{int(text[1:]):03d}"

    def read_labels(self, source: Source) -> pd.DataFrame:
        occurrence = coded_table(source.files["labels"], NOT_CODED)
        intensity = intensities(source.of_kind("intensity"), header="[A-Za-z]", unknown=NOT_CODED)
        return pd.concat([occurrence, intensity.reindex(occurrence.index)], axis=1)

    def add_extras(self, session: Session, source: Source, frames: list[int]) -> None:
        """Landmarks; tracked frames are numbered as coded ones. MATLAB's pixels start at (1, 1) [JAA-Net]."""
        if "landmarks" in source.files:
            tracks, lost = read_tracks(source.files["landmarks"]), np.full((49, 2), np.nan)
            session.landmarks = np.array([tracks.get(frame, lost) for frame in frames]) - 1


class BP4DPlus(BP4D):
    """As BP4D, with frames counted as this set does."""

    expected = Expected(
        subjects=140, aus=AUS, sources="subjects and AUs: FMAE-IAT; no base rates are known to us"
    )
    picture_offset = -1
    video_offset = -1
