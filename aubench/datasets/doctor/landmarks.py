"""Landmarks that are no face, are in another order, lie on their side, or do not move; and crops whose eyes
are not where they should be: the landmarks are next to the face, or there is no face."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter
from scipy.stats import median_abs_deviation
from skimage.feature import match_template

from aubench.datasets.doctor.diagnosis import Finding
from aubench.datasets.doctor.duplicates import normalised
from aubench.datasets.doctor.pictures import Fingerprints
from aulib.crops import CropSpec, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import read_picture
from aulib.landmarks import LAYOUT_49, to_49

MAX_TILT = 60  # degrees
MAX_SHAPE = 0.25  # mean distance of points from the set's median face, over the distance of the eyes
STUCK = 3  # pictures with the very same landmarks
MIN_LIKENESS = 0.1  # correlation of a crop with the set's mean crop
FEW = 20  # crops; fewer say nothing of what is usual
SUSPECTS, SAMPLE = 24, 12  # rows a detector looks at: odd ones, and others drawn at random
REACH = 6  # pixels of a face fingerprint that the face is looked for in, about the distance of the eyes
MAX_NME = 0.3  # of the eyes' distance, between the given landmarks and the detector's

RIGHT_EYE, LEFT_EYE, MOUTH = list(LAYOUT_49.right_eye), list(LAYOUT_49.left_eye), slice(31, 43)
# What a face of 49 points has in no set: x to the right, y downwards.
_ORDER_CHECKS = (
    ("the brows are below the eyes", lambda p: p[:10, 1].mean() > p[RIGHT_EYE + LEFT_EYE, 1].mean()),
    ("the nose is above the eyes", lambda p: p[LAYOUT_49.nose_tip, 1] < p[RIGHT_EYE + LEFT_EYE, 1].mean()),
    ("the mouth is above the nose", lambda p: p[MOUTH, 1].mean() < p[LAYOUT_49.nose_tip, 1]),
    ("the mouth's corners are swapped", lambda p: np.subtract(*p[list(LAYOUT_49.mouth_corners), 0]) > 0),
)


def check_landmarks(data: DatasetFolder) -> Iterator[Finding]:
    """Findings from the landmarks alone."""
    if not data.num_landmarks:
        yield Finding("landmarks", "note", "the set has no landmarks; `aulib prepare` finds them")
        return
    landmarks = data.landmarks.astype(np.float64)
    given = np.isfinite(landmarks).all(axis=(1, 2))
    yield from _stuck(data.table["image"], landmarks, np.flatnonzero(given))
    if missing := tuple(np.flatnonzero(~given).tolist()):
        text = f"{len(missing)} rows have no usable landmarks and cannot be cropped"
        yield Finding("landmarks", "error", text, missing)
    shapes, tilted = {}, []
    for row in np.flatnonzero(given).tolist():
        try:
            matrix = crop_matrix(landmarks[row], CropSpec(2))  # coordinates 0 to 1
        except ValueError as error:
            yield Finding("landmarks", "error", str(error), (row,))
            continue
        shapes[row] = to_49(landmarks[row]) @ matrix[:, :2].T + matrix[:, 2]
        if abs(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0]))) > MAX_TILT:
            tilted.append(row)
    if tilted:
        text = f"the eyes' line is tilted by more than {MAX_TILT} degrees: turned picture, or eyes swapped"
        yield Finding("landmarks", "warning", text, tuple(tilted))
    if shapes:
        yield from _odd_shapes(shapes)


def refuse_no_face(data: DatasetFolder, source: str | Path) -> None:
    """Raises ValueError if the set's median face is none, as of landmarks with y upwards; names `source`."""
    for finding in check_landmarks(data):
        if finding.level == "error" and not finding.rows:
            raise ValueError(f"{source}: {finding.text}")


def _stuck(images: pd.Series, landmarks: np.ndarray, given: np.ndarray) -> Iterator[Finding]:
    """The very same landmarks in STUCK or more pictures: a tracker that lost the face, or one row copied."""
    points = [landmarks[row].tobytes() for row in given]
    table = pd.DataFrame({"points": points, "image": images.iloc[given].tolist()}, index=given)
    for rows in table.drop_duplicates().groupby("points", sort=False).groups.values():
        if len(rows) >= STUCK:
            text = f"{len(rows)} pictures have the very same landmarks: a track that stuck, a copied row?"
            yield Finding("landmarks", "error", text, tuple(rows.tolist()))


def _odd_shapes(shapes: dict[int, np.ndarray]) -> Iterator[Finding]:
    """One finding if the median face is no face, else one for each row far from it."""
    median = np.median(list(shapes.values()), axis=0)
    if wrong := [text for text, is_wrong in _ORDER_CHECKS if is_wrong(median)]:
        text = f"in the median face {' and '.join(wrong)}: another order of points, or y upwards?"
        yield Finding("landmarks", "error", text)
        return
    eyes = max(_eye_distance(median), 1e-6)
    for row, points in shapes.items():
        distance = np.linalg.norm(points - median, axis=1).mean() / eyes
        if distance > MAX_SHAPE:
            wrong = [text for text, is_wrong in _ORDER_CHECKS if is_wrong(points)]
            why = f" ({'; '.join(wrong)})" if wrong else ""
            text = (
                f"its points are {100 * distance:.0f} % of the eyes' distance from the set's median face{why}"
            )
            yield Finding("landmarks", "error", text, (row,))


def _eye_distance(points: np.ndarray) -> float:
    """Between the eyes' centres of (49, 2) points."""
    return float(np.linalg.norm(points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)))


