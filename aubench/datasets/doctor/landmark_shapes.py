"""Landmarks that are no face, stand in another order, lie on their side, or do not move."""

import numpy as np

from aubench.datasets.doctor.findings import Finding
from aulib.crops import CropSpec, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.landmarks import to_49

MAX_TILT = 60  # degrees
MAX_SHAPE = 0.25  # mean distance of points from the set's median face, over the distance of the eyes
MAX_WHOLE = 0.35  # the same for the median face against an upright one: another order altogether
STUCK = 3  # pictures with the very same landmarks

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
    findings += _stuck(data, landmarks, given)
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


def _stuck(data: DatasetFolder, landmarks: np.ndarray, given: np.ndarray) -> list[Finding]:
    """The very same landmarks in STUCK or more pictures: a tracker that lost the face, or one row copied."""
    same: dict[bytes, dict[str, int]] = {}
    for row, image in zip(given.tolist(), data.table["image"].iloc[given], strict=True):
        same.setdefault(landmarks[row].tobytes(), {}).setdefault(image, row)
    findings = []
    for rows in same.values():
        if len(rows) >= STUCK:
            text = f"{len(rows)} pictures have the very same landmarks: a track that stuck, a copied row?"
            findings.append(Finding("landmarks", "error", text, tuple(rows.values())))
    return findings
