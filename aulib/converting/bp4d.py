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

from aulib.converting.label_tables import (
    coded_table,
    intensity_frame,
    occurrence_frame,
    rows_of,
    whole_number,
)
from aulib.converting.mat_files import read_tracks
from aulib.converting.sessions import Expected, Session, Source
from aulib.converting.trees import VIDEOS, Tree, numbered_pictures, pictures_in, settle_offset

AUS = ("AU01", "AU02", "AU04", "AU06", "AU07", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
UNKNOWN = (9,)
PICTURE_OFFSET = 0  # picture number = coded frame + this [ME-GraphAU, JAA-Net]
TRACK_OFFSET = 0  # picture number = tracked frame + this, unless the tree says otherwise
EXPECTED = Expected(
    subjects=41,
    frames=146_847,
    aus=AUS,
    relative={
        "AU01": 0.376,
        "AU02": 0.304,
        "AU04": 0.361,
        "AU06": 0.820,
        "AU07": 0.977,
        "AU10": 1.058,
        "AU12": 1.0,
        "AU14": 0.829,
        "AU15": 0.302,
        "AU17": 0.611,
        "AU23": 0.294,
        "AU24": 0.270,
    },  # fmt: skip
    relative_to="AU12",
    sources="subjects, frames: ME-GraphAU's lists; relative base rates: its BP4D_weight_fold1-3.txt",
)


def find(raw: Tree) -> list[Source]:
    """One source a label file.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    return find_sessions(raw, r"([FM]\d{3})_(T\d{1,2})\.csv")


def find_sessions(raw: Tree, pattern: str) -> list[Source]:
    labels = raw.files("au_?occ", name=pattern) or raw.files("aucoding", name=pattern)
    if not labels:
        archives = raw.everywhere(r"[FM]\d{3}\.zip|.*AU.*\.(zip|rar|7z)")
        hint = f"; unpack {archives[0].name} and its like first" if archives else ""
        raise FileNotFoundError(
            f"{raw.root} has no AUCoding/AU_OCC/F001_T1.csv or its like, found {raw.top()}{hint}"
        )
    sources = []
    for path in labels:
        subject, task = (part.upper() for part in re.fullmatch(pattern, path.name, re.IGNORECASE).groups())
        short = f"{subject[0]}{int(subject[1:]):02d}"  # 2F01_T5.avi [FMAE-IAT]
        videos = (
            raw.everywhere(rf"({subject}|2?{short})_{task}\.\w+") if not _pictures(raw, subject, task) else []
        )
        files = {
            "labels": path,
            "pictures": _pictures(raw, subject, task),
            "video": next((video for video in videos if video.suffix.lower() in VIDEOS), None),
            "landmarks": next(iter(raw.files("2dfeatures", name=rf"{subject}_{task}\.mat")), None),
        }
        for intensity in raw.files("au_?int", r"au\d+", name=rf"{subject}_{task}_AU\d+\.csv"):
            number = int(re.search(r"AU(\d+)$", intensity.stem, re.IGNORECASE)[1])
            files[f"intensity {number}"] = intensity
        sources.append(Source(f"{subject}/{task}", subject, files))
    return sources


def _pictures(raw: Tree, subject: str, task: str) -> Path | None:
    return next((folder for folder in raw.find(subject, task) if pictures_in(folder)), None)


def read(source: Source) -> Session:
    """Labels, pictures and landmarks of one session; see `coded_table` and `read_tracks` for what is
    refused."""
    return read_session(source, PICTURE_OFFSET, TRACK_OFFSET)


def read_session(source: Source, picture_offset: int, track_offset: int) -> Session:
    path = source.files["labels"]
    frames, values = coded_table(path)
    labels = pd.concat([occurrence_frame(values, UNKNOWN, path), *_intensities(source, frames)], axis=1)
    there = numbered_pictures(source.files["pictures"]) if source.files["pictures"] else {}
    notes = []
    if there:
        picture_offset, note = settle_offset(frames, list(there), picture_offset)
        notes += [note] if note else []
    landmarks = None
    if source.files["landmarks"]:
        tracks = read_tracks(source.files["landmarks"])
        if there:
            track_offset, note = _settle_tracks(list(tracks), list(there), track_offset)
            notes += [note] if note else []
        landmarks = np.full((len(frames), 49, 2), np.nan)
        for row, frame in enumerate(frames):
            face = tracks.get(frame + picture_offset - track_offset)
            landmarks[row] = np.nan if face is None else face - 1  # MATLAB's pixels start at 1 [JAA-Net]
    return Session(
        frames=[str(frame) for frame in frames],
        pictures=[there.get(frame + picture_offset) for frame in frames],
        labels=labels,
        landmarks=landmarks,
        video=source.files["video"],
        video_frames=[frame + picture_offset for frame in frames],
        notes=notes,
    )


def _settle_tracks(tracked: list[int], pictures: list[int], usual: int) -> tuple[int, str]:
    """The offset from tracked frames to pictures: where both start and end together, else `usual`."""
    shift = {min(pictures) - min(tracked), max(pictures) - max(tracked)} if tracked else set()
    if len(shift) == 1 and (offset := shift.pop()) in (-1, 0, 1) and offset != usual:
        return offset, f"landmarks of frame n belong to picture n{offset:+d} here"
    return usual, ""


def _intensities(source: Source, frames: list[int]) -> list[pd.DataFrame]:
    """AU_INT files as columns over the same frames; 9 is unknown, as is a frame they do not list."""
    tables = []
    for key, path in source.files.items():
        if not key.startswith("intensity "):
            continue
        rows = rows_of(path, ",")
        if not rows[0][1][0].lstrip("-").isdigit():  # a header
            rows = rows[1:]
        listed = {}
        for line, cells in rows:
            if len(cells) < 2:
                raise ValueError(f"{path} line {line}: {len(cells)} cells, expected frame and intensity")
            listed[whole_number(cells[0], path, line, "the frame")] = whole_number(
                cells[1], path, line, "intensity"
            )
        values = [listed.get(frame, UNKNOWN[0]) for frame in frames]
        tables.append(intensity_frame({int(key.split()[1]): values}, UNKNOWN, path))
    return tables
