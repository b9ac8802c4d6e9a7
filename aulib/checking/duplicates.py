"""One picture under two names: near neighbours among fingerprints, confirmed on thumbnails and faces."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from aulib.checking.findings import Finding
from aulib.checking.pictures import FLAT, Look

MAX_DIFFERENCE = (
    5.0  # grey levels, root mean square over thumbnails of one picture, scaled or compressed anew
)
MAX_FACE_DIFFERENCE = 15.0  # the same over face crops, which tell people apart before one plain wall
NEIGHBOURS = 8  # looked at for each picture
CELLS, DIMENSIONS = 8, 16  # the fingerprint: means of 8 x 8 cells, its 16 main directions
SHOWN = 50  # pairs of a kind that become findings of their own


def find_duplicates(look: Look, groups: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of indices into `look` that are one picture and stand in different groups (splits, say).

    Two thumbnails that differ by at most MAX_DIFFERENCE have cell means at most CELLS * MAX_DIFFERENCE apart,
    and projections no farther, so that the search misses none unless one has more than NEIGHBOURS.

    Args:
        groups: (M,) any labels.
    """
    usable = np.flatnonzero(look.thumbs.reshape(len(look.thumbs), -1).std(axis=1) >= FLAT)
    if len(usable) < 2:
        return []
    prints = _fingerprints(look.thumbs[usable])
    pairs: set[tuple[int, int]] = set()
    for group in np.unique(groups[usable]):
        inside = np.flatnonzero(groups[usable] == group)
        outside = np.flatnonzero(groups[usable] != group)
        if not len(outside):
            continue
        _, found = cKDTree(prints[inside]).query(
            prints[outside],
            k=min(NEIGHBOURS, len(inside)),
            distance_upper_bound=CELLS * MAX_DIFFERENCE + 1e-3,
        )
        for one, nearest in zip(outside, found.reshape(len(outside), -1), strict=True):
            for other in nearest[nearest < len(inside)]:
                a, b = sorted((int(usable[one]), int(usable[inside[other]])))
                pairs.add((a, b))
    return sorted(pair for pair in pairs if _is_one_picture(look, *pair))


def _fingerprints(thumbs: np.ndarray) -> np.ndarray:
    """(M, DIMENSIONS) float32 of (M, S, S) thumbnails."""
    side = thumbs.shape[1] // CELLS
    cells = thumbs.reshape(len(thumbs), CELLS, side, CELLS, side).mean(axis=(2, 4)).reshape(len(thumbs), -1)
    cells -= cells.mean(axis=0)
    _, directions = np.linalg.eigh(cells.T @ cells)
    return (cells @ directions[:, -DIMENSIONS:]).astype(np.float32)


def _is_one_picture(look: Look, one: int, other: int) -> bool:
    if _difference(look.thumbs, one, other) > MAX_DIFFERENCE:
        return False
    both = look.has_face[one] and look.has_face[other]
    return not both or _difference(look.faces, one, other) <= MAX_FACE_DIFFERENCE


def _difference(pictures: np.ndarray, one: int, other: int) -> float:
    gap = pictures[one].astype(np.float32) - pictures[other].astype(np.float32)
    return float(np.sqrt((gap**2).mean()))


def check_duplicates(look: Look, table: pd.DataFrame) -> list[Finding]:
    """Pictures that stand in two splits, or (byte for byte) under two people."""
    rows = table.iloc[look.rows]
    kinds = {"the same picture in {}": find_duplicates(look, rows["split"].to_numpy(str))}
    kinds["the same picture under two subjects"] = _twice(look, rows["subject"].to_numpy(str))
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
