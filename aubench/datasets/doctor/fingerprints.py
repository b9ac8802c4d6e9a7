"""Every picture opened once: can it be read, is anything on it, how large is the face, and its
fingerprints."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from aubench.datasets.doctor.findings import Finding
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import decode, open_picture, upright_size
from aulib.landmarks import layout_of, refuse_outside

SMALL = 480  # pixels; pictures are looked at this small
THUMB, FACE = 32, 24  # pixels of a whole picture's and of a face's fingerprint
FLAT = 4.0  # grey levels; the standard deviation of a picture with nothing on it
MIN_EYES = 12  # pixels between the eyes; below it there is little to learn from


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of the pictures that were looked at.

    Attributes:
        rows: (M,) rows of the manifest; those that could not be read are not among them.
        thumbs: (M, THUMB, THUMB) uint8 grey.
        faces: (M, FACE, FACE) uint8 grey crops as training cuts them; 0 throughout without landmarks.
        has_face: (M,) bool.
    """

    rows: np.ndarray
    thumbs: np.ndarray
    faces: np.ndarray
    has_face: np.ndarray


def fingerprint_pictures(
    data: DatasetFolder, at_most: int, workers: int | None = None, progress: bool = True
) -> tuple[Fingerprints, list[Finding]]:
    """Open up to `at_most` pictures, evenly spread over the manifest."""
    rows = np.arange(len(data))
    if len(rows) > at_most:
        rows = np.unique(np.linspace(0, len(data) - 1, at_most).astype(int))
    landmarks = data.landmarks
    paths = data.image_paths

    def look(row: int):
        return _fingerprint(paths[row], landmarks[row] if data.num_landmarks else None)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        seen = list(tqdm(pool.map(look, rows), "looking", len(rows), unit="picture", disable=not progress))
    findings = []
    for row, (faults, _) in zip(rows.tolist(), seen, strict=True):
        findings += [Finding("pictures", level, text, (row,)) for level, text in faults]
    kept = [i for i, (_, prints) in enumerate(seen) if prints is not None]
    prints = [seen[i][1] for i in kept]
    if len(rows) < len(data):
        findings.append(Finding("pictures", "note", f"{len(rows)} of {len(data)} pictures were looked at"))
    return Fingerprints(
        rows[kept],
        np.array([p[0] for p in prints], dtype=np.uint8).reshape(-1, THUMB, THUMB),
        np.array([p[1] for p in prints], dtype=np.uint8).reshape(-1, FACE, FACE),
        np.array([p[2] for p in prints], dtype=bool),
    ), findings


def _fingerprint(path, landmarks) -> tuple[list[tuple[str, str]], tuple | None]:
    """(level, fault) of one picture, and its fingerprints unless it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata
            if path.stat().st_size == 0:
                return [("error", f"{path.name} is empty (0 bytes)")], None
            with open_picture(path) as opened:
                size = upright_size(opened)
                picture = decode(opened, at_most=SMALL)
    except FileNotFoundError:
        return [], None  # said by the checks of the manifest
    except Exception as error:  # whatever a broken file makes a decoder raise
        return [("error", f"{path.name} cannot be read: {' '.join(str(error).split())[:120]}")], None
    grey = picture.convert("L")
    faults = []
    if np.asarray(grey).std() < FLAT:
        faults.append(("warning", f"{path.name} is one flat colour"))
    face, has_face = np.zeros((FACE, FACE), np.uint8), False
    if landmarks is not None and np.isfinite(landmarks).all():
        found, face_crop = _fingerprint_face(picture, size, landmarks.astype(np.float64), path.name)
        faults += found
        if face_crop is not None:
            face, has_face = face_crop, True
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX))
    return faults, (thumb, face, has_face)


def _fingerprint_face(picture, size, landmarks, name) -> tuple[list[tuple[str, str]], np.ndarray | None]:
    try:
        refuse_outside(landmarks, size)
        small = (landmarks + 0.5) * (np.array(picture.size) / size) - 0.5
        matrix = crop_matrix(small, CropSpec(4 * FACE))
    except ValueError as error:
        return [("error", f"{name}: {error}")], None
    layout = layout_of(len(landmarks))
    right, left = (landmarks[list(eye)].mean(axis=0) for eye in (layout.right_eye, layout.left_eye))
    faults = []
    inside = ((landmarks >= 0) & (landmarks <= np.array(size) - 1)).all(axis=1).mean()
    if inside < 0.5:
        faults.append(
            ("error", f"{name}: {100 * (1 - inside):.0f} % of the landmarks lie outside the picture")
        )
    if np.hypot(*(left - right)) < MIN_EYES:
        faults.append(
            (
                "warning",
                f"{name}: the eyes are {np.hypot(*(left - right)):.0f} pixels apart, too few to see AUs",
            )
        )
    crop = (
        Image.fromarray(crop_face(picture, matrix, 4 * FACE))
        .convert("L")
        .resize((FACE, FACE), Image.Resampling.BOX)
    )
    return faults, np.asarray(crop)
