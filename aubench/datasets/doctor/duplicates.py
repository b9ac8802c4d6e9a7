"""One picture under two names: also mirrored, lighter, darker, scaled, compressed anew, or slightly cropped.

Thumbnails are compared without their mean and spread. Near neighbours among short fingerprints are
candidates, as they are and mirrored; least squares aligns each pair before it is decided. Perceptual hashes
(`imagehash`) cannot replace this: cropping 5 of 128 pixels changes more of their bits than another person in
the same studio does.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from aubench.datasets.doctor.diagnosis import Finding
from aubench.datasets.doctor.pictures import FLAT, Fingerprints
from aulib.manifest import REQUIRED

SAME = 0.975  # correlation of two aligned thumbnails; two people before one wall can reach it
NEAR = 0.7  # the same before alignment; below it nothing is tried
CERTAIN = 0.99  # the same, from which faces need not agree: landmarks of one row may be those of another
SAME_FACE = 0.95  # correlation of face crops, lower for two people before one wall
NEIGHBOURS = 8  # compared with each picture
CELLS, DIMENSIONS = 8, 16  # the fingerprint: means of 8 x 8 cells, its 16 main directions
COARSE = 16  # pixels of what is aligned first
COARSE_SAME = 0.97  # what it must reach: most pairs fall there
CHUNK = 2000  # pairs aligned together
ROUNDS = 6  # of least squares; a crop of 5 in 128 pixels takes three
MAX_MOVE = 0.15  # of the side; larger crops are not looked for


def check_duplicates(prints: Fingerprints, table: pd.DataFrame) -> Iterator[Finding]:
    """Pictures that are in two splits, or (the very same thumbnail) of two subjects; each pair once."""
    rows = table.iloc[prints.rows]
    in_splits = find_duplicates(prints, rows["split"].to_numpy(str))
    of_subjects = sorted(set(_identical(prints, rows["subject"].to_numpy(str))) - set(in_splits))
    for level, pairs in (("error", in_splits), ("warning", of_subjects)):
        for pair in map(list, pairs):
            both = rows.iloc[pair]
            if both["image"].nunique() > 1:  # else `inspect` finds it
                yield Finding("duplicates", level, _describe(both), tuple(prints.rows[pair].tolist()))


def _describe(pair: pd.DataFrame) -> str:
    places = [f"{image} of {subject} in {split}" for image, subject, split in pair[list(REQUIRED)].values]
    text = f"the same picture twice: {' and '.join(places)}"
    labels = pair[[column for column in pair if column[:2] == "AU" and column.endswith("_c")]]
    differing = labels.columns[labels.nunique() > 1]
    return text + (f", with other labels in {', '.join(differing[:4])}" if len(differing) else "")


def _identical(prints: Fingerprints, subjects: np.ndarray) -> list[tuple[int, int]]:
    """Pairs with the very same thumbnail and different subjects."""
    first: dict[bytes, int] = {}
    pairs = []
    for index in _not_flat(prints):
        other = first.setdefault(prints.thumbs[index].tobytes(), index)
        if subjects[other] != subjects[index]:
            pairs.append((other, index))
    return pairs


def _not_flat(prints: Fingerprints) -> list[int]:
    return np.flatnonzero(prints.thumbs.std(axis=(1, 2)) >= FLAT).tolist()


def find_duplicates(prints: Fingerprints, groups: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of indices into `prints` that are one picture and lie in different groups (splits, say).

    Args:
        groups: (M,) any labels.
    """
    usable = np.array(_not_flat(prints))
    if len(usable) < 2:
        return []
    thumbs, faces = normalised(prints.thumbs), normalised(prints.faces)
    pairs = _candidates(thumbs, usable, groups)
    pairs = pairs[_align_pairs(normalised(_cells(prints.thumbs, COARSE)), pairs) >= COARSE_SAME]
    alike = _align_pairs(thumbs, pairs)
    one, other, flip = pairs.T
    both_faces = prints.has_face[one] & prints.has_face[other]
    faces_alike = (faces[one] * _mirrored_where(faces[other], flip)).mean(axis=(1, 2)) >= SAME_FACE
    same = (alike >= CERTAIN) | ((alike >= SAME) & (faces_alike | ~both_faces))
    return sorted({(int(a), int(b)) for a, b, _ in pairs[same]})


def normalised(pictures: np.ndarray, least: float = 1.0) -> np.ndarray:
    """(M, S, S) float32 with mean 0 and standard deviation 1 each: light and contrast taken out. A standard
    deviation below `least` counts as that."""
    pictures = pictures.astype(np.float32)
    pictures -= pictures.mean(axis=(1, 2), keepdims=True)
    return pictures / np.maximum(pictures.std(axis=(1, 2), keepdims=True), least)


