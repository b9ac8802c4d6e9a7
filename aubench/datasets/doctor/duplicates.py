"""One picture under two names: also mirrored, lighter or darker, scaled, compressed anew, or cut a little.

Thumbnails are compared after their own mean and spread are taken out. Near neighbours among fingerprints are
candidates, as they are and mirrored; each is laid over the other by least squares before it is decided.
"""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from aubench.datasets.doctor.findings import Finding
from aubench.datasets.doctor.fingerprints import FLAT, Fingerprints

SAME = 0.975  # correlation of two thumbnails laid over each other; strangers before one wall can reach it
NEAR = 0.7  # the same before they are laid over each other: below it nothing is tried
CERTAIN = 0.99  # the same, from which faces need not agree: landmarks of one row may be those of another
SAME_FACE = 0.95  # correlation of face crops, which tell such people apart
NEIGHBOURS = 8  # looked at for each picture
CELLS, DIMENSIONS = 8, 16  # the fingerprint: means of 8 x 8 cells, its 16 main directions
COARSE, COARSE_SAME = 16, 0.97  # pixels of what is laid over first, and what it must reach: most fall there
AT_ONCE = 2000  # pairs laid over together
ROUNDS = 6  # of least squares; a crop of 5 in 128 pixels takes three
MAX_MOVE = 0.15  # of the side: what is cut off more is not looked for
SHOWN = 50  # pairs of a kind that become findings of their own


