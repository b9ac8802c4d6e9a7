"""DISFA and DISFA+: intensities of twelve AUs. Trees and the source of each fact: docs/datasets/disfa.md."""

import numpy as np
import pandas as pd

from aubench.datasets.converters.converter import VIDEOS, Converter
from aubench.datasets.converters.label_tables import SPACES, intensities
from aubench.datasets.converters.mat_files import read_points
from aubench.datasets.converters.raw_session import Expected, Session, Source

AUS = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU09", "AU12", "AU15", "AU17", "AU20", "AU25", "AU26")
PEOPLE = [n for n in range(1, 33) if n not in (14, 15, 19, 20, 22)]
FRAMES = 4_845  # of each person
SUBJECT = r"(?P<subject>SN\d{3})"


class DISFA(Converter):
    """One session per person; the left camera's pictures or video, else the right one's."""

    expected = Expected(
        subjects=27,
        sessions=27,
        frames=130_815,
        frames_of={f"SN{number:03d}": FRAMES for number in PEOPLE},
        aus=AUS,
        rates={
            "AU01": 0.050, "AU02": 0.040, "AU04": 0.150, "AU06": 0.079,
            "AU09": 0.042, "AU12": 0.129, "AU25": 0.278, "AU26": 0.089,
        },
        sources="subjects: all lists; frames: 27 videos of 4,845 (lists have 126,144 to 130,814); base rates "
        "at intensity >= 2: counted in FG-Net's test.csv of three folds (130,311 frames, 8 of the 12 AUs)",
    )  # fmt: skip
    files = {
        "labels": rf"{SUBJECT}_au(?P<au>\d+)\.txt",
        "pictures": rf"(?:[^/]*left[^/]*)?{SUBJECT}(?:_comp)?(?:\.avi)?(?:/[^/]+)?/",
        "video": rf"(?:left|right)video{SUBJECT}_comp{VIDEOS}",
        "landmarks": rf"{SUBJECT}/tmp_frame_lm/",
    }
    example = "ActionUnit_Labels/SN001/SN001_au1.txt"
    second_choice = "right"

    def read_labels(self, source: Source) -> pd.DataFrame:
        files = source.of_kind("labels")
        labels = intensities(files)
        if (lacking := labels.isna()).any(axis=None):
            frame, column = lacking.stack().idxmax()
            path = files[column.removesuffix("_r")]
            raise ValueError(f"{path} has no frame {frame}, files of other AUs of {source.name} have")
        return labels

    def add_extras(self, session: Session, source: Source, frames: list[int]) -> None:
        """Landmarks, NaN where a frame's file is missing or unreadable. MATLAB's pixels start at (1, 1)."""
        folder = source.files.get("landmarks")
        if folder is None:
            return
        session.landmarks, unreadable = np.full((len(frames), 49, 2), np.nan), []
        for row, frame in enumerate(frames):
            for name in (f"{source.subject}_{frame - 1:04d}_lm.mat", f"l0{frame:04d}_lm.mat"):
                if (path := folder / name).is_file():
                    try:
                        session.landmarks[row] = read_points(path) - 1
                    except (ValueError, OSError):
                        unreadable.append(name)
                    break
        if unreadable:
            session.notes.append(
                f"landmark files that cannot be read: {len(unreadable)}, such as {unreadable[0]}"
            )


class DISFAPlus(Converter):
    """One session per trial; an AU whose file leaves a frame out is unknown there."""

    expected = Expected(
        subjects=9,
        frames=57_150,
        slack=0.05,
        aus=AUS,
        sources="subjects and frames: py-feat's loader and benchmark table; no base rates are known to us",
    )
    files = {
        "labels": rf"{SUBJECT}/(?P<session>[^/]+)/AU(?P<au>\d+)\.txt",
        "pictures": rf"{SUBJECT}/(?P<session>[^/]+)/",
    }
    example = "Labels/SN001/<trial>/AU1.txt"
    fixed_offset = True
    frame_name = "{:03d}"

    def read_labels(self, source: Source) -> pd.DataFrame:
        return intensities(source.of_kind("labels"), SPACES)
