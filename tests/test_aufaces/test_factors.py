"""Factors of the shift, one at a time."""

import numpy as np
import pytest

from aufaces.domains import STUDIO, WILD, sample_face
from aufaces.factors import FACTORS, face_with
from aufaces.renderer import FaceRenderer


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer(48)


def test_only_expressions_change_the_labels(renderer):
    studio, wild = (sample_face(domain, 5, 3, 40).face.expression.intensity for domain in (STUDIO, WILD))
    assert not np.array_equal(studio, wild)
    assert np.array_equal(face_with(set(), 5, 3, 40, renderer)[2], studio)
    assert np.array_equal(face_with({"expressions"}, 5, 3, 40, renderer)[2], wild)


@pytest.mark.parametrize("factor", FACTORS)
def test_each_factor_changes_pictures_and_only_geometry_moves_landmarks(renderer, factor):
    plain = [face_with(set(), 5, index, 40, renderer) for index in range(0, 40, 5)]
    changed = [face_with({factor}, 5, index, 40, renderer) for index in range(0, 40, 5)]
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(plain, changed, strict=True))
    moved = any(not np.allclose(a[1], b[1]) for a, b in zip(plain, changed, strict=True))
    assert moved == (factor in ("people", "expressions", "pose"))


def test_an_unknown_factor_is_named(renderer):
    with pytest.raises(ValueError, match="'fog'"):
        face_with({"fog", "pose"}, 5, 0, 40, renderer)