def likeness_to_mean(prints: Fingerprints) -> np.ndarray:
    """(M,) correlation of each face with the mean of all in local contrast, NaN without a face or in a set of
    two: low where the eyes are elsewhere."""
    likeness = np.full(len(prints.rows), np.nan)
    if prints.has_face.sum() >= 3:
        faces = _in_local_contrast(prints.faces[prints.has_face])
        mean = normalised(faces.mean(axis=0, keepdims=True), 1e-3)
        likeness[prints.has_face] = (faces * mean).mean(axis=(1, 2))
    return likeness


def _in_local_contrast(faces: np.ndarray) -> np.ndarray:
    """(F, S, S) float32; each pixel against its surroundings, without skin tone, light and background."""
    faces, around = faces.astype(np.float32), (1, 9, 9)
    faces -= uniform_filter(faces, around)
    faces /= np.sqrt(uniform_filter(faces**2, around)) + 4
    return normalised(faces, 1e-3)


def check_crops(prints: Fingerprints, likeness: np.ndarray, data: DatasetFolder) -> Iterator[Finding]:
    """Crops far less like the mean crop than is usual in the set, confirmed by a detector if there is one.

    Args:
        likeness: of `likeness_to_mean`.
    """
    finite = likeness[np.isfinite(likeness)]
    if len(finite) < FEW:
        return
    middle, spread = np.median(finite), median_abs_deviation(finite, scale="normal")
    odd = np.flatnonzero(likeness < min(middle - 4 * spread, max(MIN_LIKENESS, middle / 2)))
    odd = odd[np.argsort(likeness[odd])]
    misplaced = list(_misplaced(prints, odd, middle, data))
    yield from misplaced
    named = {finding.rows[0] for finding in misplaced}
    suspects = [row for row in prints.rows[odd].tolist() if row not in named]
    if importlib.util.find_spec("onnxruntime") is None:
        for row in suspects:
            text = "its crop is unlike the others: is the face there? (see the contact sheet)"
            yield Finding("crops", "warning", text, (row,))
        return
    rows = prints.rows[prints.has_face]
    sample = np.random.default_rng(0).choice(rows, min(SAMPLE, len(rows)), replace=False).tolist()
    yield from _ask_detector(data, suspects, sample)


def _misplaced(prints, odd, middle: float, data: DatasetFolder) -> Iterator[Finding]:
    """Odd crops that look like the others a few pixels aside: the landmarks are next to the face."""
    faces, landmarks = _in_local_contrast(prints.faces), data.landmarks
    eyes_and_nose = faces[prints.has_face].mean(axis=0)[REACH:-REACH, REACH:-REACH]
    for index in odd.tolist():
        like = match_template(faces[index], eyes_and_nose)  # at each position in the crop
        here = like[REACH - 1 : REACH + 2, REACH - 1 : REACH + 2].max()  # brows and jaw move it by a pixel
        if like.max() <= max(here + middle / 2, 0.7 * middle):
            continue
        row = int(prints.rows[index])
        below, right = np.unravel_index(like.argmax(), like.shape) - np.array([REACH, REACH])
        matrix = crop_matrix(landmarks[row], CropSpec(faces.shape[1]))
        right, below = np.linalg.inv(matrix[:, :2]) @ (right, below)  # pixels of the picture
        sides = {"to the right": right, "to the left": -right, "below": below, "above": -below}
        where = " and ".join(f"{far:.0f} {side}" for side, far in sides.items() if far >= 1)
        far = np.hypot(right, below)
        text = f"its landmarks are about {far:.0f} pixels next to the face, which is {where}"
        yield Finding("crops", "error", text, (row,))


def _ask_detector(data: DatasetFolder, suspects: list[int], sample: list[int]) -> Iterator[Finding]:
    """Suspects whose faces a detector finds elsewhere or not at all; one finding for the set if it finds most
    faces of the sample elsewhere."""
    landmarks, paths = data.landmarks.astype(np.float64), data.image_paths
    errors = {row: _detector_nme(paths[row], landmarks[row]) for row in {*suspects[:SUSPECTS], *sample}}
    seen = [errors[row] for row in sample if errors[row] is not None]
    if len(seen) >= SAMPLE // 2 and np.median(seen) > MAX_NME:
        text = (
            f"a detector finds landmarks {100 * np.median(seen):.0f} % of the eyes' distance away in half "
            f"of {len(seen)} pictures: were the pictures scaled or cut after the landmarks were made?"
        )
        yield Finding("crops", "error", text)
        return
    for row, error in sorted(errors.items()):
        if error is not None and error > MAX_NME:
            text = f"a detector finds the face {100 * error:.0f} % of the eyes' distance from its landmarks"
            yield Finding("crops", "error", text, (row,))
    for row in suspects:
        if errors.get(row) is None:
            why = "and a detector finds no face" if row in errors else "(a detector saw only the worst)"
            text = f"its crop is unlike the others {why}; see the contact sheet"
            yield Finding("crops", "warning", text, (row,))


def _detector_nme(path: Path, landmarks: np.ndarray) -> float | None:
    """Mean distance of given and detected landmarks over that of the eyes; None if no face is found for
    certain."""
    from aubench.datasets.landmark_detector import SURE, detect_landmarks

    try:
        found, _ = detect_landmarks(np.asarray(read_picture(path)), SURE)
    except (OSError, ValueError, ModuleNotFoundError):
        return None
    if found is None:
        return None
    given = to_49(landmarks)
    return float(np.linalg.norm(given - to_49(found), axis=1).mean() / max(_eye_distance(given), 1e-6))
