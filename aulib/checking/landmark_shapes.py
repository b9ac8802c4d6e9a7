"""Landmarks that are no face, stand in another order, lie on their side, or sit beside the face."""

import importlib.util

import numpy as np
from scipy.ndimage import uniform_filter

from aulib.checking.findings import Finding
from aulib.checking.pictures import Look
from aulib.cropping import CropSpec, crop_matrix
from aulib.datasets import DatasetFolder
from aulib.landmarks import LAYOUT_49, layout_of, to_49
from aulib.pictures import read_picture

MAX_TILT = 60  # degrees
MAX_SHAPE = 0.25  # mean distance of points from the set's median face, over the distance of the eyes
MAX_WHOLE = 0.35  # the same for the median face against an upright one: another order altogether
MIN_LIKENESS = 0.1  # correlation of a crop with the set's mean crop
WORST = 24
SAMPLE = 40  # rows a detector looks at
MAX_NME = 0.25  # of the eyes' distance, between the given landmarks and the detector's

# Where eyes, nose tip and mouth corners lie in a crop of size 1, roughly, in any set: eyes level and above.
_ORDER_CHECKS = (
    ("the brows are below the eyes", lambda p: p[:10, 1].mean() > p[19:31, 1].mean()),
    ("the nose is above the eyes", lambda p: p[13, 1] < p[19:31, 1].mean()),
    ("the mouth is above the nose", lambda p: p[31:43, 1].mean() < p[13, 1]),
    ("the mouth's corners are swapped", lambda p: p[31, 0] > p[37, 0]),
)


def check_shapes(data: DatasetFolder) -> list[Finding]:
    """Findings from the landmarks alone."""
    if not data.num_landmarks:
        return [Finding("landmarks", "note", "the set has no landmarks; `aulib prepare` finds them")]
    landmarks = data.landmarks.astype(np.float64)
    given = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    findings = []
    if missing := len(data) - len(given):
        rows = tuple(np.flatnonzero(~np.isfinite(landmarks).all(axis=(1, 2))).tolist())
        findings.append(
            Finding("landmarks", "error", f"{missing} rows have no landmarks and cannot be cropped", rows)
        )
    shapes, tilts, kept = [], [], []
    for row in given:
        try:
            matrix = crop_matrix(landmarks[row], CropSpec(2))  # coordinates 0 to 1
        except ValueError as error:
            findings.append(Finding("landmarks", "error", str(error), (int(row),)))
            continue
        points = landmarks[row] @ matrix[:, :2].T + matrix[:, 2]
        shapes.append(points if len(points) == 49 else to_49(points))
        tilts.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
        kept.append(int(row))
    if not kept:
        return findings
    shapes, kept = np.array(shapes), np.array(kept)
    lying = np.abs(tilts) > MAX_TILT
    if lying.any():
        text = f"the eyes' line is tilted by more than {MAX_TILT} degrees: turned picture, or eyes swapped"
        findings.append(Finding("landmarks", "warning", text, tuple(kept[lying].tolist())))
    median = np.median(shapes, axis=0)
    eyes = np.linalg.norm(median[19:25].mean(axis=0) - median[25:31].mean(axis=0))
    wrong_order = [text for text, is_wrong in _ORDER_CHECKS if is_wrong(median)]
    if wrong_order:
        text = f"in the median face {' and '.join(wrong_order)}: another order of points, or y upwards?"
        return [*findings, Finding("landmarks", "error", text)]
    distance = np.linalg.norm(shapes - median, axis=2).mean(axis=1) / max(eyes, 1e-6)
    for row, points, far in zip(kept.tolist(), shapes, distance, strict=True):
        if far > MAX_SHAPE:
            wrong = [text for text, is_wrong in _ORDER_CHECKS if is_wrong(points)]
            why = f" ({'; '.join(wrong)})" if wrong else ""
            text = f"its points are {100 * far:.0f} % of the eyes' distance from the set's median face{why}"
            findings.append(Finding("landmarks", "error", text, (row,)))
    return findings


