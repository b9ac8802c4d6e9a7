"""Crops whose eyes are not where they should be: the landmarks sit next to the face, or there is no face."""

import importlib.util

import numpy as np
from scipy.ndimage import uniform_filter

from aubench.datasets.doctor.findings import Finding
from aubench.datasets.doctor.fingerprints import Fingerprints
from aulib.crops import CropSpec, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import read_picture
from aulib.landmarks import LAYOUT_49, layout_of, to_49

MIN_LIKENESS = 0.1  # correlation of a crop with the set's mean crop
WORST = 24
SUSPECTS, SAMPLE = 24, 12  # rows a detector looks at: odd ones, and others drawn by chance
REACH = 6  # pixels of a face crop that the place of the face is looked for in, about the distance of the eyes
MAX_NME = 0.3  # of the eyes' distance, between the given landmarks and the detector's


def likeness(look: Fingerprints) -> np.ndarray:
    """(M,) correlation of each face crop with the mean of all in local contrast, NaN without a face: low
    where the eyes are elsewhere."""
    result = np.full(len(look.rows), np.nan)
    if look.has_face.sum() < 3:
        return result
    faces = _in_local_contrast(look)
    mean = _standardise(faces.mean(axis=0, keepdims=True))[0]
    result[look.has_face] = (faces * mean).mean(axis=(1, 2))
    return result


def _in_local_contrast(look: Fingerprints) -> np.ndarray:
    """(F, S, S) face crops, each place against its surroundings: neither skin nor light nor ground counts."""
    faces = look.faces[look.has_face].astype(np.float32)
    around = (1, 9, 9)
    faces -= uniform_filter(faces, around)
    faces /= np.sqrt(uniform_filter(faces**2, around)) + 4
    return _standardise(faces)


def _standardise(pictures: np.ndarray) -> np.ndarray:
    """Each with mean 0 and standard deviation 1."""
    pictures = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return pictures / np.maximum(pictures.std(axis=(1, 2), keepdims=True), 1e-3)


def better_positions(look: Fingerprints) -> tuple[np.ndarray, np.ndarray]:
    """Where else in its crop each face would look more like the mean crop.

    Returns:
        (M, 2) pixels of the crop (x, y) from where the landmarks say to there, and (M,) the likeness there.
        NaN without a face.
    """
    moves, best = np.full((len(look.rows), 2), np.nan), np.full(len(look.rows), np.nan)
    if look.has_face.sum() < 3:
        return moves, best
    faces = _in_local_contrast(look)
    mean, size = faces.mean(axis=0), faces.shape[1]
    found, score = np.zeros((len(faces), 2)), np.full(len(faces), -1.0)
    for down in range(-REACH, REACH + 1):
        for right in range(-REACH, REACH + 1):
            seen, of_mean = (
                tuple(slice(max(0, d), size + min(0, d)) for d in (sign * down, sign * right))
                for sign in (1, -1)
            )
            like = (_standardise(faces[(slice(None), *seen)]) * _standardise(mean[of_mean][None])).mean(
                axis=(1, 2)
            )
            better = like > score
            score[better], found[better] = like[better], (right, down)
    moves[look.has_face], best[look.has_face] = found, score
    return moves, best


def worst_crops(look: Fingerprints, num: int = WORST) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the manifest whose crops are least like the others, the worst first, and their likeness."""
    like = likeness(look)
    order = np.argsort(like)[: min(num, int(np.isfinite(like).sum()))]
    return look.rows[order], like[order]


def check_crops(look: Fingerprints, data: DatasetFolder, seed: int = 0) -> list[Finding]:
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
    beside = {int(look.rows[i]): text for i, text in _misplaced(look, like, odd, middle, data).items()}
    findings = [Finding("crops", "error", text, (row,)) for row, text in beside.items()]
    suspects = [int(row) for row in look.rows[odd][np.argsort(like[odd])] if int(row) not in beside]
    if importlib.util.find_spec("dlib") is None:
        text = "its crop is unlike the others: is the face there? (see the contact sheet)"
        return findings + [Finding("crops", "warning", text, (row,)) for row in suspects]
    rng = np.random.default_rng(seed)
    sample = rng.choice(look.rows[look.has_face], min(SAMPLE, int(look.has_face.sum())), replace=False)
    errors = {row: _disagreement(data, row) for row in {*suspects[:SUSPECTS], *sample.tolist()}}
    seen = [errors[row] for row in sample.tolist() if errors[row] is not None]
    if len(seen) >= SAMPLE // 2 and np.median(seen) > MAX_NME:
        text = (
            f"a detector finds landmarks {100 * np.median(seen):.0f} % of the eyes' distance away in half "
            f"of {len(seen)} pictures: were the pictures scaled or cut after the landmarks were made?"
        )
        return [Finding("crops", "error", text)]
    for row, error in sorted(errors.items()):
        if error is not None and error > MAX_NME:
            text = (
                f"a detector finds the face {100 * error:.0f} % of the eyes' distance away from its landmarks"
            )
            findings.append(Finding("crops", "error", text, (row,)))
    for row in suspects:
        if errors.get(row) is None:
            why = "and a detector finds no face" if row in errors else "of which a detector saw the worst"
            text = f"its crop is unlike the others {why} (see the contact sheet)"
            findings.append(Finding("crops", "warning", text, (row,)))
    return findings


def _misplaced(
    look: Fingerprints, like: np.ndarray, odd: np.ndarray, middle: float, data: DatasetFolder
) -> dict[int, str]:
    """Odd crops that look like the others a little aside: the landmarks stand next to the face."""
    moves, there = better_positions(look)
    landmarks, found = data.landmarks, {}
    for index in np.flatnonzero(odd & (there > like + middle / 2) & (there > 0.7 * middle)):
        matrix = crop_matrix(landmarks[look.rows[index]], CropSpec(look.faces.shape[1]))
        right, down = np.linalg.inv(matrix[:, :2]) @ moves[index]
        text = f"its landmarks stand about {np.hypot(right, down):.0f} pixels next to the face, which is "
        sides = [f"{abs(v):.0f} to the {'right' if v > 0 else 'left'}" for v in (right,) if abs(v) >= 1]
        sides += [f"{abs(v):.0f} {'below' if v > 0 else 'above'}" for v in (down,) if abs(v) >= 1]
        found[int(index)] = text + " and ".join(sides)
    return found


def _disagreement(data: DatasetFolder, row: int) -> float | None:
    """Mean distance between given and detected landmarks over the distance of the eyes; None without a
    detection."""
    from aubench.datasets.landmark_detector import detect_landmarks

    try:
        found, _ = detect_landmarks(np.asarray(read_picture(data.image_paths[row])), max_upsample=1)
    except (OSError, ValueError, ModuleNotFoundError):
        return None
    if found is None:
        return None
    given = data.landmarks[row].astype(np.float64)
    points = given if len(given) == 49 else to_49(given)
    layout = layout_of(49)
    eyes = points[list(layout.right_eye)].mean(axis=0) - points[list(LAYOUT_49.left_eye)].mean(axis=0)
    return float(np.linalg.norm(points - to_49(found), axis=1).mean() / max(np.hypot(*eyes), 1e-6))
