"""One session of a raw set -> pictures in place and rows for the manifest, or why a frame cannot be used.

Runs in worker processes, so it imports no torch.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.raw_session import Session, Source
from aubench.datasets.face_finding import (
    CODE_VERSION,
    GivenFace,
    StoredPicture,
    UnusablePicture,
    face_on,
    read_upright,
    unused,
)
from aubench.datasets.kept_outcomes import kept_outcomes, stamp
from aubench.datasets.landmark_detector import landmarks_by
from aubench.datasets.picture_files import printable
from aubench.datasets.videos import read_frames
from aulib.files import remembered_file
from aulib.images import too_dark_or_bright
from aulib.landmarks import point_columns
from aulib.manifest import why_tiny

MARK = ".convert"  # folder of what is kept of each session
GLANCE = 200  # pixels; a picture is decoded at this size to see that it can be


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
    """The rows of a source, or why it is skipped as a whole.

    Attributes:
        frames: label rows of a skipped source, None if they cannot be counted.
    """

    name: str
    rows: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""
    frames: int | None = None


def convert_session(task: Task) -> Outcome:
    """Convert one source; only a failure to write is raised. Its labels are read each time, a picture only if
    it is new or has changed.

    The rows have a column `reason` that is empty for usable frames.
    """
    try:
        session = CONVERTERS[task.converter].read(task.source)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # damaged files raise many kinds
        return skipped(task, _one_line(error))
    rows = _rows(session, task, _convert(session, task))
    noted = rows[rows["note"] != ""].groupby("note")["image"]
    odd = [f"{note}: {len(images)} pictures, such as {images.iloc[0]}" for note, images in noted]
    return Outcome(task.source.name, rows, (*task.source.notes, *session.notes, *odd))


def skipped(task: Task, reason: str) -> Outcome:
    num_rows = CONVERTERS[task.converter].num_label_rows(task.source)
    return Outcome(task.source.name, reason=reason, frames=num_rows)


def _convert(session: Session, task: Task) -> list[StoredPicture]:
    """The session's frames, in order."""
    faces: list[GivenFace | None] = [None] * len(session.frames)
    settings = {"code_version": CODE_VERSION, "keep": task.keep, "landmarks": task.landmarks}
    if task.landmarks == "set" and session.landmarks is not None:
        faces = [GivenFace(face) if np.isfinite(face).all() else None for face in session.landmarks]
    elif task.landmarks != "none":
        settings["finder"] = landmarks_by()
    file = hashlib.blake2b(task.source.name.encode(), digest_size=8).hexdigest() + ".jsonl"
    folder = "/".join(map(_safe, f"images/{task.source.name}".split("/")))
    frames, waiting = [], {}
    with kept_outcomes(task.out / MARK / file, task.out, settings) as (before, keep):
        for row, reason in enumerate(_known_faults(session, faces, task)):
            picture, face = session.pictures[row], faces[row]
            if reason:
                frames.append(StoredPicture("", "", reason=reason))
                continue
            suffix = picture.suffix.lower() if picture else ".jpg"
            image = f"{folder}/{_safe(session.frames[row])}{suffix}"
            frame = StoredPicture(session.origin(row), stamp(picture or session.video, face), image)
            done = before.get(frame.source)
            if done and done.stamp == frame.stamp and done.image in ("", image):
                frame = done
            elif picture:
                frame = _take_picture(frame, picture, face, task)
                keep(frame)
            else:
                waiting[session.video_frames[row]] = row, frame, face
            frames.append(frame)
        for row, frame in _take_video(waiting, session.video, task) if waiting else ():
            frames[row] = frame
            keep(frame)
    return frames


def _known_faults(session: Session, faces: list[GivenFace | None], task: Task) -> Iterator[str]:
    """Why each frame cannot be used, as far as is known before its picture is opened; "" if it may be."""
    coded = session.labels.notna().any(axis=1).to_numpy()
    for row, face in enumerate(faces):
        if not coded[row]:
            yield "not coded: every AU is unknown"
        elif row in session.faults:
            yield session.faults[row]
        elif task.landmarks == "set" and face is None:
            yield "no landmarks in the set for it (landmarks by detector: --landmarks detect)"
        else:
            yield "" if session.origin(row) else "no picture of it in the raw tree"