def likeness(look: Look) -> np.ndarray:
    """(M,) correlation of each face crop with the mean of all in local contrast, NaN without a face: low
    where the eyes are elsewhere."""
    result = np.full(len(look.rows), np.nan)
    if look.has_face.sum() < 3:
        return result
    faces = look.faces[look.has_face].astype(np.float32)
    around = (
        1,
        9,
        9,
    )  # each place against its surroundings: neither skin nor light nor ground makes a crop odd
    faces -= uniform_filter(faces, around)
    faces /= np.sqrt(uniform_filter(faces**2, around)) + 4
    faces = faces.reshape(len(faces), -1)
    faces -= faces.mean(axis=1, keepdims=True)
    faces /= np.maximum(faces.std(axis=1, keepdims=True), 1e-3)
    mean = faces.mean(axis=0)
    mean /= max(np.linalg.norm(mean), 1e-6)
    result[look.has_face] = faces @ mean / np.sqrt(faces.shape[1])
    return result


def worst_crops(look: Look, num: int = WORST) -> np.ndarray:
    """Rows of the manifest whose crops are least like the others, the worst first."""
    like = likeness(look)
    order = np.argsort(like)
    return look.rows[order[: min(num, int(np.isfinite(like).sum()))]]


def check_crops(look: Look, data: DatasetFolder, seed: int = 0) -> list[Finding]:
    """Crops whose eyes are not where they should be: unlike the mean crop, and confirmed by a detector if
    there is one.

    Without a detector the likeness alone decides, against a threshold far below the set's usual.
    """
    like = likeness(look)
    finite = like[np.isfinite(like)]
    if len(finite) < 20:
        return []
    middle = np.median(finite)
    spread = 1.4826 * np.median(np.abs(finite - middle))
    odd = np.isfinite(like) & (like < min(middle - 4 * spread, max(MIN_LIKENESS, middle / 2)))
    if importlib.util.find_spec("dlib") is None:
        text = "its crop is unlike the others: is the face there? (see the contact sheet)"
        return [Finding("crops", "warning", text, (int(row),)) for row in look.rows[odd]]
    suspects = look.rows[odd][np.argsort(like[odd])][:SAMPLE]
    rng = np.random.default_rng(seed)
    sample = np.sort(
        rng.choice(look.rows[look.has_face], min(SAMPLE, int(look.has_face.sum())), replace=False)
    )
    errors = {int(row): _disagreement(data, int(row)) for row in {*suspects.tolist(), *sample.tolist()}}
    seen = [errors[row] for row in sample.tolist() if errors[row] is not None]
    if len(seen) >= 10 and np.median(seen) > MAX_NME:
        text = (
            f"a detector finds landmarks {100 * np.median(seen):.0f} % of the eyes' distance away in half "
            f"of {len(seen)} "
            "pictures: were the pictures scaled or cut after the landmarks were made?"
        )
        return [Finding("crops", "error", text)]
    findings = []
    for row, error in sorted(errors.items()):
        if error is not None and error > MAX_NME:
            text = (
                f"a detector finds the face {100 * error:.0f} % of the eyes' distance away from its landmarks"
            )
            findings.append(Finding("crops", "error", text, (row,)))
        elif row in suspects and error is None:
            text = "its crop is unlike the others and a detector finds no face (see the contact sheet)"
            findings.append(Finding("crops", "warning", text, (row,)))
    return findings


def _disagreement(data: DatasetFolder, row: int) -> float | None:
    """Mean distance between given and detected landmarks over the distance of the eyes; None without a
    detection."""
    from aulib.detector import detect_landmarks

    try:
        found, _ = detect_landmarks(np.asarray(read_picture(data.image_paths[row])))
    except (OSError, ValueError, ModuleNotFoundError):
        return None
    if found is None:
        return None
    given = data.landmarks[row].astype(np.float64)
    points = given if len(given) == 49 else to_49(given)
    layout = layout_of(49)
    eyes = points[list(layout.right_eye)].mean(axis=0) - points[list(LAYOUT_49.left_eye)].mean(axis=0)
    return float(np.linalg.norm(points - to_49(found), axis=1).mean() / max(np.hypot(*eyes), 1e-6))
