"""Pixels and landmarks agree, and a picture depends on its parameters alone."""

import os
from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from aufaces.actions import AUS, Expression
from aufaces.people import Person, sample_person
from aufaces.renderer import NO_CARD, Face, FaceRenderer, Shot, start_warp

SIZE = 96


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer(SIZE)


def test_warp_reports_everything_but_a_missing_card(monkeypatch, capfd):
    def failing():
        os.write(2, b"Warp CUDA warning: " + NO_CARD + b".\nWarp CUDA error: 7\n")  # past sys.stderr
        raise RuntimeError("no start")

    monkeypatch.setattr(wp, "init", failing)
    with pytest.raises(RuntimeError, match="no start"):
        start_warp.__wrapped__()
    assert capfd.readouterr().err == "Warp CUDA error: 7\n"


def test_landmarks_move_with_the_picture_to_the_pixel(renderer):
    face = Face(Person(), Expression(), Shot(zoom=0.5))
    moved = replace(face, shot=replace(face.shot, shift=(7 / SIZE, -4 / SIZE)))
    images, landmarks = renderer.render([face, moved])
    np.testing.assert_allclose(landmarks[1] - landmarks[0], np.tile([7.0, -4.0], (68, 1)), atol=1e-3)
    shifted = np.roll(images[0], (-4, 7), (0, 1))[8:-8, 8:-8].astype(int)
    assert np.abs(shifted - images[1][8:-8, 8:-8]).mean() < 1.0
    assert np.abs(images[0].astype(int) - images[1])[8:-8, 8:-8].mean() > 3.0  # the comparison can fail


def test_the_pupil_is_dark_and_lies_between_the_lids(renderer):
    images, landmarks = renderer.render(
        [Face(Person(iris=(0.02, 0.01, 0.01)), Expression.of(AU05=4), Shot(zoom=0.9))]
    )
    for eye in (slice(36, 42), slice(42, 48)):
        points = landmarks[0, eye]
        x, y = points.mean(0).round().astype(int)
        eyeball = images[0, y - 1 : y + 2, x - 1 : x + 2].mean(-1)
        below = images[0, int(points[:, 1].max()) + 5, x - 2 : x + 3].mean(-1)
        assert eyeball.min() < 40 < 100 < below.min()


def test_yaw_and_pitch_move_the_nose_to_that_side(renderer):
    for yaw, pitch, axis, sign in ((0.5, 0, 0, 1), (-0.5, 0, 0, -1), (0, 0.3, 1, 1)):
        _, landmarks = renderer.render(
            [Face(Person(), Expression(), Shot()), Face(Person(), Expression(), Shot(yaw=yaw, pitch=pitch))]
        )
        nose_against_eyes = landmarks[:, 30] - landmarks[:, [36, 39, 42, 45]].mean(1)
        assert sign * (nose_against_eyes[1] - nose_against_eyes[0])[axis] > 2


def test_roll_turns_the_line_between_the_eyes_by_that_angle(renderer):
    _, landmarks = renderer.render([Face(Person(), Expression(), Shot(roll=0.3, distance=60))])
    line = landmarks[0, 45] - landmarks[0, 36]
    assert np.arctan2(line[1], line[0]) == pytest.approx(0.3, abs=0.03)


def test_a_picture_does_not_depend_on_those_before(renderer):
    a = Face(sample_person(1, (0.6, 0.9)), Expression.of(AU12=4), Shot())
    b = Face(sample_person(2, (0.6, 0.9)), Expression.of(AU26=5, AU25=4), Shot(yaw=0.5))
    first = renderer.render([a])[0]
    renderer.render([b])
    assert np.array_equal(renderer.render([a])[0], first)
    assert np.array_equal(FaceRenderer(SIZE).render([a])[0], first)


@pytest.mark.parametrize("au", [au for au in AUS if au != "AU26"])
def test_skin_folds_show_each_au(renderer, au):
    person = Person(folds=1.0)
    smooth = replace(person, folds=0.0)
    expression = Expression.of(**{au: 5})
    with_folds, without = renderer.render(
        [Face(person, expression, Shot()), Face(smooth, expression, Shot())]
    )[0].astype(int)
    difference = np.abs(with_folds - without).max(-1)
    if au == "AU25":  # parting lips fold no skin
        assert difference.max() == 0
    else:
        assert difference.max() > (1 if au == "AU05" else 12)  # the lid fold of AU05 is under the brow


def test_lips_of_a_resting_face_are_closed(renderer):
    for seed in range(8):
        vertices = renderer.appearances.neutral(sample_person(seed, (0.45, 1.0)))
        points = renderer.appearances.points(vertices)
        assert abs(points[62, 1] - points[66, 1]) < 0.02, f"person {seed}"


def test_the_nose_casts_its_shadow_away_from_the_light(renderer):
    darkened = {}
    for side in (-1, 1):
        shot = Shot(key_direction=(0.8 * side, 0.15, 0.6), shadow=0.0)
        lit, cast = (
            Face(Person(), Expression(), one) for one in (shot, replace(shot, shadow=1.0))
        )  # the key light once without shadows, once with
        images, landmarks = renderer.render([lit, cast])
        nose = int(landmarks[0, 30, 0].round())
        lost = (images[0].astype(int) - images[1]).mean(-1)
        darkened[side] = lost[:, :nose].sum(), lost[:, nose:].sum()
    assert darkened[1][0] > 2 * darkened[1][1] and darkened[-1][1] > 2 * darkened[-1][0]
    assert min(darkened[1][0], darkened[-1][1]) > 1000
