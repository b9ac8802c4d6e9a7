"""One picture file -> one face: located, then cut out or stored.

A picture that cannot be used raises `UnusablePicture`, whose text is the reason in the tables. Imports no
torch, because every worker process imports this module.
"""

import shutil
import textwrap
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from aubench.datasets.landmark_detector import detect_landmarks
from aubench.datasets.picture_files import why_unusable
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.files import remembered_file, what_it_is
from aulib.images import (
    decode,
    is_picture_name,
    open_picture,
    orientation,
    pages_note,
    too_dark_or_bright,
    upright_size,
)
from aulib.landmarks import refuse_outside
from aulib.manifest import why_tiny

MAX_SIDE = 1600  # pixels; larger pictures are reduced
CODE_VERSION = 8  # raise it when a picture's outcome would change; a half-made folder then starts over
OK = "ok"


class UnusablePicture(ValueError):
    """A picture gives no face; the text says why."""


class GivenFace(NamedTuple):
    """The face of a picture as a table of another tool has it; see `landmark_tables.read_faces`.

    Attributes:
        landmarks: (K, 2) pixels of the full upright picture; None if it has no face.
        note: about the choice of the face, or why there is none.
    """

    landmarks: np.ndarray | None
    note: str = ""
    face_id: str = ""
    clip: str = ""
    face: str = ""


def note_of_faces(number: int) -> str:
    """What is noted of a picture with this many faces."""
    return f"{number} faces, the largest is used" if number > 1 else ""


def read_upright(path: Path, at_most: int | None) -> tuple[Image.Image, tuple[int, int], bool, str]:
    """A picture as RGB with its longer side reduced to `at_most` pixels, its full size, whether the file
    is already what `prepare` stores, and a note if it holds more pictures.

    Raises:
        UnusablePicture: the file cannot be read.
    """
    if why := why_unusable(path):
        raise UnusablePicture(why)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata
            with open_picture(path) as opened:
                full_size, storable = upright_size(opened), _is_storable(opened, path.suffix.lower())
                return decode(opened, at_most), full_size, storable, pages_note(opened)
    except Exception as error:  # a broken file makes decoders raise anything
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            text = what_it_is(path)
            if "damaged" in text and not is_picture_name(path.name):
                text = "neither a picture nor called as a video (.mp4, .mov, ...)"
        text = textwrap.shorten(text.replace(str(path), path.name), 200, placeholder="...")
        raise UnusablePicture(f"unreadable: {text}") from error


def face_on(
    picture: Image.Image, full_size: tuple[int, int], given: GivenFace | None = None
) -> tuple[np.ndarray, str]:
    """(K, 2) landmarks of the largest face in pixels of `picture`, and a note about faces and pixels, or "".

    Args:
        given: in pixels of the picture at `full_size`; None asks the detector.

    Raises:
        UnusablePicture: there is no face, or its landmarks lie outside of the picture.
    """
    if given:
        landmarks, note, *_ = given
    else:
        landmarks, number = detect_landmarks(np.asarray(picture))
        note = "no face found" if landmarks is None else note_of_faces(number)
    odd = too_dark_or_bright(picture)
    if landmarks is None:
        raise UnusablePicture(f"{note}; it is {odd}" if odd else note)
    if given:
        landmarks = (landmarks + 0.5) * (np.array(picture.size) / full_size) - 0.5
    try:
        refuse_outside(landmarks, picture.size)
    except ValueError as error:
        raise UnusablePicture(str(error)) from error
    return landmarks, joined(note, odd)


def joined(*notes: str) -> str:
    """Those notes that are not empty, as one."""
    return "; ".join(filter(None, notes))


def _is_storable(header: Image.Image, suffix: str) -> bool:
    """Whether the file is 8-bit RGB or grey, upright, within MAX_SIDE, and what its suffix says."""
    truthful = header.format == {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}.get(suffix)
    upright = orientation(header) == 1
    plain = header.mode in ("RGB", "L") and not header.has_transparency_data
    return truthful and upright and plain and max(header.size) <= MAX_SIDE


@dataclass(frozen=True)
class FoundFace:
    """The face crop of a picture, or the reason why there is none.

    Attributes:
        status: "ok", or why there is no face.
        note: "3 faces, the largest is used", or "".
        crop: (S, S, 3) uint8 RGB, or None.
        matrix: (2, 3) from pixels of the upright full-size picture to pixels of the crop, or None.
    """

    image: str
    status: str
    note: str = ""
    crop: np.ndarray | None = None
    matrix: np.ndarray | None = None


def find_face(image: str, photos: Path, spec: CropSpec) -> FoundFace:
    """Cut the largest face out of a picture of `photos`; what makes it unusable becomes the status."""
    try:
        picture, full_size, _, pages = read_upright(photos / image, MAX_SIDE)
        landmarks, note = face_on(picture, full_size)
        matrix = crop_matrix(landmarks, spec)
    except ValueError as error:
        return FoundFace(image, str(error))
    crop = crop_face(picture, matrix, spec)
    return FoundFace(image, OK, joined(note, pages), crop, matrix @ reduction(full_size, picture.size))


def reduction(full_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(3, 3) from pixels of the full picture to pixels of the reduced one; pixel 0 is a pixel's centre."""
    scale = np.array(size) / np.array(full_size)
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = 0.5 * scale - 0.5
    return matrix


@dataclass(frozen=True)
class StoredPicture:
    """A picture stored with (K, 2) landmarks in its pixels, or skipped for a `reason`; or one that is to be.

    Attributes:
        source: the file.
        stamp: its size and time, to notice a change.
        image: the name to store it under, relative to the dataset folder.
    """

    source: str
    stamp: str
    image: str = ""
    landmarks: list[list[float]] | None = None
    note: str = ""
    reason: str = ""


def unused(picture: StoredPicture, reason: str) -> StoredPicture:
    return replace(picture, image="", reason=reason)


def store_picture(task: tuple[StoredPicture, GivenFace | None], photos: Path, out: Path) -> StoredPicture:
    """Store a picture of `photos` with its landmarks, or say why not. Only a failure to write is raised."""
    stored, given = task
    path = photos / stored.source
    try:
        picture, full_size, storable, pages = read_upright(path, MAX_SIDE)
        landmarks, note = face_on(picture, full_size, given)
    except UnusablePicture as error:
        return unused(stored, str(error))
    if why := why_tiny(landmarks):
        return unused(stored, why)
    notes = [note, pages]
    if picture.size != full_size:
        before, after = (f"{width} x {height}" for width, height in (full_size, picture.size))
        notes.append(f"reduced from {before} to {after}")
    with remembered_file(out, stored.image) as partial:
        _store(picture, path if storable else None, partial)
    return replace(stored, landmarks=np.round(landmarks, 2).tolist(), note=joined(*notes))


def _store(picture: Image.Image, copy_of: Path | None, path: Path) -> None:
    """Write a picture: a copy of its file, or encoded as its suffix says."""
    if copy_of:
        shutil.copyfile(copy_of, path)
    elif path.suffix.lower() == ".png":
        picture.save(path, format="PNG")
    else:
        picture.save(path, format="JPEG", quality=95, subsampling=0)
