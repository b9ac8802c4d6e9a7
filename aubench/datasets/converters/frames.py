"""One session of a raw set -> pictures in place and rows for the manifest, or for each frame the reason why
not.

Runs in worker processes, so it imports no torch.
"""

import hashlib
import importlib
import json
import os
import re
import shutil
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aubench.datasets.converters import resume
from aubench.datasets.converters.label_tables import count_label_rows
from aubench.datasets.converters.raw_session import Session, Source
from aubench.datasets.converters.videos import read_frames
from aubench.datasets.landmark_detector import detect_landmarks
from aulib.images import decode, open_picture, upright_size
from aulib.landmarks import refuse_outside

CODE_VERSION = 3  # raise it when a session's outcome would change; what was converted before is then redone
GLANCE = 200  # pixels; a picture is decoded at this size to see that it can be
VIDEO_SUFFIX = ".jpg"


@dataclass(frozen=True)
class Task:
    """One source to convert; `keep` is link or copy, `landmarks` set, detect or none."""

    converter: str
    source: Source
    out: Path
    keep: str
    landmarks: str


@dataclass(frozen=True)
class Outcome:
    """What became of a source: where its rows lie, or why it is skipped as a whole.

    Attributes:
        frames: label rows of a skipped source, None if they cannot be counted.
    """

    name: str
    rows: Path | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    frames: int | None = None


def convert_session(task: Task) -> Outcome:
    """Convert one source unless that was done before; only a failure to write is raised.

    The rows go to OUT/.convert/<name>-<key>.parquet, with a column `reason` that is empty for frames of use;
    the key covers the label files, so that changed labels are read again. What was converted before is taken
    as `resume.py` says.
    """
    path = task.out / ".convert" / f"{_safe(task.source.name)}-{_key(task)}.parquet"
    before = resume.read_converted(path, task.source, task.out)
    if before is not None and before.whole:
        return Outcome(task.source.name, path, before.notes)
    try:
        session = importlib.import_module(f"aubench.datasets.converters.{task.converter}").read(task.source)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # whatever a damaged file makes a parser raise
        return Outcome(task.source.name, reason=_one_line(error), frames=count_label_rows(task.source))
    table = _convert(session, task, before)
    notes = (*task.source.notes, *session.notes)
    resume.write_converted(path, task.source, session, table, notes)
    return Outcome(task.source.name, path, notes)


def _convert(session: Session, task: Task, before: resume.ConvertedSession | None = None) -> pd.DataFrame:
    num = len(session.frames)
    reasons, images, sources = [""] * num, [""] * num, [""] * num
    points: list[np.ndarray | None] = [None] * num
    coded = (
        session.labels.notna().any(axis=1).to_numpy() if len(session.labels.columns) else np.zeros(num, bool)
    )
    waiting: dict[int, list[int]] = {}  # video frame -> rows
    wants_set = task.landmarks == "set"
    found = before.detected(session) if before is not None and task.landmarks == "detect" else {}
    for row, picture in enumerate(session.pictures):
        given = _given(session, row) if wants_set else None
        if not coded[row]:
            reasons[row] = "not coded: every AU is unknown"
        elif row in session.faults:
            reasons[row] = session.faults[row]
        elif row in found:
            images[row], sources[row], points[row] = found[row]
        elif wants_set and given is None:
            reasons[row] = "no landmarks in the set for it (landmarks by detector: --landmarks detect)"
        elif picture is not None:
            sources[row] = str(picture)
            name = _image_name(task, session.frames[row], picture.suffix.lower())
            reasons[row], points[row] = _take_picture(picture, task, name, given)
            images[row] = name
        elif session.video is not None and session.video_frames is not None:
            waiting.setdefault(session.video_frames[row], []).append(row)
            sources[row] = f"{session.video}#{session.video_frames[row]}"
        else:
            reasons[row] = "no picture of it in the raw tree"
    if waiting:
        _take_video(session, task, waiting, wants_set, reasons, images, points)
    return _rows(session, task, reasons, images, sources, points)


def _given(session: Session, row: int) -> np.ndarray | None:
    """The set's landmarks of a frame, None if it has none."""
    if session.landmarks is None or not np.isfinite(session.landmarks[row]).all():
        return None
    return session.landmarks[row]


