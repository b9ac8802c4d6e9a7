"""Attention is measured against values worked by hand and functions whose curves are known."""

import numpy as np
import pytest
import torch

from aubench.inspection.attention import (
    FRACTIONS,
    area_under,
    best_mass,
    blurred,
    curve,
    mass_inside,
    random_maps,
)  # fmt: skip


class TestMassInside:
    def test_by_hand(self):
        maps = np.array([[1.0, 2.0], [-5.0, 1.0]])  # negative evidence is no attention
        region = np.array([[True, False], [True, True]])
        assert mass_inside(maps, region) == pytest.approx(2 / 4)

    def test_a_map_without_positive_mass_has_no_share(self):
        assert np.isnan(mass_inside(-np.ones((2, 2)), np.ones((2, 2), bool)))

    def test_maps_that_ignore_the_picture_get_the_area(self):
        region = np.zeros((400, 28, 28), bool)
        region[:, 5:15, 3:20] = True
        shares = mass_inside(random_maps(400, 28, 7, seed=0).numpy(), region)
        assert shares.mean() == pytest.approx(region[0].mean(), abs=0.01)


class TestBestMass:
    def test_a_region_of_everything_can_hold_everything(self):
        assert best_mass(np.ones((1, 14, 14), bool), 7) == pytest.approx([1.0])

    def test_no_map_beats_it_and_one_reaches_it(self):
        region = np.zeros((1, 14, 14), bool)
        region[0, 2:4, 5:8] = True
        shares = mass_inside(random_maps(200, 14, 7, seed=1).numpy(), region)
        assert shares.max() < best_mass(region, 7)[0] < 1
        corner = torch.zeros(1, 1, 7, 7)
        corner[..., 1, 3] = 1.0  # the cell whose centre lies in the region
        grown = torch.nn.functional.interpolate(corner, (14, 14), mode="bilinear", align_corners=False)[0]
        assert mass_inside(grown.numpy(), region)[0] == pytest.approx(best_mass(region, 7)[0])


class TestCurve:
    def test_deletion_of_a_known_function(self):
        """The answer counts the lit pixels of the top row; a map that knows takes them away first."""
        start, end = torch.ones(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
        answer = lambda faces: faces[:, 0, 0].sum(1) / 10  # noqa: E731
        knows, knows_not = torch.zeros(1, 10, 10), torch.ones(1, 10, 10)
        knows[0, 0], knows_not[0, 0] = 1.0, 0.0
        tenths = tuple(np.linspace(0, 1, 11))
        values = curve(answer, start, end, knows, tenths)[0]
        assert values.tolist() == [1.0] + [0.0] * 10  # a tenth of the pixels is the top row
        assert curve(answer, start, end, knows_not, tenths)[0].tolist() == [1.0] * 10 + [0.0]
        assert area_under(values.numpy(), tenths) == pytest.approx(0.05)  # one trapezoid of width 0.1

    def test_insertion_is_the_way_back(self):
        start, end = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
        values = curve(lambda faces: faces.flatten(1).sum(1), start, end, torch.rand(2, 4, 4))
        assert values[:, 0].tolist() == [0, 0]
        torch.testing.assert_close(values[:, -1], end.flatten(1).sum(1))
        assert (values.diff(dim=1) >= -1e-5).all()

    def test_each_fraction_replaces_so_many_pixels_of_every_channel(self):
        start, end = torch.zeros(1, 3, 10, 10), torch.ones(1, 3, 10, 10)
        values = curve(lambda faces: faces.mean((1, 2, 3)), start, end, torch.rand(1, 10, 10))
        torch.testing.assert_close(values[0], torch.tensor(FRACTIONS, dtype=torch.float32))


def test_blurring_keeps_the_mean_and_loses_the_detail():
    faces = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    left = blurred(faces)
    torch.testing.assert_close(left.mean((2, 3)), faces.mean((2, 3)), atol=0.02, rtol=0)
    assert left.std() < 0.2 * faces.std()
