"""One picture under two names: also mirrored, lighter or darker, scaled, compressed anew, or cut a little.

Thumbnails are compared after their own mean and spread are taken out. Near neighbours among fingerprints are
candidates, as they are and mirrored; each is laid over the other by least squares before it is decided.
"""

import numpy as np
import pandas as pd
from scipy.ndimage import affine_transform
from scipy.spatial import cKDTree

from aulib.checking.findings import Finding
from aulib.checking.pictures import FLAT, Look

SAME = 0.975  # correlation of two thumbnails laid over each other; of 1,500 people no two reach 0.965
NEAR = 0.7  # the same before they are laid over each other: below it nothing is tried
SURELY = 0.99  # the same, from which faces need not agree: landmarks of one row may be those of another
SAME_FACE = 0.9  # correlation of face crops, which tell people apart before one plain wall
NEIGHBOURS = 8  # looked at for each picture
CELLS, DIMENSIONS = 8, 16  # the fingerprint: means of 8 x 8 cells, its 16 main directions
ROUNDS = 6  # of least squares; a crop of 5 in 128 pixels takes three
MAX_MOVE = 0.15  # of the side: what is cut off more is not looked for
SHOWN = 50  # pairs of a kind that become findings of their own


def find_duplicates(look: Look, groups: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of indices into `look` that are one picture and stand in different groups (splits, say).

    Args:
        groups: (M,) any labels.
    """
    usable = np.flatnonzero(look.thumbs.reshape(len(look.thumbs), -1).std(axis=1) >= FLAT)
    if len(usable) < 2:
        return []
    thumbs, faces = normalised(look.thumbs), normalised(look.faces)
    return sorted(
        pair for pair in _candidates(thumbs, usable, groups) if _is_one_picture(thumbs, faces, look, *pair)
    )


def normalised(pictures: np.ndarray) -> np.ndarray:
    """(M, S, S) float32 with mean 0 and standard deviation 1 each: light and contrast taken out."""
    pictures = pictures.astype(np.float32)
    pictures -= pictures.mean(axis=(1, 2), keepdims=True)
    return pictures / np.maximum(pictures.std(axis=(1, 2), keepdims=True), 1.0)


def _candidates(thumbs: np.ndarray, usable: np.ndarray, groups: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of different groups that are near neighbours, as they are or mirrored.

    Cells of two thumbnails with correlation NEAR are at most CELLS * sqrt(2 - 2 NEAR) apart, and projections
    no farther, so that the search misses none unless one has more than NEIGHBOURS.
    """
    prints, mirrored = _fingerprints(thumbs[usable])
    pairs: set[tuple[int, int]] = set()
    for group in np.unique(groups[usable]):
        inside = np.flatnonzero(groups[usable] == group)
        outside = np.flatnonzero(groups[usable] != group)
        if not len(outside):
            continue
        tree = cKDTree(prints[inside])
        for queries in (prints, mirrored):
            _, found = tree.query(
                queries[outside],
                k=min(NEIGHBOURS, len(inside)),
                distance_upper_bound=CELLS * np.sqrt(2 - 2 * NEAR) + 1e-3,
            )
            for one, nearest in zip(outside, found.reshape(len(outside), -1), strict=True):
                for other in nearest[nearest < len(inside)]:
                    a, b = sorted((int(usable[one]), int(usable[inside[other]])))
                    pairs.add((a, b))
    return pairs


def _fingerprints(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, DIMENSIONS) float32 of (M, S, S) thumbnails, and of the thumbnails mirrored."""
    side = thumbs.shape[1] // CELLS

    def cells(pictures):
        return pictures.reshape(-1, CELLS, side, CELLS, side).mean(axis=(2, 4)).reshape(len(thumbs), -1)

    plain, mirrored = cells(thumbs), cells(thumbs[:, :, ::-1])
    middle = plain.mean(axis=0)
    _, directions = np.linalg.eigh((plain - middle).T @ (plain - middle))
    main = directions[:, -DIMENSIONS:]
    return ((plain - middle) @ main).astype(np.float32), ((mirrored - middle) @ main).astype(np.float32)


def _is_one_picture(thumbs: np.ndarray, faces: np.ndarray, look: Look, one: int, other: int) -> bool:
    both = look.has_face[one] and look.has_face[other]
    for flip in (slice(None), slice(None, None, -1)):
        alike = likeness_laid_over(thumbs[one], thumbs[other][:, flip])
        if alike >= (SURELY if both else SAME):
            return True
        if both and alike >= SAME and (faces[one] * faces[other][:, flip]).mean() >= SAME_FACE:
            return True
    return False


def likeness_laid_over(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two normalised pictures after `one` is moved and stretched along both axes to lie over
    `other`; without it where they are too unlike or the move is too large.

    Gauss-Newton over two stretches, two shifts, light and contrast; only what both show is compared.
    """
    plain = float((one * other).mean())
    if plain < NEAR or plain >= SURELY:
        return plain
    size = one.shape[0]
    grid = np.linspace(-0.5, 0.5, size)
    stretch, shift, best = np.ones(2), np.zeros(2), plain
    for _ in range(ROUNDS):
        places = [grid * stretch[i] + shift[i] for i in (0, 1)]  # in `one`, of each row and column of `other`
        offset = (shift - stretch / 2 + 0.5) * (size - 1)
        moved = affine_transform(one, stretch, offset, order=1, mode="nearest")
        down, right = np.gradient(moved, 1 / (size - 1))
        seen = np.outer(np.abs(places[0]) <= 0.5, np.abs(places[1]) <= 0.5)
        if seen.sum() < 0.5 * size**2:
            return plain
        best = max(best, float(np.corrcoef(moved[seen], other[seen])[0, 1]))
        down, right = down / stretch[0], right / stretch[1]
        columns = [down * grid[:, None], right * grid[None], down, right, moved, np.ones_like(moved)]
        design = np.stack([column[seen] for column in columns], axis=1)
        step, *_ = np.linalg.lstsq(design, (other - moved)[seen], rcond=None)
        stretch, shift = stretch + step[:2], shift + step[2:4]
        if np.abs([*(stretch - 1), *shift]).max() > 2 * MAX_MOVE or best >= SURELY:
            break
    return best


def check_duplicates(look: Look, table: pd.DataFrame) -> list[Finding]:
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


def _twice(look: Look, subjects: np.ndarray) -> list[tuple[int, int]]:
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
