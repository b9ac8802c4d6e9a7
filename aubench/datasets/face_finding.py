"""One picture file to one face crop, without a dataset folder in between.

Imports no torch: worker processes start with it.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aubench.datasets.landmark_detector import detect_landmarks
from aubench.datasets.photographs import MAX_SIDE, UNREAD_SUFFIXES
from aulib.crops import CropSpec, crop_face, crop_matrix, refuse_outside
from aulib.images import decode, open_picture, upright_size

OK = "ok"


@dataclass(frozen=True)
class Picture:
    """Where a picture lies (`image` is relative to `photos`), and how its face is to be cut."""

    photos: Path
    image: str
    spec: CropSpec


@dataclass(frozen=True)
class FoundFace:
    """What became of a picture.

    Attributes:
        status: "ok", or why there is no face.
        note: what to know beside it, "3 faces, the largest is used", say.
        crop: (S, S, 3) uint8 RGB, or None.
        matrix: (2, 3) from pixels of the picture as shown (full size) to pixels of the crop, or None.
    """

    image: str
    status: str
    note: str = ""
    crop: np.ndarray | None = None
    matrix: np.ndarray | None = None


def find_face(task: Picture) -> FoundFace:
    """The largest face of a picture, cropped; whatever is wrong with the picture becomes its status."""
    path = task.photos / task.image
    if path.suffix.lower() in UNREAD_SUFFIXES:
        return FoundFace(task.image, f"{path.suffix} is not read, convert it to JPEG or PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata
            with open_picture(path) as opened:
                full_size = upright_size(opened)
                picture = decode(opened, at_most=MAX_SIDE)
    except Exception as error:  # whatever a broken file makes a decoder raise
        return FoundFace(task.image, f"unreadable: {' '.join(str(error).split())[:200]}")
    landmarks, num_faces = detect_landmarks(np.asarray(picture))
    if landmarks is None:
        return FoundFace(task.image, "no face found")
    try:
        refuse_outside(landmarks, picture.size)
        matrix = crop_matrix(landmarks, task.spec)
    except ValueError as error:
        return FoundFace(task.image, str(error))
    note = f"{num_faces} faces, the largest is used" if num_faces > 1 else ""
    crop = crop_face(picture, matrix, task.spec.size)
    return FoundFace(task.image, OK, note, crop, matrix @ reduction(full_size, picture.size))


def reduction(full_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(3, 3) from pixels of the full picture to pixels of the reduced one; pixel 0 is a pixel's centre."""
    scale = np.array(size) / np.array(full_size)
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = 0.5 * scale - 0.5
    return matrix


def crashed(task: Picture) -> FoundFace:
    return FoundFace(task.image, "the process that read it died (a crash or out of memory)")
