"""Landmark layouts (names, eye corners, flip order, 68 <-> 49) and points <-> maps.

Landmarks are pixels, x then y; the centre of the top left pixel is (0, 0). "Right" is the person's
right, which is on the left of the picture. Functions take NumPy arrays and torch tensors alike where
they say (..., K, 2); torch itself is only needed by whoever brings tensors.
"""

from dataclasses import dataclass

import numpy as np

MAX_MARGIN = 0.5  # landmarks may lie outside the picture by this share of its longer side

# iBUG 68 without the jaw line (0-16) and the inner mouth corners (60, 64) is the 49-point layout.
POINTS_49_IN_68: tuple[int, ...] = (*range(17, 60), 61, 62, 63, 65, 66, 67)


@dataclass(frozen=True)
class Layout:
    """What each landmark index means. All indices 0-based.

    `flip_index`: after mirroring x, new[i] = old[flip_index[i]].
    `au_centres`: (index, share of the inner-eye distance to move it down; negative is up).
    """

    name: str
    num_landmarks: int
    outer_eye_corners: tuple[int, int]  # right, left
    inner_eye_corners: tuple[int, int]
    right_eye: tuple[int, ...]
    left_eye: tuple[int, ...]
    nose_tip: int
    mouth_corners: tuple[int, int]
    flip_index: tuple[int, ...]
    au_centres: tuple[tuple[int, float], ...]


def _reverse(first: int, last: int) -> list[int]:
    return list(range(last, first - 1, -1))


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
    *((15, -1 / 2), (17, -1 / 2)),  # beside the nose
    *((39, 1 / 2), (41, 1 / 2)),  # below the lower lip
)

LAYOUT_68 = Layout(
    name="ibug68",
    num_landmarks=68,
    outer_eye_corners=(36, 45),
    inner_eye_corners=(39, 42),
    right_eye=tuple(range(36, 42)),
    left_eye=tuple(range(42, 48)),
    nose_tip=30,
    mouth_corners=(48, 54),
    flip_index=_FLIP_68,
    au_centres=tuple((POINTS_49_IN_68[index], share) for index, share in _AU_CENTRES_49),
)

LAYOUT_49 = Layout(
    name="adld49",
    num_landmarks=49,
    outer_eye_corners=(19, 28),
    inner_eye_corners=(22, 25),
    right_eye=tuple(range(19, 25)),
    left_eye=tuple(range(25, 31)),
    nose_tip=13,
    mouth_corners=(31, 37),
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
    """The 49-point layout from the 68-point one: (..., 68, 2) -> (..., 49, 2), a copy."""
    if landmarks.shape[-2] != 68:
        raise ValueError(f"landmarks have shape {tuple(landmarks.shape)}, expected (..., 68, 2)")
    return landmarks[..., list(POINTS_49_IN_68), :]


def move_to_au_centres(landmarks, layout: Layout | None = None):
    """Move twelve landmarks to where AUs show (forehead, cheeks, nose sides, chin).

    The unit is |x| between the inner eye corners, "up" is the picture's, so faces should be upright.
    Source: ADLD's `land_transform` and its 12 of 49 points, which edits its input in place; this does not.
    The 68-point layout moves the same twelve points.

    Args:
        landmarks: (..., K, 2) pixels, NumPy or torch, K = 49 or 68.
        layout: which K points these are; by default told from K.

    Returns:
        (..., K, 2) a new array or tensor.
    """
    layout = layout or layout_of(landmarks.shape[-2])
    if landmarks.shape[-2] != layout.num_landmarks:
        raise ValueError(
            f"landmarks have shape {tuple(landmarks.shape)}, {layout.name} has {layout.num_landmarks}"
        )
    moved = np.array(landmarks) if isinstance(landmarks, np.ndarray) else landmarks.clone()
    right, left = layout.inner_eye_corners
    ruler = abs(landmarks[..., right, 0] - landmarks[..., left, 0])  # (...)
    for index, share in layout.au_centres:
        moved[..., index, 1] += share * ruler
    return moved


def landmark_cells(landmarks, image_size: int, map_size: int):
    """The cell of a square map in which each landmark lies.

    Cell j of a map of `map_size` covers image pixels [j * stride, (j + 1) * stride), stride = image_size /
    map_size, so its centre is the pixel coordinate (j + .5) * stride - .5 and x falls in cell
    floor((x + .5) / stride). Ours: ADLD takes round(x / stride), which is up to half a cell right of it.

    Args:
        landmarks: (B, K, 2) tensor, pixels of a square image.

    Returns:
        (B, K) long, y * map_size + x. Landmarks up to one cell outside count for the border cell; -1 where
        farther out or NaN, for a loss to ignore.
    """
    import torch

    stride = image_size / map_size
    cell = torch.floor((landmarks.float() + 0.5) / stride)  # (B, K, 2)
    inside = ((cell >= -1) & (cell <= map_size)).all(dim=-1)  # NaN compares false
    cell = cell.nan_to_num(0).clamp(0, map_size - 1).long()
    return torch.where(inside, cell[..., 1] * map_size + cell[..., 0], -1)


def expected_landmarks(attention, image_size: int):
    """Landmarks as the mean position under their attention (soft-argmax).

    Pixel-centre convention of `landmark_cells`: a map with all its mass in cell j gives that cell's centre,
    (j + .5) * stride - .5.

    Args:
        attention: (B, K, h, w) tensor, non-negative, each map sums to 1.

    Returns:
        (B, K, 2) pixels of the image, x then y.
    """
    import torch

    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))  # bfloat16 is too coarse
    height, width = attention.shape[-2:]
    rows = (torch.arange(height, device=attention.device) + 0.5) * (image_size / height) - 0.5
    columns = (torch.arange(width, device=attention.device) + 0.5) * (image_size / width) - 0.5
    x = (attention.sum(dim=-2) * columns).sum(dim=-1)  # (B, K)
    y = (attention.sum(dim=-1) * rows).sum(dim=-1)
    return torch.stack([x, y], dim=-1)


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
