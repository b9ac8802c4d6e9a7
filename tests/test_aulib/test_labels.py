"""Action units: names, occurrence from intensity, weights."""

import numpy as np
import pytest

from aulib.labels import AU_NAMES, SYNTHETIC_AUS, au_weights, binarise


def test_au_names_are_in_facs_order_and_hold_the_sixteen_synthetic_ones():
    assert list(AU_NAMES) == sorted(AU_NAMES)
    assert len(SYNTHETIC_AUS) == 16
    assert set(SYNTHETIC_AUS) <= set(AU_NAMES)
    assert list(SYNTHETIC_AUS) == sorted(SYNTHETIC_AUS)


def test_intensity_two_is_present_and_just_below_is_absent():
    occurrence = binarise([[0, 1.99, 2, 5]])
    assert occurrence.tolist() == [[0, 0, 1, 1]]
    assert occurrence.dtype == np.float32


def test_unknown_intensity_stays_unknown():
    assert np.isnan(binarise([np.nan, 3.0])).tolist() == [True, False]


def test_weights_are_inverse_to_the_base_rate_and_sum_to_the_number_of_aus():
    # base rates 1/2 and 1/4: inverse 2 and 4, scaled by 2 / 6
    occurrence = np.array([[1, 1], [1, 0], [0, 0], [0, 0]])
    assert au_weights(occurrence) == pytest.approx([2 / 3, 4 / 3])


def test_unknown_labels_do_not_count_in_the_base_rate():
    # AU one: 1 of 2 annotated; if the two unknown rows counted as absent it would be 1 of 4
    occurrence = np.array([[1, 1], [0, 0], [np.nan, 1], [np.nan, 0]])
    assert au_weights(occurrence) == pytest.approx([1, 1])


def test_an_au_never_present_gets_the_weight_of_the_rarest():
    occurrence = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    weights = au_weights(occurrence)
    assert weights[2] == pytest.approx(weights[1])
    assert weights.sum() == pytest.approx(3)


@pytest.mark.parametrize("value", [0, np.nan])
def test_weights_are_one_where_no_au_is_ever_present(value):
    assert au_weights(np.full((5, 3), value)).tolist() == [1, 1, 1]
