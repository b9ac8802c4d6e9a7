"""PSNR, SSIM and GMSD against values worked by hand."""

import numpy as np
import pytest

from aubench.inspection.reconstructions import GMSD_CONSTANT, compare, gmsd, gradient_magnitude

RAMP = np.tile(np.arange(32) / 100, (32, 1))


def test_psnr_by_hand():
    grey = np.full((16, 16, 3), 0.5)
    assert compare(grey + 0.1, grey)["psnr"] == pytest.approx(20.0)  # 10 log10(1 / 0.1^2)
    assert compare(grey + 0.01, grey)["psnr"] == pytest.approx(40.0)


def test_equal_pictures_are_as_good_as_can_be():
    assert compare(RAMP, RAMP) == {"psnr": np.inf, "ssim": pytest.approx(1.0), "gmsd": 0.0}


def test_the_gradient_of_a_ramp_is_twice_its_slope():
    assert gradient_magnitude(RAMP)[1:-1, 1:-1] == pytest.approx(0.02)


def test_gmsd_by_hand():
    """A flat picture against one whose right half is a ramp: similarity 1 on the left, lower on the right."""
    original = np.zeros((64, 64))
    original[:, 32:] = np.arange(32) / 16
    slope = 2 / 16  # halving doubles the slope a pixel; Prewitt's / 3 gives twice the slope: 2 * (2 / 16)
    low = GMSD_CONSTANT / ((2 * slope) ** 2 + GMSD_CONSTANT)
    half = 0.5 * (1 - low)  # deviation of a half-and-half mixture of 1 and `low`
    assert gmsd(np.zeros((64, 64)), original) == pytest.approx(
        half, rel=0.05
    )  # one column at the edges of the ramp


def test_blur_costs_gmsd_more_than_a_change_of_light_does():
    """What the measure is for: at about the same PSNR, lost edges are worse than a brighter picture."""
    rng = np.random.default_rng(0)
    face = np.kron(rng.random((8, 8)), np.ones((8, 8)))
    brighter = face + 0.1
    blurred = face.copy()
    for axis in (0, 1):
        blurred = (np.roll(blurred, 2, axis) + blurred + np.roll(blurred, -2, axis)) / 3
    brighter_scores, blurred_scores = compare(brighter, face), compare(blurred, face)
    assert abs(brighter_scores["psnr"] - blurred_scores["psnr"]) < 3
    assert blurred_scores["gmsd"] > 3 * brighter_scores["gmsd"]


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"picture \(4, 4\) and original \(5, 4\)"):
        compare(np.zeros((4, 4)), np.zeros((5, 4)))