def find_duplicates(look: Fingerprints, groups: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of indices into `look` that are one picture and stand in different groups (splits, say).

    Args:
        groups: (M,) any labels.
    """
    usable = np.flatnonzero(look.thumbs.reshape(len(look.thumbs), -1).std(axis=1) >= FLAT)
    if len(usable) < 2:
        return []
    thumbs, faces = normalised(look.thumbs), normalised(look.faces)
    pairs = _candidates(thumbs, usable, groups)
    pairs = pairs[_aligned_correlations(normalised(_cells(look.thumbs, COARSE)), pairs) >= COARSE_SAME]
    alike = _aligned_correlations(thumbs, pairs)
    one, other, flip = pairs.T
    both = look.has_face[one] & look.has_face[other]
    of_faces = (faces[one] * _mirrored_where(faces[other], flip)).mean(axis=(1, 2))
    found = (alike >= np.where(both, CERTAIN, SAME)) | (both & (alike >= SAME) & (of_faces >= SAME_FACE))
    return sorted({(int(a), int(b)) for a, b, _ in pairs[found]})


def normalised(pictures: np.ndarray) -> np.ndarray:
    """(M, S, S) float32 with mean 0 and standard deviation 1 each: light and contrast taken out."""
    pictures = pictures.astype(np.float32)
    pictures -= pictures.mean(axis=(1, 2), keepdims=True)
    return pictures / np.maximum(pictures.std(axis=(1, 2), keepdims=True), 1.0)


def _candidates(thumbs: np.ndarray, usable: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(P, 3) pairs of different groups that are near neighbours, and 1 where one of them is mirrored.

    Cells of two thumbnails with correlation NEAR are at most CELLS * sqrt(2 - 2 NEAR) apart, and projections
    no farther, so that the search misses none unless one has more than NEIGHBOURS.
    """
    prints, mirrored = _fingerprints(thumbs[usable])
    pairs = [np.zeros((0, 3), int)]
    for group in np.unique(groups[usable]):
        inside = np.flatnonzero(groups[usable] == group)
        outside = np.flatnonzero(groups[usable] != group)
        if not len(outside):
            continue
        tree = cKDTree(prints[inside])
        for flip, queries in enumerate((prints, mirrored)):
            _, found = tree.query(
                queries[outside],
                k=range(1, min(NEIGHBOURS, len(inside)) + 1),
                distance_upper_bound=CELLS * np.sqrt(2 - 2 * NEAR) + 1e-3,
            )
            query, place = np.nonzero(found < len(inside))
            both = usable[outside[query]], usable[inside[found[query, place]]]
            pairs.append(np.stack([np.minimum(*both), np.maximum(*both), np.full(len(query), flip)], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _fingerprints(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, DIMENSIONS) float32 of (M, S, S) thumbnails, and of the thumbnails mirrored."""
    plain, mirrored = (
        _cells(pictures, CELLS).reshape(len(thumbs), -1) for pictures in (thumbs, thumbs[:, :, ::-1])
    )
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


def _aligned_correlations(pictures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) `aligned_correlation` of (P, 3) pairs, some thousands at a time."""
    parts = [np.zeros(0)]
    for start in range(0, len(pairs), AT_ONCE):
        one, other, flip = pairs[start : start + AT_ONCE].T
        parts.append(aligned_correlation(pictures[one], _mirrored_where(pictures[other], flip)))
    return np.concatenate(parts)


def aligned_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The best correlations of pairs of normalised pictures while each of `one` is moved and stretched along
    both axes to lie over that of `other`: as they are, and after each round. Pairs too unlike as they are
    are not tried; the rounds of a pair end where the move becomes too large.

    Gauss-Newton over two stretches, two shifts, light and contrast; only what both show is compared.

    Args:
        one, other: (P, S, S).

    Returns:
        (P,)
    """
    best = (one * other).mean(axis=(1, 2))
    tried = np.flatnonzero((best >= NEAR) & (best < CERTAIN))
    one, other = one[tried], other[tried]
    size = one.shape[1]
    grid, cells = np.linspace(-0.5, 0.5, size), np.arange(size)
    stretch, shift = np.ones((len(tried), 2)), np.zeros((len(tried), 2))
    for _ in range(ROUNDS):
        if not len(tried):
            break
        places = grid * stretch[..., None] + shift[..., None]  # (P, 2, S) in `one`, of rows and columns
        position = ((places + 0.5) * (size - 1)).clip(0, size - 1)
        down, across = (1 - np.abs(position[..., None] - cells)).clip(0).swapaxes(0, 1)  # (P, S, S) weights
        moved = down @ one @ across.swapaxes(1, 2)
        seen = np.einsum("pi,pj->pij", *(np.abs(places) <= 0.5).swapaxes(0, 1)).reshape(len(tried), -1)
        kept = seen.mean(axis=1) >= 0.5
        slopes = [
            slope / stretch[:, axis, None, None]
            for axis, slope in enumerate(np.gradient(moved, 1 / (size - 1), axis=(1, 2)))
        ]
        columns = [slopes[0] * grid[:, None], slopes[1] * grid, *slopes, moved, np.ones_like(moved)]
        design = np.stack([column.reshape(len(tried), -1) for column in columns], axis=2) * seen[..., None]
        left = (other - moved).reshape(len(tried), -1)
        alike = _correlation(moved.reshape(len(tried), -1), other.reshape(len(tried), -1), seen)
        best[tried[kept]] = np.maximum(best[tried[kept]], alike[kept])
        normal = design.swapaxes(1, 2) @ design + 1e-6 * np.eye(6)
        step = np.linalg.solve(normal, design.swapaxes(1, 2) @ left[..., None])[..., 0]
        stretch, shift = stretch + step[:, :2], shift + step[:, 2:4]
        far = np.abs(np.concatenate([stretch - 1, shift], axis=1)).max(axis=1) > 2 * MAX_MOVE
        on = kept & ~far & (best[tried] < CERTAIN)
        tried, one, other, stretch, shift = tried[on], one[on], other[on], stretch[on], shift[on]
    return best


def _correlation(one: np.ndarray, other: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(P,) Pearson's of (P, N) values where seen."""
    count = seen.sum(axis=1, keepdims=True).clip(1)
    one, other = ((x - (x * seen).sum(axis=1, keepdims=True) / count) * seen for x in (one, other))
    spread = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return (one * other).sum(axis=1) / np.maximum(spread, 1e-9)


def check_duplicates(look: Fingerprints, table: pd.DataFrame) -> list[Finding]:
    """Pictures that stand in two splits, or (byte for byte) under two people; each pair is said once."""
    rows = table.iloc[look.rows]
    kinds = {"the same picture in {}": find_duplicates(look, rows["split"].to_numpy(str))}
    said_already = set(kinds["the same picture in {}"])
    twice = [pair for pair in _twice(look, rows["subject"].to_numpy(str)) if pair not in said_already]
    kinds["the same picture under two subjects"] = twice
    findings = []
    for text, pairs in kinds.items():
        level = "error" if "{}" in text else "warning"
        for number, (first, second) in enumerate(pairs):
            one, other = int(look.rows[first]), int(look.rows[second])
            images, splits = table["image"].iloc[[one, other]].tolist(), table["split"].iloc[[one, other]]
            if images[0] == images[1]:
                continue  # said by the checks of the manifest
            if number == SHOWN:
                findings.append(Finding("duplicates", level, f"{len(pairs) - SHOWN} more such pairs"))
                break
            said = f"{text.format(' and '.join(sorted(splits)))}: {' and '.join(images)}"
            people = table["subject"].iloc[[one, other]]
            if "{}" in text and people.nunique() > 1:
                said += f", of subjects {' and '.join(people)}"
            said += _labels(table, one, other)
            findings.append(Finding("duplicates", level, said, (one, other)))
    return findings


def _twice(look: Fingerprints, subjects: np.ndarray) -> list[tuple[int, int]]:
    """Pairs with the very same thumbnail and different subjects."""
    first: dict[bytes, int] = {}
    pairs = []
    for index, thumb in enumerate(look.thumbs):
        if thumb.std() < FLAT:
            continue
        other = first.setdefault(thumb.tobytes(), index)
        if other != index and subjects[other] != subjects[index]:
            pairs.append((other, index))
    return pairs


def _labels(table: pd.DataFrame, one: int, other: int) -> str:
    """Which labels of the two rows contradict each other, as the end of a sentence."""
    columns = [column for column in table.columns if column[:2] == "AU" and column.endswith("_c")]
    first, second = table[columns].iloc[one], table[columns].iloc[other]
    differing = [
        c for c in columns if first[c] == first[c] and second[c] == second[c] and first[c] != second[c]
    ]
    return f", with other labels in {', '.join(differing[:4])}" if differing else ""
