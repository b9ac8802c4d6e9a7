"""Factors change the same faces; what each costs a run, with an interval."""

import numpy as np
import pytest

from aubench.inspection.factor_faces import (
    LabelledPredictions,
    changes_per_au,
    drop,
    drops,
    faces_with,
    mean_f1,
    people_of,
)
from aulib.crops import CropSpec

AUS = ("AU01", "AU12", "AU99")


def answers(right: float, n: int = 48, seed: int = 0) -> LabelledPredictions:
    """Two AUs on half of n faces, predicted correctly with probability `right`."""
    rng = np.random.default_rng(seed)
    occurrence = np.stack([np.arange(n) % 2, np.arange(n) // 2 % 2], axis=1).astype(float)
    kept = rng.random((n, 2)) < right
    return LabelledPredictions(np.where(kept, occurrence, 1 - occurrence) * 0.8 + 0.1, occurrence)


class TestFaces:
    def test_a_factor_that_moves_nothing_keeps_labels_and_landmarks(self):
        spec = CropSpec(size=40)
        plain, dark = (faces_with(factors, 4, spec, AUS) for factors in (set(), {"light"}))
        assert np.array_equal(plain.occurrence, dark.occurrence, equal_nan=True)
        assert np.isnan(plain.occurrence[:, 2]).all()  # AU99 is never rendered
        assert not np.isnan(plain.occurrence[:, :2]).any()
        assert np.allclose(plain.landmarks, dark.landmarks)
        assert not np.array_equal(plain.images, dark.images)

    def test_a_persons_faces_are_neighbours(self):
        people = people_of(32)
        assert people.tolist() == sorted(people) and len(set(people)) == 4


class TestDrops:
    def test_mean_f1_of_a_hand_worked_case(self):
        # AU 1: hit, miss, false alarm -> 2 / (2 + 1 + 1); AU 2: never present, never predicted -> no score
        some = LabelledPredictions(
            np.array([[0.9, 0.1], [0.2, 0.1], [0.7, 0.1]]), np.array([[1, 0], [1, 0], [0, 0]])
        )
        assert mean_f1(some, np.ones((1, 3))) == pytest.approx(0.5)
        assert mean_f1(some, np.array([[2.0, 0, 0]])) == pytest.approx(1)
        unknown = LabelledPredictions(np.array([[0.9], [0.9]]), np.array([[1.0], [np.nan]]))
        assert mean_f1(unknown, np.ones((1, 2))) == pytest.approx(1)

    def test_no_change_costs_nothing_and_the_interval_has_no_width(self):
        assert drop(answers(0.8), answers(0.8)) == pytest.approx((0, 0, 0))

    def test_the_interval_of_a_clear_loss_excludes_0(self):
        lost, low, high = drop(answers(1.0), answers(0.6))
        assert 0 < low < lost < high

    def test_tables_have_a_row_a_factor_and_an_au(self):
        by_factor = {"none": answers(1.0), "light": answers(0.5), "all": answers(0.4)}
        assert list(drops(by_factor)["factor"]) == ["light", "all"]
        changes = changes_per_au(by_factor, ("AU01", "AU12"))
        assert list(changes["factor"]) == ["light", "light", "all", "all"]
        assert changes["support"].tolist() == [24] * 4
        assert (changes["auc"] < 0).all() and changes["base_rate"].tolist() == pytest.approx([0] * 4)
