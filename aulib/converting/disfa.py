"""DISFA: 27 people, one video each of 4,845 frames, intensities 0-5 of twelve AUs.

Tree: `ActionUnit_Labels/SN001/SN001_au1.txt`, lines `frame,intensity`, frames from 1, a file an AU
[ME-GraphAU, OpenFace]; `Videos_LeftCamera/LeftVideoSN001_comp.avi`, upper or lower case varying, or pictures
extracted from it as `SN001/0.png` (from 0), `SN001/00001.jpg` (from 1) or
`.../LeftVideoSN001_comp_00000001.jpg` [JAA-Net, FG-Net, AU-Net]; landmarks of 66 points,
`Landmark_Points/SN001/tmp_frame_lm/SN001_0000_lm.mat` (from 0) or `l00001_lm.mat` (from 1), variable `pts`
[public readers of the set].
"""

import re
from pathlib import Path

import numpy as np

from aulib.converting.label_tables import intensity_frame, refuse_doubled, rows_of, whole_number
from aulib.converting.mat_files import read_points, to_49_points
from aulib.converting.sessions import Expected, Session, Source
from aulib.converting.trees import VIDEOS, Tree, numbered_pictures, pictures_in, settle_offset

AUS = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU09", "AU12", "AU15", "AU17", "AU20", "AU25", "AU26")
EXPECTED = Expected(
    subjects=27,
    frames=130_815,
    aus=AUS,
    relative={
        "AU01": 0.387,
        "AU02": 0.333,
        "AU04": 1.182,
        "AU06": 0.611,
        "AU09": 0.324,
        "AU12": 1.0,
        "AU25": 2.156,
        "AU26": 0.692,
    },  # fmt: skip
    relative_to="AU12",
    sources=(
        "subjects: all lists; frames: 27 videos of 4,845 (lists have 126,144 to 130,814); relative base "
        "rates "
        "at intensity >= 2: ME-GraphAU's DISFA_weight_fold1-3.txt"
    ),
)


def find(raw: Tree) -> list[Source]:
    """One source a person.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    pattern = r"(SN\d{3})_au(\d+)\.txt"
    labels: dict[str, dict[str, Path]] = {}
    for path in raw.everywhere(pattern):
        subject, au = re.fullmatch(pattern, path.name, re.IGNORECASE).groups()
        labels.setdefault(subject.upper(), {})[f"au {int(au)}"] = path
    if not labels:
        raise FileNotFoundError(
            f"{raw.root} has no ActionUnit_Labels/SN001/SN001_au1.txt or its like, found {raw.top()}"
        )
    return [
        Source(subject, subject, files | _views(raw, subject)) for subject, files in sorted(labels.items())
    ]


def _views(raw: Tree, subject: str) -> dict[str, Path | None]:
    """Pictures, else the left camera's video (what most use), else the right one's; and the landmarks."""
    named = [
        f
        for f in raw.find(rf"(.*left.*)?{subject}(_comp)?(\.avi)?") + raw.find(subject, ".*")
        if pictures_in(f)
    ]
    views = sorted(named, key=lambda folder: "right" in str(folder.relative_to(raw.root)).lower())
    videos = [
        video
        for side in ("left", "right")
        for video in raw.everywhere(rf"{side}video{subject}_comp\.\w+")
        if video.suffix.lower() in VIDEOS
    ]
    points = [folder for folder in raw.find(subject, "tmp_frame_lm") if any(folder.glob("*_lm.mat"))]
    points = points or [folder for folder in raw.find(subject) if any(folder.glob("*_lm.mat"))]
    return {
        "pictures": next(iter(views), None),
        "video": next(iter(videos), None),
        "landmarks": next(iter(points), None),
    }


def read(source: Source) -> Session:
    """Intensities of all AUs over one list of frames.

    Raises:
        ValueError: a file is damaged, or AUs are coded over different frames.
    """
    columns, frames = {}, None
    for key, path in source.files.items():
        if not key.startswith("au "):
            continue
        listed = _intensities(path)
        if frames is not None and list(listed) != frames:
            raise ValueError(
                f"{path} codes {len(listed)} frames ({min(listed)} to {max(listed)}), another AU of "
                f"{source.subject} "
                f"{len(frames)} ({min(frames)} to {max(frames)})"
            )
        frames = list(listed)
        columns[int(key.split()[1])] = list(listed.values())
    labels = intensity_frame(columns, (), source.files[next(iter(source.files))])
    there = numbered_pictures(source.files["pictures"]) if source.files["pictures"] else {}
    offset, note = settle_offset(frames, list(there), 0) if there else (-1, "")
    return Session(
        frames=[str(frame) for frame in frames],
        pictures=[there.get(frame + offset) for frame in frames],
        labels=labels,
        landmarks=_landmarks(source.files["landmarks"], source.subject, frames),
        video=None if there else source.files["video"],
        video_frames=[frame - 1 for frame in frames],
        notes=[note] if note else [],
    )


def _intensities(path: Path) -> dict[int, int]:
    frames, values = [], []
    for line, cells in rows_of(path, ","):
        if len(cells) != 2:
            raise ValueError(f"{path} line {line}: {len(cells)} cells, expected frame,intensity")
        frames.append(whole_number(cells[0], path, line, "the frame"))
        values.append(whole_number(cells[1], path, line, "the intensity"))
    refuse_doubled(frames, path)
    return dict(zip(frames, values, strict=True))


def _landmarks(folder: Path | None, subject: str, frames: list[int]) -> np.ndarray | None:
    """(N, 49, 2), NaN where a frame's file is missing; pixels from (1, 1) as MATLAB's are, made to start at
    0."""
    if folder is None:
        return None
    faces = np.full((len(frames), 49, 2), np.nan)
    for row, frame in enumerate(frames):
        for name in (f"{subject}_{frame - 1:04d}_lm.mat", f"l0{frame:04d}_lm.mat"):
            if (path := folder / name).is_file():
                faces[row] = to_49_points(read_points(path), path) - 1
                break
    return faces
