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

from aubench.datasets.converters.label_tables import frame_values, intensity_frame
from aubench.datasets.converters.mat_files import read_points
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, match_pictures, single_folder

AUS = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU09", "AU12", "AU15", "AU17", "AU20", "AU25", "AU26")
PEOPLE = [n for n in range(1, 33) if n not in (14, 15, 19, 20, 22)]
FRAMES = 4_845  # of each person
EXPECTED = Expected(
    subjects=27,
    sessions=27,
    frames=130_815,
    frames_of={f"SN{number:03d}": FRAMES for number in PEOPLE},
    aus=AUS,
    rates={
        "AU01": 0.050, "AU02": 0.040, "AU04": 0.150, "AU06": 0.079,
        "AU09": 0.042, "AU12": 0.129, "AU25": 0.278, "AU26": 0.089,
    },
    sources="subjects: all lists; frames: 27 videos of 4,845 (lists have 126,144 to 130,814); base rates at "
    "intensity >= 2: counted in FG-Net's test.csv of three folds (130,311 frames, 8 of the 12 AUs)",
)  # fmt: skip


def find(raw: Tree) -> list[Source]:
    """One source a person.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    pattern = r"(SN\d{3})_au(\d+)\.txt"
    labels: dict[str, dict[str, Path]] = {}
    for path in raw.label_files(pattern, "ActionUnit_Labels/SN001/SN001_au1.txt"):
        subject, au = re.fullmatch(pattern, path.name, re.IGNORECASE).groups()
        labels.setdefault(subject.upper(), {})[f"au {int(au)}"] = path
    return [
        Source(subject, subject, files | _views(raw, subject)) for subject, files in sorted(labels.items())
    ]


def _views(raw: Tree, subject: str) -> dict[str, Path | None]:
    """Pictures, else the left camera's video (what most use), else the right one's; and the landmarks."""
    named = raw.find(rf"(.*left.*)?{subject}(_comp)?(\.avi)?") + raw.find(subject, ".*")
    views = raw.with_pictures(list(dict.fromkeys(named)))
    left = [view for view in views if "right" not in str(view.relative_to(raw.root)).lower()]
    points = [
        folder
        for folder in raw.find(subject, "tmp_frame_lm") + raw.find(subject)
        if any(name.endswith("_lm.mat") for name in raw.names_in(folder))
    ]
    return {
        "pictures": single_folder(left or views, subject),
        "video": raw.video(rf"leftvideo{subject}_comp", rf"rightvideo{subject}_comp"),
        "landmarks": next(iter(points), None),
    }


def read(source: Source) -> Session:
    """Intensities of all AUs over one list of frames; an unreadable landmark file loses its frame only.

    Raises:
        ValueError: a label file is damaged, or AUs are coded over different frames.
    """
    columns, frames, first = {}, None, None
    for key, path in source.files.items():
        if not key.startswith("au "):
            continue
        listed = frame_values(path, ",", exactly=True)
        if frames is None:
            frames, first = list(listed), path
        elif list(listed) != frames:
            raise ValueError(_difference(path, list(listed), first, frames))
        columns[int(key.split()[1])] = list(listed.values())
    labels = intensity_frame(columns, (), first)
    matched = match_pictures(source.files["pictures"], frames, 0, no_pictures=-1)
    landmarks, unreadable = _landmarks(source.files["landmarks"], source.subject, frames)
    notes = matched.notes
    if unreadable:
        many = f"{len(unreadable)} landmark file{'s' if len(unreadable) > 1 else ''}"
        notes = notes + [f"{many} unreadable: {unreadable[0].name}{', ...' if len(unreadable) > 1 else ''}"]
    return Session(
        frames=[str(frame) for frame in frames],
        pictures=matched.pictures,
        labels=labels,
        landmarks=landmarks,
        video=None if matched.by_number else source.files["video"],
        video_frames=[frame - 1 for frame in frames],
        faults=matched.faults,
        watched=unreadable,
        notes=notes,
    )


def _difference(path: Path, found: list[int], first: Path, expected: list[int]) -> str:
    """Where one AU's frames part from another's, in words."""
    row = next((n for n, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), None)
    if row is None:
        return f"{path} codes {len(found)} frames, {first.name} {len(expected)}; expected the same frames"
    out_of_order = " (the same frames in another order)" if sorted(found) == sorted(expected) else ""
    return (
        f"{path} data row {row + 1}: frame {found[row]}, expected {expected[row]} as in "
        f"{first.name}{out_of_order}"
    )


def _landmarks(folder: Path | None, subject: str, frames: list[int]) -> tuple[np.ndarray | None, list[Path]]:
    """(N, 49, 2), NaN where a frame's file is missing or unreadable, and the unreadable files.

    MATLAB's pixels start at (1, 1), ours at (0, 0).
    """
    unreadable: list[Path] = []
    if folder is None:
        return None, unreadable
    faces = np.full((len(frames), 49, 2), np.nan)
    for row, frame in enumerate(frames):
        for name in (f"{subject}_{frame - 1:04d}_lm.mat", f"l0{frame:04d}_lm.mat"):
            if (path := folder / name).is_file():
                try:
                    faces[row] = read_points(path) - 1
                except (ValueError, OSError):
                    unreadable.append(path)
                break
    return faces, unreadable
