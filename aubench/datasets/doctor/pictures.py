"""Every picture opened once: can it be read, is anything on it, how large is the face; and fingerprints of
picture and face."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.contrib.concurrent import thread_map

from aubench.datasets.doctor.diagnosis import Finding
from aubench.datasets.face_finding import UnusablePicture, read_upright
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import too_dark_or_bright
from aulib.landmarks import layout_of, refuse_outside

SMALL = 480  # pixels; pictures are looked at this small
THUMB, FACE = 32, 24  # pixels of a whole picture's and of a face's fingerprint
FLAT = 4.0  # grey levels; the standard deviation of a picture with nothing on it
MIN_EYES = 12  # pixels between the eyes; below it there is little to learn from


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of the pictures that were opened.

    Attributes:
        rows: (M,) rows of the manifest; those that could not be read are not among them.
        thumbs: (M, THUMB, THUMB) uint8 grey.
        faces: (M, FACE, FACE) uint8 grey crops as training cuts them; 0 throughout without landmarks.
    """

    rows: np.ndarray
    thumbs: np.ndarray
    faces: np.ndarray

    @property
    def has_face(self) -> np.ndarray:
        """(M,) bool."""
        return self.faces.any(axis=(1, 2))


def look_at_pictures(data: DatasetFolder, at_most: int, progress: bool) -> tuple[Fingerprints, list[Finding]]:
    """Open up to `at_most` pictures, evenly spread over the manifest."""
    num, landmarks, paths = len(data), data.landmarks, data.image_paths
    rows = np.unique(np.linspace(0, num - 1, min(num, at_most)).astype(int)).tolist()

    def look(row: int):
        return _look(paths[row], row, landmarks[row] if data.num_landmarks else None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as `read_upright` does, which is not meant for threads
        seen = thread_map(look, rows, desc="looking", unit="picture", disable=not progress)
    findings = [finding for found, _, _ in seen for finding in found]
    if len(rows) < num:
        findings.append(Finding("pictures", "note", f"{len(rows)} of {num} pictures were looked at"))
    kept = [(row, thumb, face) for row, (_, thumb, face) in zip(rows, seen, strict=True) if thumb is not None]
    return Fingerprints(
        np.array([row for row, _, _ in kept], dtype=int),
        np.array([thumb for _, thumb, _ in kept], dtype=np.uint8).reshape(-1, THUMB, THUMB),
        np.array([face for _, _, face in kept], dtype=np.uint8).reshape(-1, FACE, FACE),
    ), findings


def _look(path: Path, row: int, landmarks: np.ndarray | None):
    """Findings about one picture, its thumbnail (None if it cannot be read) and its face."""
    face = np.zeros((FACE, FACE), np.uint8)
    if not os.path.exists(path):  # `inspect` reports it
        return [], None, face
    try:
        picture, size, *_ = read_upright(path, SMALL)
    except UnusablePicture as error:
        return [Finding("pictures", "error", f"{path.name}: {error}", (row,))], None, face
    findings, grey = [], picture.convert("L")
    if np.asarray(grey).std() < FLAT:
        findings.append(Finding("pictures", "warning", f"{path.name} is one flat colour", (row,)))
    elif odd := too_dark_or_bright(picture):
        findings.append(Finding("pictures", "warning", f"{path.name} is {odd}", (row,)))
    if landmarks is not None and np.isfinite(landmarks).all():
        landmarks = landmarks.astype(np.float64)
        try:
            refuse_outside(landmarks, size)
            face = _face(picture, (landmarks + 0.5) * (np.array(picture.size) / size) - 0.5)
        except ValueError as error:
            findings.append(Finding("pictures", "error", f"{path.name}: {error}", (row,)))
        else:
            findings += _face_findings(path.name, row, landmarks, size)
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX))
    return findings, thumb, face


def _face(picture: Image.Image, landmarks: np.ndarray) -> np.ndarray:
    """(FACE, FACE) uint8 grey."""
    spec = CropSpec(4 * FACE)
    crop = crop_face(picture, crop_matrix(landmarks, spec), spec)
    return np.asarray(Image.fromarray(crop).convert("L").resize((FACE, FACE), Image.Resampling.BOX))


def _face_findings(name: str, row: int, landmarks: np.ndarray, size: tuple[int, int]) -> Iterator[Finding]:
    """A face that is half outside its picture, or too small."""
    layout = layout_of(len(landmarks))
    inside = ((landmarks >= 0) & (landmarks <= np.array(size) - 1)).all(axis=1).mean()
    if inside < 0.5:
        text = f"{name}: {100 * (1 - inside):.0f} % of the landmarks lie outside the picture"
        yield Finding("pictures", "error", text, (row,))
    right, left = (landmarks[list(eye)].mean(axis=0) for eye in (layout.right_eye, layout.left_eye))
    distance = np.hypot(*(left - right))
    if distance < MIN_EYES:
        text = f"{name}: the eyes are {distance:.0f} pixels apart, too few to see AUs"
        yield Finding("pictures", "warning", text, (row,))
