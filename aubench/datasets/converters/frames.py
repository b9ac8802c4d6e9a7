"""One session of a raw set -> pictures in place and rows for the manifest, or why a frame cannot be used.

Runs in worker processes, so it imports no torch.
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aubench.datasets.converters import CONVERTERS, finished_sessions
from aubench.datasets.converters.raw_session import Session, Source
from aubench.datasets.converters.videos import read_frames
from aubench.datasets.face_finding import GivenFace, UnusablePicture, face_on, read_upright
from aubench.datasets.picture_files import printable
from aulib.files import atomic_file
from aulib.images import too_dark_or_bright

CODE_VERSION = 7  # raise it when a session's outcome would change; earlier conversions are then redone
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
    """Where the rows of a source are, or why it is skipped as a whole.

    Attributes:
        frames: label rows of a skipped source, None if they cannot be counted.
    """

    name: str
    rows: Path | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    frames: int | None = None


@dataclass
class Frame:
    """One row: `image` below the dataset folder and (K, 2) landmarks, or the reason why it cannot be used.

    `note`: that it has several faces, or is nearly black or white.
    """

    image: str = ""
    source: str = ""
    reason: str = ""
    landmarks: np.ndarray | None = None
    note: str = ""


def convert_session(task: Task) -> Outcome:
    """Convert one source, unless an earlier call did; only a failure to write is raised.

    The rows go to OUT/.convert/<name>-<key>.parquet, with a column `reason` that is empty for usable frames;
    the key covers the label files, so that changed labels are read again. See `finished_sessions.py`.
    """
    path = task.out / ".convert" / f"{_safe(task.source.name)}-{_key(task)}.parquet"
    before = finished_sessions.read_converted(path, task.source, task.out)
    if before is not None and before.complete:
        return Outcome(task.source.name, path, before.notes)
    try:
        session = CONVERTERS[task.converter].read(task.source)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # damaged files raise many kinds
        return _skipped(task, _one_line(error))
    frames = _convert(session, task, before)
    rows = _rows(session, task, frames)
    noted = rows[rows["note"] != ""].groupby("note")["image"]
    odd = [f"{note}: {len(images)} pictures, such as {images.iloc[0]}" for note, images in noted]
    notes = (*task.source.notes, *session.notes, *odd)
    finished_sessions.write_converted(path, task.source, session, rows, notes)
    return Outcome(task.source.name, path, notes)


def crashed(task: Task) -> Outcome:
    return _skipped(task, "the process that read it died (a crash or out of memory)")


def _skipped(task: Task, reason: str) -> Outcome:
    num_rows = CONVERTERS[task.converter].num_label_rows(task.source)
    return Outcome(task.source.name, reason=reason, frames=num_rows)


def _convert(session: Session, task: Task, before: finished_sessions.ConvertedSession | None) -> list[Frame]:
    """The session's frames, in order."""
    coded = session.labels.notna().any(axis=1).to_numpy()
    detected = before.detected(session) if before is not None and task.landmarks == "detect" else {}
    frames, waiting = [Frame() for _ in session.frames], {}
    for row, (frame, picture) in enumerate(zip(frames, session.pictures, strict=True)):
        if task.landmarks == "set" and session.landmarks is not None:
            given = session.landmarks[row]
            frame.landmarks = given if np.isfinite(given).all() else None
        if not coded[row]:
            frame.reason = "not coded: every AU is unknown"
        elif row in session.faults:
            frame.reason = session.faults[row]
        elif row in detected:
            frames[row] = Frame(*detected[row])
        elif task.landmarks == "set" and frame.landmarks is None:
            frame.reason = "no landmarks in the set for it (landmarks by detector: --landmarks detect)"
        elif picture is not None:
            frame.source = session.origin(row)
            frame.image = _image_name(task, session.frames[row], picture.suffix.lower())
            _take_picture(frame, picture, task)
        elif session.video is not None:
            frame.source = session.origin(row)
            frame.image = _image_name(task, session.frames[row], VIDEO_SUFFIX)
            waiting[session.video_frames[row]] = frame
        else:
            frame.reason = "no picture of it in the raw tree"
    if waiting:
        _take_video(waiting, session.video, task)
    return frames