def _candidates(thumbs: np.ndarray, usable: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(P, 3) pairs of different groups that are near neighbours, and 1 where one of them is mirrored.

    Cells of two thumbnails with correlation NEAR are at most CELLS * sqrt(2 - 2 NEAR) apart, and projections
    no farther, so that the search misses none unless one has more than NEIGHBOURS.
    """
    prints, mirrored = _fingerprints(thumbs[usable])
    radius = CELLS * np.sqrt(2 - 2 * NEAR) + 1e-3
    pairs = [np.zeros((0, 3), int)]
    for group in np.unique(groups[usable]):
        inside = np.flatnonzero(groups[usable] == group)
        outside = np.flatnonzero(groups[usable] != group)
        if not len(outside):
            continue
        tree, nearest = cKDTree(prints[inside]), range(1, min(NEIGHBOURS, len(inside)) + 1)
        for flip, queries in enumerate((prints, mirrored)):
            _, found = tree.query(queries[outside], k=nearest, distance_upper_bound=radius)
            query, place = np.nonzero(found < len(inside))  # len(inside) means none
            both = usable[outside[query]], usable[inside[found[query, place]]]
            pairs.append(np.stack([np.minimum(*both), np.maximum(*both), np.full(len(query), flip)], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _fingerprints(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, DIMENSIONS) float32 of (M, S, S) thumbnails, and of the thumbnails mirrored."""
    plain = _cells(thumbs, CELLS).reshape(len(thumbs), -1)
    mirrored = _cells(thumbs[:, :, ::-1], CELLS).reshape(len(thumbs), -1)
    middle = plain.mean(axis=0)
    _, directions = np.linalg.eigh((plain - middle).T @ (plain - middle))
    main = directions[:, -DIMENSIONS:]
    return ((plain - middle) @ main).astype(np.float32), ((mirrored - middle) @ main).astype(np.float32)


def _cells(pictures: np.ndarray, count: int) -> np.ndarray:
    """(M, count, count) means of the cells of (M, S, S) pictures."""
    side = pictures.shape[1] // count
    return pictures.reshape(-1, count, side, count, side).mean(axis=(2, 4))


def _mirrored_where(pictures: np.ndarray, flip: np.ndarray) -> np.ndarray:
    return np.where(flip[:, None, None] == 1, pictures[:, :, ::-1], pictures)


def _align_pairs(pictures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) `aligned_correlation` of (P, 3) pairs, CHUNK at a time."""
    parts = [np.zeros(0)]
    for start in range(0, len(pairs), CHUNK):
        one, other, flip = pairs[start : start + CHUNK].T
        parts.append(aligned_correlation(pictures[one], _mirrored_where(pictures[other], flip)))
    return np.concatenate(parts)


def aligned_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The best correlations of pairs of normalised pictures while each of `one` is moved and stretched along
    both axes to match that of `other`: as they are, and after each round of Gauss-Newton.

    Pairs with less than NEAR as they are are not tried. A pair ends when its move becomes too large.

    Args:
        one, other: (P, S, S).

    Returns:
        (P,)
    """
    best = (one * other).mean(axis=(1, 2))
    tried = np.flatnonzero((best >= NEAR) & (best < CERTAIN))
    stretch, shift = np.ones((len(tried), 2)), np.zeros((len(tried), 2))  # of rows and columns
    for _ in range(ROUNDS):
        if not len(tried):
            break
        moved, seen = _resample(one[tried], stretch, shift)
        enough = seen.mean(axis=(1, 2)) >= 0.5
        alike = _correlation(moved, other[tried], seen)
        best[tried[enough]] = np.maximum(best[tried], alike)[enough]
        step = _gauss_newton_step(moved, other[tried], seen, stretch)
        stretch, shift = stretch + step[:, :2], shift + step[:, 2:]
        far = np.abs(np.concatenate([stretch - 1, shift], axis=1)).max(axis=1) > 2 * MAX_MOVE
        going_on = enough & ~far & (best[tried] < CERTAIN)
        tried, stretch, shift = tried[going_on], stretch[going_on], shift[going_on]
    return best


def _resample(pictures: np.ndarray, stretch: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, S, S) pictures at grid * stretch + shift (sides are 1, the centre 0), and what lies inside."""
    size = pictures.shape[1]
    places = np.linspace(-0.5, 0.5, size) * stretch[..., None] + shift[..., None]  # (P, 2, S)
    pixels = ((places + 0.5) * (size - 1)).clip(0, size - 1)
    rows, columns = (1 - np.abs(pixels[..., None] - np.arange(size))).clip(0).swapaxes(0, 1)  # linear weights
    inside = np.abs(places) <= 0.5
    return rows @ pictures @ columns.swapaxes(1, 2), inside[:, 0, :, None] & inside[:, 1, None, :]


def _gauss_newton_step(moved: np.ndarray, other: np.ndarray, seen: np.ndarray, stretch: np.ndarray):
    """(P, 4) change of stretch and shift, together with light and contrast, where both are seen."""
    num, size = moved.shape[:2]
    grid = np.linspace(-0.5, 0.5, size)
    down, across = np.gradient(moved, 1 / (size - 1), axis=(1, 2))
    down, across = down / stretch[:, 0, None, None], across / stretch[:, 1, None, None]
    columns = [down * grid[:, None], across * grid, down, across, moved, np.ones_like(moved)]
    design = np.stack([(column * seen).reshape(num, -1) for column in columns], axis=2)  # (P, S * S, 6)
    normal = design.swapaxes(1, 2) @ design + 1e-6 * np.eye(6)
    right = design.swapaxes(1, 2) @ (other - moved).reshape(num, -1, 1)
    return np.linalg.solve(normal, right)[:, :4, 0]


def _correlation(one: np.ndarray, other: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(P,) Pearson's of (P, S, S) values where seen."""
    count = seen.sum(axis=(1, 2), keepdims=True).clip(1)
    one, other = ((x - (x * seen).sum(axis=(1, 2), keepdims=True) / count) * seen for x in (one, other))
    spread = np.sqrt((one**2).sum(axis=(1, 2)) * (other**2).sum(axis=(1, 2)))
    return (one * other).sum(axis=(1, 2)) / np.maximum(spread, 1e-9)