def _take_picture(picture: Path, task: Task, name: str, given) -> tuple[str, np.ndarray | None]:
    """("", landmarks), or (why not, None)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata
            detects = task.landmarks == "detect"
            with open_picture(picture) as opened:
                size = upright_size(opened)
                pixels = decode(opened, at_most=None if detects else GLANCE)
    except Exception as error:  # whatever a broken file makes a decoder raise
        return f"unreadable: {_one_line(error)}".replace(str(picture), picture.name), None
    reason, points = _points(np.asarray(pixels) if detects else None, size, given)
    if not reason:
        link_picture(picture, task.out / name, task.keep)
    return reason, points


def _points(pixels, size, given) -> tuple[str, np.ndarray | None]:
    points = given
    if pixels is not None:
        points, _ = detect_landmarks(pixels)
        if points is None:
            return "no face found", None
    if points is not None:
        try:
            refuse_outside(points, size)
        except ValueError as error:
            return str(error), None
    return "", points


def _take_video(session: Session, task: Task, waiting, wants_set, reasons, images, points) -> None:
    """Store the wanted frames of the video as JPEG and fill in what became of each."""
    name = session.video.name
    try:
        for index, picture in read_frames(session.video, waiting):
            for row in waiting.pop(index):
                given = _given(session, row) if wants_set else None
                detects = task.landmarks == "detect"
                reason, found = _points(np.asarray(picture) if detects else None, picture.size, given)
                reasons[row], points[row] = reason, found
                if not reason:
                    images[row] = _image_name(task, session.frames[row], VIDEO_SUFFIX)
                    _save(picture, task.out / images[row])
        why = f"{name} ends before this frame"
    except ValueError as error:
        why = f"unreadable: {_one_line(error)}".replace(str(session.video), name)
    for rows in waiting.values():
        for row in rows:
            reasons[row] = why


def _rows(session: Session, task: Task, reasons, images, sources, points) -> pd.DataFrame:
    num = len(session.frames)
    table = {
        "image": images,
        "subject": session.subjects or [task.source.subject] * num,
        "split": session.splits or [task.source.split] * num,
        "frame": [f"{task.source.name}/{frame}" for frame in session.frames],
        "source": sources,
        "reason": reasons,
    }
    table |= {name: session.labels[name].to_numpy(np.float32) for name in session.labels.columns}
    found = [face for face in points if face is not None]
    if found:
        faces = np.full((num, *found[0].shape), np.nan, dtype=np.float32)
        for row, face in enumerate(points):
            if face is not None:
                faces[row] = face
        for axis, letter in enumerate("xy"):
            table |= {f"{letter}_{k}": faces[:, k, axis] for k in range(faces.shape[1])}
    return pd.DataFrame(table)


def _image_name(task: Task, frame: str, suffix: str) -> str:
    return f"images/{'/'.join(_safe(part) for part in task.source.name.split('/'))}/{_safe(frame)}{suffix}"


def _safe(text: str) -> str:
    """A name for a file: no separators, no control characters, no way out of the folder."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f/\\:]", "_", text).strip().lstrip(".") or "_"


def link_picture(picture: Path, path: Path, keep: str) -> None:
    """Link or copy a picture in one step; a file system without links gets a copy."""
    if path.is_symlink() or path.exists():
        if path.exists() and os.path.samefile(path, picture):
            return
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    if keep == "link":
        try:
            path.symlink_to(picture.resolve())
            return
        except OSError:
            pass
    partial = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    shutil.copyfile(picture, partial)
    os.replace(partial, path)


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    picture.save(partial, format="JPEG", quality=95, subsampling=0)
    os.replace(partial, path)


def _key(task: Task) -> str:
    """Hash of what shapes the labels and the rest: the files and their stamps, the rows, the settings."""
    stamps = [
        [name, str(path), *resume.stamp(path)]
        for name, path in sorted(task.source.files.items())
        if path is not None and not path.is_dir()
    ]
    shaped_by = [
        CODE_VERSION,
        task.converter,
        task.keep,
        task.landmarks,
        task.source.rows,
        task.source.split,
        stamps,
    ]
    return hashlib.blake2b(json.dumps(shaped_by).encode(), digest_size=8).hexdigest()


def crashed(task: Task) -> Outcome:
    reason = "the process that read it died (a crash or out of memory)"
    return Outcome(task.source.name, reason=reason, frames=count_label_rows(task.source))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