def _take_picture(frame: Frame, picture: Path, task: Task) -> None:
    """Look at a picture and link it, or note why not."""
    try:
        pixels, size, _ = read_upright(picture, None if task.landmarks == "detect" else GLANCE)
    except UnusablePicture as error:
        frame.reason = str(error)
        return
    _find_landmarks(frame, pixels, size, task)
    if not frame.reason:
        link_picture(picture, task.out / frame.image, task.keep)


def _take_video(waiting: dict[int, Frame], video: Path, task: Task) -> None:
    """Store the frames waiting for each index of the video as JPEG, or note why not."""
    try:
        for index, picture in read_frames(video, waiting):
            frame = waiting.pop(index)
            _find_landmarks(frame, picture, picture.size, task)
            if not frame.reason:
                with atomic_file(task.out / frame.image) as partial:
                    picture.save(partial, format="JPEG", quality=95, subsampling=0)
        reason = f"{video.name} ends before this frame"
    except ValueError as error:
        reason = f"unreadable: {_one_line(error)}".replace(str(video), video.name)
    for frame in waiting.values():
        frame.reason = reason


def _find_landmarks(frame: Frame, picture: Image.Image, full_size: tuple[int, int], task: Task) -> None:
    """Detect landmarks if wanted, look at those of the set, and note what is odd."""
    if task.landmarks == "none":
        frame.note = too_dark_or_bright(picture)
        return
    given = GivenFace(frame.landmarks) if task.landmarks == "set" else None
    try:
        landmarks, frame.note = face_on(picture, full_size, given)
        frame.landmarks = frame.landmarks if given else landmarks
    except UnusablePicture as error:
        frame.reason = str(error)


def _rows(session: Session, task: Task, frames: list[Frame]) -> pd.DataFrame:
    """The frames as a table; unusable ones have a reason and no landmarks."""
    num = len(frames)
    table = {
        "image": [frame.image for frame in frames],
        "subject": session.subjects or [task.source.subject] * num,
        "split": session.splits or [task.source.split] * num,
        "frame": [f"{task.source.name}/{name}" for name in session.frames],
        "source": [frame.source for frame in frames],
        "reason": [frame.reason for frame in frames],
        "note": [frame.note for frame in frames],
    }
    table |= {name: session.labels[name].to_numpy(np.float32) for name in session.labels}
    faces = [None if frame.reason else frame.landmarks for frame in frames]
    found = [row for row, face in enumerate(faces) if face is not None]
    if found:
        points = np.full((num, *faces[found[0]].shape), np.nan, dtype=np.float32)
        points[found] = [faces[row] for row in found]
        for axis, letter in enumerate("xy"):
            table |= {f"{letter}_{k}": points[:, k, axis] for k in range(points.shape[1])}
    return pd.DataFrame(table)


def _image_name(task: Task, frame: str, suffix: str) -> str:
    return f"images/{'/'.join(map(_safe, task.source.name.split('/')))}/{_safe(frame)}{suffix}"


def _safe(text: str) -> str:
    """A name for a file: no separators, no control characters, no way out of the folder."""
    return re.sub(r"[/\\:]", "_", printable(text)).strip().lstrip(".") or "_"


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
    with atomic_file(path) as partial:
        shutil.copyfile(picture, partial)


def _key(task: Task) -> str:
    """Hash of what determines the labels: the files with size and time, or the labels read already; and of
    the settings."""
    source = task.source
    if source.session is None:
        labels = [
            [kind, str(path), *finished_sessions.stamp(path)]
            for kind, path in sorted(source.files.items())
            if not path.is_dir()
        ]
    else:
        session = source.session
        table = session.labels.assign(frame=session.frames, split=session.splits)
        labels = hashlib.sha256(table.to_csv().encode()).hexdigest()
    shaped_by = [CODE_VERSION, task.converter, task.keep, task.landmarks, source.split, labels]
    return hashlib.blake2b(json.dumps(shaped_by).encode(), digest_size=8).hexdigest()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
