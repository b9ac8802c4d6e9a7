"""Lesson 1: rendered AUs, counts over labels, and a hint for each mistake."""

import numpy as np
import pandas as pd
import pytest

import lesson_1
from aufaces.actions import PROTOTYPES
from aulib.dataset import DatasetFolder, read_dataset
from aulib.labels import binarise
from lesson_1_instrument import AUSheet
from tried_exercises import TriedExercises


def graded(levels, aus=("AU06", "AU12", "AU25"), suffix="_r") -> DatasetFolder:
    """A labelled set without pictures."""
    return DatasetFolder(None, pd.DataFrame(levels, columns=[f"{au}{suffix}" for au in aus], dtype=float))


class TestRenderedAUs:
    def test_an_au_moves_its_part_and_no_other(self):
        up = lesson_1.movement({"AU01": 5.0})[:, 1]
        assert up[[21, 22]].min() > 10 and np.abs(up[48:]).max() < 1

    def test_movement_grows_with_the_grade(self):
        shifts = [lesson_1.largest_movement({"AU12": grade})[1] for grade in (1.0, 2.0, 4.0)]
        assert shifts[1:] == pytest.approx([2 * shifts[0], 4 * shifts[0]], rel=0.1)

    def test_facs_code_names_the_grade_reached(self):
        assert lesson_1.facs_code({"AU12": 3.2, "AU06": 1.0, "AU25": 0.9}) == "AU06A + AU12C"
        assert [lesson_1.letter(level) for level in (0, 0.99, 1, 1.9, 2, 5)] == ["", "", "A", "A", "B", "E"]

    @pytest.mark.parametrize("word", PROTOTYPES)
    def test_a_list_is_complete_from_grade_b(self, word):
        assert word in lesson_1.complete_lists(dict.fromkeys(PROTOTYPES[word], 2.0))
        assert word not in lesson_1.complete_lists(dict.fromkeys(PROTOTYPES[word], 1.9))


class TestCounts:
    def test_rates_fall_with_the_cut(self):
        data = graded([[0, 1, 2], [3, 4, 5], [np.nan, 2, 2.9]])
        table = lesson_1.rates_by_cut({"source": data}).set_index("at_least")["base_rate"]
        assert table[[1, 2, 3, 5]].tolist() == pytest.approx([7 / 8, 6 / 8, 3 / 8, 1 / 8])

    def test_a_set_without_intensity_has_no_rates_by_cut(self, tiny_set):
        assert lesson_1.rates_by_cut({"source": read_dataset(tiny_set)}).empty

    def test_lift_is_the_rate_over_the_base_rate(self):
        data = graded([[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 1]], suffix="_c")
        table = lesson_1.lifts(data).set_index(["given", "also"])["lift"]
        assert table["AU06", "AU12"] == pytest.approx(2) and table["AU12", "AU06"] == pytest.approx(2)
        assert table["AU06", "AU25"] == pytest.approx((1 / 2) / (3 / 4))

    def test_a_list_is_met_by_faces_with_all_its_aus(self):
        data = graded([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], suffix="_c")
        met = lesson_1.lists_met(data).set_index("word")
        assert met.loc["happiness", ["some", "all"]].tolist() == [3, 1]
        assert met.loc["happiness", "complete"] == pytest.approx(1 / 3)
        assert np.isnan(met.loc["fear", "complete"])


class TestAUSheet:
    def test_sliders_move_the_face_and_the_code_follows(self):
        sheet = AUSheet()
        at_rest = sheet.picture.value
        assert "AU00" in sheet.text.value and sheet.levels == {}
        sheet.set_levels({"AU06": 4.0, "AU12": 4.0})
        assert sheet.newest.wait(60)
        assert sheet.picture.value != at_rest and "AU06D + AU12D" in sheet.text.value
        assert "happiness" in sheet.text.value and sheet.levels == {"AU06": 4.0, "AU12": 4.0}
        sheet.set_levels({"AU12": 3.0, "AU15": 3.0})
        assert sheet.newest.wait(60) and "AU12 and AU15" in sheet.text.value

    def test_a_list_sets_its_sliders_and_none_clears_them(self):
        sheet = AUSheet()
        sheet.controls["listed"].value = "surprise"
        assert set(sheet.levels) == set(PROTOTYPES["surprise"])
        sheet.controls["listed"].value = "none"
        assert sheet.levels == {} and sheet.newest.wait(60)


CODED = graded([[0, 2, 2.5], [3, 4, 5]])
COMPANY = [[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 0]]
PAIRED = graded(COMPANY, suffix="_c")
BOTH = dict.fromkeys(PROTOTYPES["surprise"] + PROTOTYPES["fear"], 3)

EXERCISES = {
    "brows": (
        lesson_1.check_brows,
        [{"AU01": 2, "AU02": 2}, {"AU01": 5, "AU02": 3, "AU12": 0}],
        [
            {"AU01": 4},
            {"AU02": 4},
            {"AU01": 4, "AU02": 0.5},
            {"AU01": 1, "AU02": 1},
            {"AU01": 4, "AU02": 4, "AU05": 3},
            {"AU01": 5, "AU02": 5, "AU04": 4},
            {"AU1": 4},
            {"AU01": 9, "AU02": 4},
            {},
            ["AU01", "AU02"],
        ],
    ),
    "cut": (
        lambda answer: lesson_1.check_cut(answer, CODED),
        [lambda intensity: binarise(intensity, at_least=3)],
        [
            lambda x: x >= 3,
            lambda x: np.where(np.isnan(x), np.nan, x > 3),
            lambda x: binarise(x, at_least=2),
            lambda x: np.where(np.isnan(x), np.nan, x),
            lambda x: binarise(x, 3)[:, 0],
            lambda x: np.full_like(x, np.nan),
            lambda x: 1 - binarise(x, 3),
            binarise([0, 3]),
        ],
    ),
    "lift": (
        lambda answer: lesson_1.check_lift(answer, PAIRED),
        [("AU06", "AU12"), ("AU12", "AU06"), ["AU06", "AU12"]],
        [("AU12", "AU25"), ("AU25", "AU06"), ("AU06", "AU06"), ("AU12", "AU99"), "AU12"],
    ),
    "two words": (
        lesson_1.check_two_words,
        [BOTH, dict.fromkeys(PROTOTYPES["happiness"] + PROTOTYPES["surprise"], 2)],
        [
            {"AU06": 3, "AU12": 3},
            {"AU12": 3},
            BOTH | {"AU26": 1},
            dict.fromkeys(PROTOTYPES["sadness"] + PROTOTYPES["happiness"], 3),
            {"AU13": 3},
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises = EXERCISES
    other_kinds = (None, 7, "`x`", [1, 2], {1: 2}, {"AU12": "much"}, float, {"AU12": float("nan")}, object())


def test_the_cost_of_the_cut_is_counted_where_there_is_intensity(tiny_set):
    verdict = lesson_1.check_cut(lambda intensity: binarise(intensity, at_least=3), CODED)
    assert "40%" in verdict.message  # two of five occurrences are below 3
    verdict = lesson_1.check_cut(lambda intensity: binarise(intensity, 3), read_dataset(tiny_set))
    assert verdict.state == "right" and "%" not in verdict.message


def test_a_pair_with_a_lift_below_one_gets_its_hint():
    data = graded([[1, 0, 1], [0, 1, 0], [1, 1, 1], [1, 0, 1], [0, 1, 1]], suffix="_c")
    assert "avoid each other" in lesson_1.check_lift(("AU06", "AU12"), data).message