def _take_picture(frame: StoredPicture, picture: Path, given: GivenFace | None, task: Task) -> StoredPicture:
    """Look at a picture and link it, or say why not."""
    try:
        pixels, size, *_ = read_upright(picture, None if task.landmarks == "detect" else GLANCE)
        frame = _with_face(frame, pixels, size, given, task)
    except UnusablePicture as error:
        return unused(frame, str(error))
    stored = task.out / frame.image
    if not (stored.exists() and os.path.samefile(stored, picture)):
        with remembered_file(task.out, frame.image) as partial:
            link_picture(picture, partial, task.keep)
    return frame


def _take_video(
    waiting: dict[int, tuple[int, StoredPicture, GivenFace | None]], video: Path, task: Task
) -> Iterator[tuple[int, StoredPicture]]:
    """Store the frames waiting for each index of the video as JPEG, or say why not; each with its row."""
    try:
        for index, picture in read_frames(video, waiting):
            row, frame, given = waiting.pop(index)
            try:
                frame = _with_face(frame, picture, picture.size, given, task)
                with remembered_file(task.out, frame.image) as partial:
                    picture.save(partial, format="JPEG", quality=95, subsampling=0)
            except UnusablePicture as error:
                frame = unused(frame, str(error))
            yield row, frame
        reason = f"{video.name} ends before this frame"
    except ValueError as error:
        reason = f"unreadable: {_one_line(error)}".replace(str(video), video.name)
    for row, frame, _ in waiting.values():
        yield row, unused(frame, reason)


def _with_face(
    frame: StoredPicture,
    picture: Image.Image,
    full_size: tuple[int, int],
    given: GivenFace | None,
    task: Task,
) -> StoredPicture:
    """The frame with what is odd about its picture, and with landmarks if they are to be detected."""
    if task.landmarks == "none":
        return replace(frame, note=too_dark_or_bright(picture))
    landmarks, note = face_on(picture, full_size, given)
    if why := why_tiny(given.landmarks if given else landmarks):
        raise UnusablePicture(why)
    return replace(frame, note=note, landmarks=None if given else landmarks.tolist())


def _rows(session: Session, task: Task, frames: list[StoredPicture]) -> pd.DataFrame:
    """The frames as a table; unusable ones have a reason and no landmarks."""
    num = len(frames)
    table = {
        "image": [frame.image for frame in frames],
        "subject": session.subjects or [task.source.subject] * num,
        "split": session.splits or [task.source.split] * num,
        "frame": [f"{task.source.name}/{name}" for name in session.frames],
    }
    for name in ("source", "reason", "note"):
        table[name] = [printable(getattr(frame, name)) for frame in frames]
    table |= {name: session.labels[name].to_numpy(np.float32) for name in session.labels}
    faces = [frame.landmarks for frame in frames]
    if task.landmarks == "set" and session.landmarks is not None:
        faces = [
            None if frame.reason else face for frame, face in zip(frames, session.landmarks, strict=True)
        ]
    found = [row for row, face in enumerate(faces) if face is not None]
    if found:
        points = np.full((num, len(faces[found[0]]), 2), np.nan, dtype=np.float32)
        points[found] = [faces[row] for row in found]
        table |= point_columns(points)
    return pd.DataFrame(table)


def _safe(text: str) -> str:
    """A name for a file: no separators, no control characters, no way out of the folder."""
    return re.sub(r"[/\\:]", "_", printable(text)).strip().lstrip(".") or "_"


def link_picture(picture: Path, path: Path, keep: str) -> None:
    """Link or copy a picture to a new path; a file system without links gets a copy."""
    if keep == "link":
        with suppress(OSError):
            path.symlink_to(picture.resolve())
    if not path.is_symlink():
        shutil.copyfile(picture, path)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
