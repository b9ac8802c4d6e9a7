"""Landmark layouts (names, eye corners, flip order, 68 <-> 49), AU centres, and landmarks in tables.

Landmarks are pixels, x then y; the centre of the top left pixel is (0, 0). "Right" is the person's right,
on the left of the picture. Functions of (..., K, 2) take NumPy arrays and torch tensors.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MAX_MARGIN = 0.5  # landmarks may be outside the picture by this share of its longer side

# iBUG 68 without the jaw line (0-16) and the inner mouth corners (60, 64) is the 49-point layout.
POINTS_49_IN_68: tuple[int, ...] = (*range(17, 60), 61, 62, 63, 65, 66, 67)


@dataclass(frozen=True)
class Layout:
    """What each landmark index means, from 0.

    `flip_index`: after mirroring x, new[i] = old[flip_index[i]].
    `parts`: which landmarks a part of the face has, by name.
    `au_centres`: (index, share of the inner-eye distance to move it down; negative is up).
    """

    num_landmarks: int
    outer_eye_corners: tuple[int, int]  # right, left
    inner_eye_corners: tuple[int, int]
    right_eye: tuple[int, ...]
    left_eye: tuple[int, ...]
    nose_tip: int
    mouth_corners: tuple[int, int]
    parts: dict[str, range]
    flip_index: tuple[int, ...]
    au_centres: tuple[tuple[int, float], ...]


def _reverse(first: int, last: int) -> range:
    return range(last, first - 1, -1)


_FLIP_68 = (
    *_reverse(0, 16),  # jaw line
    *_reverse(17, 26),  # brows
    *range(27, 31),  # nose bridge
    *_reverse(31, 35),  # nostrils
    *(45, 44, 43, 42, 47, 46),  # right eye <- left eye
    *(39, 38, 37, 36, 41, 40),
    *_reverse(48, 54),  # outer lip, upper edge
    *_reverse(55, 59),  # outer lip, lower edge
    *_reverse(60, 64),  # inner lip
    *_reverse(65, 67),
)

# ADLD's twelve moves (dataset: 49 points) in the order brows, cheeks, nose, chin.
_AU_CENTRES_49 = (
    *((4, -1 / 2), (5, -1 / 2)),  # above the inner brows
    *((1, -1 / 3), (8, -1 / 3)),  # above the outer brows
    *((2, 1 / 3), (7, 1 / 3)),  # below the middle of the brows
    *((24, 1.0), (29, 1.0)),  # cheeks
    *((15, -1 / 2), (17, -1 / 2)),  # sides of the nose
    *((39, 1 / 2), (41, 1 / 2)),  # below the lower lip
)

LAYOUT_68 = Layout(
    num_landmarks=68,
    outer_eye_corners=(36, 45),
    inner_eye_corners=(39, 42),
    right_eye=tuple(range(36, 42)),
    left_eye=tuple(range(42, 48)),
    nose_tip=30,
    mouth_corners=(48, 54),
    parts={
        "jaw line": range(0, 17),
        "brows": range(17, 27),
        "nose": range(27, 36),
        "eyes": range(36, 48),
        "mouth": range(48, 68),
    },
    flip_index=_FLIP_68,
    au_centres=tuple((POINTS_49_IN_68[index], share) for index, share in _AU_CENTRES_49),
)

LAYOUT_49 = Layout(
    num_landmarks=49,
    outer_eye_corners=(19, 28),
    inner_eye_corners=(22, 25),
    right_eye=tuple(range(19, 25)),
    left_eye=tuple(range(25, 31)),
    nose_tip=13,
    mouth_corners=(31, 37),
    parts={"brows": range(0, 10), "nose": range(10, 19), "eyes": range(19, 31), "mouth": range(31, 49)},
    flip_index=tuple(POINTS_49_IN_68.index(_FLIP_68[point]) for point in POINTS_49_IN_68),
    au_centres=_AU_CENTRES_49,
)


def layout_of(num_landmarks: int) -> Layout:
    """The layout with that many landmarks; ValueError unless 49 or 68."""
    for layout in (LAYOUT_49, LAYOUT_68):
        if layout.num_landmarks == num_landmarks:
            return layout
    raise ValueError(f"no layout has {num_landmarks} landmarks, expected 49 or 68")


def to_49(landmarks):
    """The 49-point layout: (..., 68, 2) -> (..., 49, 2), a copy; 49 points as they are."""
    if landmarks.shape[-2] == 49:
        return landmarks
    if landmarks.shape[-2] != 68:
        raise ValueError(f"landmarks have shape {tuple(landmarks.shape)}, expected (..., 68 or 49, 2)")
    return landmarks[..., list(POINTS_49_IN_68), :]


def move_to_au_centres(landmarks):
    """Move twelve landmarks to where AUs show (forehead, cheeks, nose sides, chin).

    The unit is the distance in x of the inner eye corners; faces should be upright. Source: ADLD's
    `land_transform` of 49 points; the 68-point layout moves the same twelve.

    Args:
        landmarks: (..., K, 2) pixels, NumPy or torch, K = 49 or 68.

    Returns:
        (..., K, 2) a new array or tensor.
    """
    layout = layout_of(landmarks.shape[-2])
    moved = np.array(landmarks) if isinstance(landmarks, np.ndarray) else landmarks.clone()
    right, left = layout.inner_eye_corners
    ruler = abs(landmarks[..., right, 0] - landmarks[..., left, 0])  # (...)
    for index, share in layout.au_centres:
        moved[..., index, 1] += share * ruler
    return moved


def count_points(columns: Iterable[str]) -> int:
    """How many columns x_0, x_1 ... there are."""
    return sum(re.fullmatch(r"x_\d+", column) is not None for column in columns)


def points_of(table, dtype: type = np.float32) -> np.ndarray:
    """(N, K, 2) of the columns x_0, y_0 ... of a table, NaN where a cell is empty; a copy."""
    num = count_points(table.columns)
    columns = [f"{axis}_{point}" for point in range(num) for axis in "xy"]
    return table[columns].to_numpy(dtype, copy=True, na_value=np.nan).reshape(len(table), num, 2)


def point_columns(points: np.ndarray) -> dict[str, np.ndarray]:
    """The columns x_0 ... y_0 ... of (N, K, 2) points."""
    return {f"{axis}_{k}": points[:, k, i] for i, axis in enumerate("xy") for k in range(points.shape[1])}


def refuse_outside(landmarks: np.ndarray, picture_size: tuple[int, int]) -> None:
    """ValueError if (K, 2) landmarks lie far outside a picture of (width, height)."""
    width, height = picture_size
    margin = MAX_MARGIN * max(width, height)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    if (low < -margin).any() or high[0] > width + margin or high[1] > height + margin:
        raise ValueError(
            f"landmarks span x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} to {high[1]:.0f}, "
            f"expected inside the picture of {width} x {height} (margin {margin:.0f})"
        )
