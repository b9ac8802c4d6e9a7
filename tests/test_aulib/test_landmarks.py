"""Layouts, the moves to AU centres, points <-> map cells."""

import numpy as np
import pytest
import torch

from aulib.landmarks import (
    LAYOUT_49,
    LAYOUT_68,
    POINTS_49_IN_68,
    layout_of,
    move_to_au_centres,
    refuse_outside,
    to_49,
)
from conftest import face_outline

# 1-based flip order of the 49 points as ADLD and JAA-Net ship it (reflect_49.txt).
PUBLISHED_FLIP_49 = (
    "10 9 8 7 6 5 4 3 2 1 11 12 13 14 19 18 17 16 15 29 28 27 26 31 30 23 22 21 20 25 24 38 37 36 35 34 33 "
    "32 43 42 41 40 39 46 45 44 49 48 47"
)


def test_flip_index_of_49_points_is_the_published_one():
    assert [index + 1 for index in LAYOUT_49.flip_index] == [int(word) for word in PUBLISHED_FLIP_49.split()]


@pytest.mark.parametrize("layout", [LAYOUT_49, LAYOUT_68], ids=lambda layout: str(layout.num_landmarks))
def test_flipping_swaps_right_and_left_and_leaves_the_middle(layout):
    flip = layout.flip_index
    assert flip[layout.nose_tip] == layout.nose_tip
    for pair in (layout.outer_eye_corners, layout.inner_eye_corners, layout.mouth_corners):
        assert (flip[pair[0]], flip[pair[1]]) == pair[::-1]
    assert {flip[point] for point in layout.right_eye} == set(layout.left_eye)


def test_both_layouts_name_the_same_places():
    for name in ("outer_eye_corners", "inner_eye_corners", "right_eye", "left_eye", "mouth_corners"):
        in_68 = [POINTS_49_IN_68[point] for point in getattr(LAYOUT_49, name)]
        assert in_68 == list(getattr(LAYOUT_68, name))
    assert POINTS_49_IN_68[LAYOUT_49.nose_tip] == LAYOUT_68.nose_tip


def test_49_points_leave_out_the_jaw_line_and_the_inner_mouth_corners():
    numbered = np.stack([np.arange(68), np.arange(68)], axis=1)
    kept = to_49(numbered)[:, 0]
    assert len(kept) == 49
    assert not set(kept) & {*range(17), 60, 64}
    assert (to_49(numbered[:49]) == numbered[:49]).all()
    with pytest.raises(ValueError, match=r"\(66, 2\)"):
        to_49(numbered[:66])


def test_only_layouts_that_exist_are_found():
    assert layout_of(49) is LAYOUT_49 and layout_of(68) is LAYOUT_68
    with pytest.raises(ValueError, match="66 landmarks, expected 49 or 68"):
        layout_of(66)


def test_au_centres_by_hand_on_49_points():
    face = np.zeros((49, 2))
    face[22], face[25] = (10, 50), (22, 50)  # inner eye corners 12 apart
    moved = move_to_au_centres(face)
    by_hand = {4: -6, 5: -6, 1: -4, 8: -4, 2: 4, 7: 4, 24: 12, 29: 12, 15: -6, 17: -6, 39: 6, 41: 6}
    change = (moved - face)[:, 1]
    assert {point: change[point] for point in np.flatnonzero(change)} == by_hand
    assert (moved[:, 0] == face[:, 0]).all()


def test_moving_to_au_centres_leaves_its_input_alone():  # ADLD edits its input in place
    for face in (face_outline(100), torch.tensor(face_outline(100))):
        before = face.copy() if isinstance(face, np.ndarray) else face.clone()
        move_to_au_centres(face)
        assert (face == before).all()


def test_au_centres_are_the_same_for_68_and_49_points_and_for_numpy_and_torch():
    face = np.stack([face_outline(100), face_outline(60)])  # a batch
    from_68 = to_49(move_to_au_centres(face))
    assert from_68 == pytest.approx(move_to_au_centres(to_49(face)))
    assert from_68 == pytest.approx(to_49(move_to_au_centres(torch.tensor(face))).numpy())


def test_landmarks_far_outside_their_picture_are_refused_and_near_ones_are_not():
    refuse_outside(np.array([[-40.0, 10.0], [90.0, 10.0]]), (100, 60))  # margin 50
    with pytest.raises(ValueError, match="expected inside the picture of 100 x 60"):
        refuse_outside(np.array([[-51.0, 10.0], [90.0, 10.0]]), (100, 60))
    with pytest.raises(ValueError, match="x 10 to 151"):
        refuse_outside(np.array([[10.0, 10.0], [151.0, 10.0]]), (100, 60))
