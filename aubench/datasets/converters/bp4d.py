"""BP4D: 41 people, tasks T1-T8, AU occurrence by frame.

Tree: `AUCoding/AU_OCC/F001_T1.csv`, header row of AU numbers, column 0 the frame, 9 = not coded [ME-GraphAU,
FMAE-IAT, OpenGraphAU]; `AUCoding/AU_INT/AU06/F001_T1_AU06.csv`, frame and intensity [rPPG-Toolbox's tree,
OpenFace's scripts]; pictures `F001/T1/2440.jpg`, padded or not; landmarks `2DFeatures/F001_T1.mat` (49
points).
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.label_tables import (
    coded_table,
    frame_values,
    intensity_frame,
    occurrence_frame,
)
from aubench.datasets.converters.mat_files import read_tracks
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, match_pictures, single_folder

AUS = ("AU01", "AU02", "AU04", "AU06", "AU07", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
UNKNOWN = (9,)
PICTURE_OFFSET = 0  # picture number = coded frame + this [ME-GraphAU, JAA-Net]
TRACK_OFFSET = 0  # picture number = tracked frame + this, unless the tree says otherwise
_FRAMES_OF = (  # coded frames, counted in ME-GraphAU's lists
    "F001 3934 F002 3937 F003 3700 F004 3737 F005 3915 F006 3576 F007 3573 F008 3695 F009 3297 "
    "F010 3266 F011 3732 F012 3543 F013 3434 F014 3490 F015 3451 F016 3510 F017 3823 F018 3525 "
    "F019 3489 F020 3646 F021 3447 F022 3593 F023 3726 M001 4153 M002 3833 M003 3379 M004 3521 "
    "M005 3271 M006 3572 M007 3684 M008 3291 M009 3290 M010 3298 M011 3469 M012 3609 M013 3613 "
    "M014 3483 M015 3664 M016 3648 M017 3542 M018 3488"
).split()
EXPECTED = Expected(
    subjects=41,
    sessions=328,
    frames=146_847,
    frames_of=dict(zip(_FRAMES_OF[::2], map(int, _FRAMES_OF[1::2]), strict=True)),
    aus=AUS,
    rates={
        "AU01": 0.211, "AU02": 0.170, "AU04": 0.203, "AU06": 0.461,
        "AU07": 0.549, "AU10": 0.594, "AU12": 0.562, "AU14": 0.466,
        "AU15": 0.169, "AU17": 0.344, "AU23": 0.165, "AU24": 0.151,
    },
    sources="subjects, sessions, frames: ME-GraphAU's lists; base rates: counted in FG-Net's test.csv of "
    "three folds (146,423 frames)",
)  # fmt: skip


def find(raw: Tree) -> list[Source]:
    """One source a label file.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
        ValueError: a session has pictures in two folders (raw ones and aligned ones, say).
    """
    return find_sessions(raw, r"([FM]\d{3})_(T\d{1,2})\.csv")


def find_sessions(raw: Tree, pattern: str) -> list[Source]:
    labels = raw.files("au_?occ", name=pattern) or raw.files("aucoding", name=pattern)
    if not labels:
        archives = raw.everywhere(r"[FM]\d{3}\.zip|.*AU.*\.(zip|rar|7z)")
        hint = f"; unpack {archives[0].name} and its like first" if archives else ""
        raw.refuse("AUCoding/AU_OCC/F001_T1.csv", hint)
    tracks = {path.stem.upper(): path for path in raw.files("2dfeatures", name=r"\w+\.mat")}
    intensities: dict[str, dict[str, Path]] = {}
    for path in raw.files("au_?int", r"au\d+", name=r"\w+_AU\d+\.csv"):
        session, number = re.fullmatch(r"(\w+)_AU(\d+)", path.stem, re.IGNORECASE).groups()
        intensities.setdefault(session.upper(), {})[f"intensity {int(number)}"] = path
    sources = []
    for path in labels:
        subject, task = (part.upper() for part in re.fullmatch(pattern, path.name, re.IGNORECASE).groups())
        short = f"{subject[0]}{int(subject[1:]):02d}"  # 2F01_T5.avi [FMAE-IAT]
        pictures = single_folder(raw.with_pictures(raw.find(subject, task)), f"{subject}/{task}")
        files = {
            "labels": path,
            "pictures": pictures,
            "video": None if pictures else raw.video(rf"({subject}|2?{short})_{task}"),
            "landmarks": tracks.get(f"{subject}_{task}"),
        }
        files |= intensities.get(f"{subject}_{task}", {})
        sources.append(Source(f"{subject}/{task}", subject, files))
    return sources


def read(source: Source) -> Session:
    """Labels, pictures and landmarks of one session; see `coded_table` and `read_tracks` for what is
    refused."""
    return read_session(source, PICTURE_OFFSET, TRACK_OFFSET)


def read_session(source: Source, picture_offset: int, track_offset: int) -> Session:
    path = source.files["labels"]
    frames, values = coded_table(path)
    labels = pd.concat([occurrence_frame(values, UNKNOWN, path), *_intensities(source, frames)], axis=1)
    matched = match_pictures(source.files["pictures"], frames, picture_offset)
    notes = matched.notes
    landmarks = None
    if source.files["landmarks"]:
        tracks = read_tracks(source.files["landmarks"])
        if matched.by_number:
            track_offset, note = _track_offset(list(tracks), list(matched.by_number), track_offset)
            notes = notes + [note] if note else notes
        landmarks = np.full((len(frames), 49, 2), np.nan)
        for row, frame in enumerate(frames):
            face = tracks.get(frame + matched.offset - track_offset)
            landmarks[row] = np.nan if face is None else face - 1  # MATLAB's pixels start at 1 [JAA-Net]
    return Session(
        frames=[str(frame) for frame in frames],
        pictures=matched.pictures,
        labels=labels,
        landmarks=landmarks,
        video=source.files["video"],
        video_frames=[frame + matched.offset for frame in frames],
        faults=matched.faults,
        notes=notes,
    )


def _track_offset(tracked: list[int], pictures: list[int], usual: int) -> tuple[int, str]:
    """The offset from tracked frames to pictures: where both start and end together, else `usual`."""
    shift = {min(pictures) - min(tracked), max(pictures) - max(tracked)} if tracked else set()
    if len(shift) == 1 and (offset := shift.pop()) in (-1, 0, 1) and offset != usual:
        return offset, f"landmarks of frame n belong to picture n{offset:+d} here"
    return usual, ""


def _intensities(source: Source, frames: list[int]) -> list[pd.DataFrame]:
    """AU_INT files as columns over the same frames; 9 is unknown, as is a frame they do not list."""
    tables = []
    for key, path in source.files.items():
        if key.startswith("intensity "):
            listed = frame_values(path, ",", header=True)
            values = [listed.get(frame, UNKNOWN[0]) for frame in frames]
            tables.append(intensity_frame({int(key.split()[1]): values}, UNKNOWN, path))
    return tables
