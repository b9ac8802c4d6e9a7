"""One photograph -> a stored picture with landmarks, or the reason why not."""

import os
import shutil
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from aubench.datasets.landmark_detector import detect_landmarks
from aulib.images import ORIENTATION, decode, open_picture, upright_size
from aulib.landmarks import refuse_outside

UNREAD_SUFFIXES = {".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw"}  # said, not ignored
MAX_SIDE = 1600  # pixels; larger pictures are stored reduced
CODE_VERSION = 1  # raise it when a picture's outcome would change; a half-made folder then starts over


@dataclass(frozen=True)
class Task:
    """One picture to prepare."""

    photos: Path
    out: Path
    source: str  # relative to `photos`
    stamp: str  # size and time of the file, to notice a change
    image: str  # name to store it under, relative to `out`
    given: tuple[np.ndarray | None, int] | None  # landmarks and number of faces; None asks the detector


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: stored as `image` with landmarks, or skipped for a `reason`."""

    source: str
    stamp: str
    image: str = ""
    landmarks: list[list[float]] | None = None  # (K, 2) pixels of the stored picture
    note: str = ""
    reason: str = ""


def prepare_picture(task: Task) -> Outcome:
    """Store one picture with its landmarks, or say why not. Only a failure to write is raised."""
    source = task.photos / task.source
    if source.suffix.lower() in UNREAD_SUFFIXES:
        return Outcome(
            task.source, task.stamp, reason=f"{source.suffix} is not read, convert it to JPEG or PNG"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata
            with open_picture(source) as opened:
                full_size, as_it_is = upright_size(opened), _can_be_copied(opened, source.suffix.lower())
                picture = decode(opened, at_most=MAX_SIDE)
    except Exception as error:  # whatever a broken file makes a decoder raise
        reason = f"unreadable: {_one_line(error)}".replace(str(source), task.source)
        return Outcome(task.source, task.stamp, reason=reason)
    landmarks, num_faces = task.given or detect_landmarks(np.asarray(picture))
    if landmarks is None:
        reason = "no landmarks given for it" if task.given else "no face found"
        return Outcome(task.source, task.stamp, reason=reason)
    if task.given:
        landmarks = (landmarks + 0.5) * (np.array(picture.size) / full_size) - 0.5
    try:
        refuse_outside(landmarks, picture.size)
    except ValueError as error:
        return Outcome(task.source, task.stamp, reason=str(error))
    notes = [f"{num_faces} faces, the largest is used"] if num_faces > 1 else []
    if picture.size != full_size:
        notes.append(f"reduced from {full_size[0]} x {full_size[1]} to {picture.width} x {picture.height}")
    _store(picture, source if as_it_is else None, task.out / task.image)
    points = np.round(landmarks, 2).tolist()
    return Outcome(task.source, task.stamp, task.image, points, note="; ".join(notes))


def _store(picture: Image.Image, copy_of: Path | None, path: Path) -> None:
    """Write a picture in one step: a copy of its file, or re-encoded as its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        if copy_of:
            shutil.copyfile(copy_of, partial)
        elif path.suffix.lower() == ".png":
            picture.save(partial)
        else:
            picture.save(partial, format="JPEG", quality=95, subsampling=0)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _can_be_copied(header: Image.Image, suffix: str) -> bool:
    """Nothing to convert: 8-bit RGB or grey, upright, within MAX_SIDE, and its suffix tells the truth."""
    truthful = header.format == {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}.get(suffix)
    upright = header.getexif().get(ORIENTATION, 1) in (0, 1)
    plain = header.mode in ("RGB", "L") and not header.has_transparency_data
    return truthful and upright and plain and max(header.size) <= MAX_SIDE


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
