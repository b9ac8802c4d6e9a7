"""Lesson 1: faces do what they are told, counts are right, and wrong answers get the hint that fits them."""

import numpy as np
import pandas as pd
import pytest

import acting
import lesson_1
import lesson_1_figures
from au_sheet import AUSheet
from aufaces.actions import AUS, PROTOTYPES
from aulib.dataset import DatasetFolder, read_dataset
from aulib.labels import binarise
from conftest import TINY_AUS, write_tiny_set

NONSENSE = [None, 7, "`x`", [1, 2], {1: 2}, {"AU12": "much"}, float, {"AU12": float("nan")}, object()]


def graded(levels, aus=("AU06", "AU12", "AU25"), suffix="_r") -> DatasetFolder:
    """A labelled set without pictures."""
    return DatasetFolder(None, pd.DataFrame(levels, columns=[f"{au}{suffix}" for au in aus], dtype=float))


class TestActing:
    def test_an_au_moves_its_part_and_no_other(self):
        up = acting.movement({"AU01": 5.0})[:, 1]
        assert up[[21, 22]].min() > 10 and np.abs(up[48:]).max() < 1

    def test_movement_grows_with_the_grade(self):
        far = [np.linalg.norm(acting.movement({"AU12": grade}), axis=1).max() for grade in (1.0, 2.0, 4.0)]
        assert far[1] == pytest.approx(2 * far[0], rel=0.1) and far[2] == pytest.approx(4 * far[0], rel=0.1)

    def test_movements_name_every_au_at_every_grade(self):
        table = acting.movements()
        assert list(table["au"].unique()) == list(AUS) and len(table) == 2 * len(AUS)
        assert (table[table["grade"] == 5]["moved"] > 2).all()

    def test_code_is_what_a_coder_writes(self):
        assert acting.code({"AU12": 3.2, "AU06": 1.0, "AU25": 0.9}) == "AU06A + AU12C"
        assert acting.code({}).startswith("AU00")

    def test_a_letter_is_the_grade_reached(self):
        assert [acting.letter(level) for level in (0, 0.99, 1, 1.9, 2, 5)] == ["", "", "A", "A", "B", "E"]

    @pytest.mark.parametrize("word", PROTOTYPES)
    def test_a_list_is_complete_from_grade_b(self, word):
        assert word in acting.lists_complete(dict.fromkeys(PROTOTYPES[word], 2.0))
        assert word not in acting.lists_complete(dict.fromkeys(PROTOTYPES[word], 1.9))


class TestCounts:
    def test_rates_fall_with_the_cut(self):
        data = graded([[0, 1, 2], [3, 4, 5], [np.nan, 2, 2.9]])
        table = lesson_1.rates_by_cut({"source": data}).set_index("at_least")["base_rate"]
        assert table[1] == pytest.approx(7 / 8) and table[2] == pytest.approx(6 / 8)
        assert table[3] == pytest.approx(3 / 8) and table[5] == pytest.approx(1 / 8)

    def test_a_set_without_intensity_has_no_rates_by_cut(self, tiny_set):
        table = lesson_1.rates_by_cut({"source": read_dataset(tiny_set)})
        assert table.empty and "occurrence only" in lesson_1.cuts_said(table)

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

    def test_coding_an_hour_at_an_hour_a_minute_takes_sixty(self):
        assert lesson_1.coding_hours(25 * 3600, 25, 60) == pytest.approx(60)


class TestSentences:
    def test_equal_costs_of_a_cut_are_not_called_a_shift(self):
        rows = [("source", 2, 0.2), ("source", 3, 0.1), ("target", 2, 0.4), ("target", 3, 0.2)]
        table = pd.DataFrame(rows, columns=["domain", "at_least", "base_rate"])
        assert "about as much" in lesson_1.cuts_said(table)
        table.loc[3, "base_rate"] = 0.05
        assert "The target has more weak" in lesson_1.cuts_said(table)

    def test_landmarks_are_enough_where_everything_moves_far(self):
        table = pd.DataFrame({"au": ["AU01", "AU12"], "grade": 2, "moved": [9.0, 20.0]})
        assert "landmarks alone would do" in lesson_1.movements_said(table, 4)
        assert "AU01 move" in lesson_1.movements_said(table, 10)

    def test_a_list_that_one_au_gives_away_is_called_a_code(self):
        data = graded([[1, 1, 0], [1, 1, 0], [0, 0, 1]], suffix="_c")
        assert "a code" in lesson_1.lists_said(lesson_1.lists_met(data))

    def test_a_list_that_the_renderer_cannot_complete_is_named_as_such(self):
        table = pd.DataFrame({"word": ["happiness", "anger"], "complete": [0.4, 0.0]})
        said = lesson_1.lists_said(table)
        assert "*anger* lists both AU05 and AU07" in said and "by construction" in said
        assert "by construction" not in lesson_1.lists_said(table.assign(complete=[0.0, 0.4]))


class TestFigures:
    def test_every_figure_is_drawn(self, tiny_set, tmp_path):
        data = read_dataset(tiny_set)
        cuts = pd.DataFrame({"domain": "source", "at_least": (1, 2), "base_rate": (0.2, 0.1)})
        figures = [
            lesson_1_figures.draw_atlas(),
            lesson_1_figures.draw_grades("AU12"),
            lesson_1_figures.draw_movements(acting.movements(), 4.0),
            lesson_1_figures.draw_cuts(cuts),
            lesson_1_figures.draw_cuts(cuts[:0]),
            lesson_1_figures.draw_lists(lesson_1.lists_met(data)),
        ]
        for number, figure in enumerate(figures):
            figure.savefig(tmp_path / f"{number}.png")


class TestAUSheet:
    def test_sliders_move_the_face_and_the_code_follows(self):
        sheet = AUSheet()
        at_rest = sheet.face.value
        assert "AU00" in sheet.said.value and sheet.levels == {}
        sheet.act({"AU06": 4.0, "AU12": 4.0})
        assert sheet.newest.wait(60)
        assert sheet.face.value != at_rest and "AU06D + AU12D" in sheet.said.value
        assert "happiness" in sheet.said.value and sheet.levels == {"AU06": 4.0, "AU12": 4.0}

    def test_a_list_sets_its_sliders_and_rest_clears_them(self):
        sheet = AUSheet()
        sheet.listed.value = "surprise"
        assert set(sheet.levels) == set(PROTOTYPES["surprise"])
        sheet.rest.click()
        assert sheet.levels == {} and sheet.newest.wait(60)

    def test_opposed_aus_are_named(self):
        sheet = AUSheet()
        sheet.act({"AU12": 3.0, "AU15": 3.0})
        assert sheet.newest.wait(60) and "AU12 and AU15 pull" in sheet.said.value


class TestBrows:
    @pytest.mark.parametrize("levels", [{"AU01": 2, "AU02": 2}, {"AU01": 5, "AU02": 3, "AU12": 0}])
    def test_both_ends_up_is_right(self, levels):
        assert lesson_1.check_brows(levels).state == "right"

    @pytest.mark.parametrize(
        "levels, hint",
        [
            ({"AU01": 4}, "outer ends rise"),
            ({"AU02": 4}, "inner ends rise"),
            ({"AU01": 4, "AU02": 0.5}, "of the outer ends stronger"),
            ({"AU01": 1, "AU02": 1}, "at both ends"),
            ({"AU01": 4, "AU02": 4, "AU05": 3}, "AU05 upper lid raiser moves the eyes"),
            ({"AU01": 5, "AU02": 5, "AU04": 4}, "AU04 pulls down"),
            ({"AU04": 4}, "lowers them"),
            ({"AU1": 4}, "two digits"),
            ({"AU01": 9, "AU02": 4}, "from 0 to 5"),
            ({}, "Nothing moves"),
            ("surprise", "An AU is a movement"),
            (["AU01", "AU02"], "How strongly"),
        ],
    )
    def test_a_mistake_gets_its_hint(self, levels, hint):
        verdict = lesson_1.check_brows(levels)
        assert verdict.state == "wrong" and hint in verdict.message


class TestCut:
    data = graded([[0, 2, 2.5], [3, 4, 5]])

    def test_the_library_s_own_is_right_and_the_cost_is_counted(self):
        verdict = lesson_1.check_cut(lambda intensity: binarise(intensity, at_least=3), self.data)
        assert verdict.state == "right" and "40 %" in verdict.message  # two of five are below 3

    def test_without_intensity_the_check_says_so(self, tiny_set):
        verdict = lesson_1.check_cut(lambda intensity: binarise(intensity, 3), read_dataset(tiny_set))
        assert verdict.state == "right" and "cannot be cut again" in verdict.message

    @pytest.mark.parametrize(
        "answer, hint",
        [
            (lambda x: x >= 3, "Not annotated is not absent"),
            (lambda x: ~(x < 3), "says present"),
            (lambda x: np.where(np.isnan(x), np.nan, x > 3), "at least, `>=`"),
            (lambda x: binarise(x, at_least=2), "still cuts at 2"),
            (lambda x: np.where(np.isnan(x), np.nan, x), "nothing between"),
            (lambda x: binarise(x, 3)[:, 0], "shape"),
            (lambda x: np.full_like(x, np.nan), "forgets labels"),
            (lambda x: 1 - binarise(x, 3), "it makes"),
            (binarise([0, 3]), "Write a function"),
        ],
    )
    def test_a_mistake_gets_its_hint(self, answer, hint):
        verdict = lesson_1.check_cut(answer, self.data)
        assert verdict.state == "wrong" and hint in verdict.message


class TestCompany:
    rows = [[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 0]]
    data = graded(rows, suffix="_c")

    @pytest.mark.parametrize("pair", [("AU06", "AU12"), ("AU12", "AU06"), ["AU06", "AU12"]])
    def test_the_strongest_pair_is_right_in_both_orders(self, pair):
        assert lesson_1.check_company(pair, self.data).state == "right"

    @pytest.mark.parametrize(
        "pair, hint",
        [
            (("AU12", "AU25"), "frequent with everything"),
            (("AU25", "AU06"), "Another pair has more"),
            (("AU06", "AU06"), "Two different"),
            (("AU12", "AU99"), "not labelled here"),
            ("AU12", "Wanted"),
            (("AU06", "AU12", "AU25"), "Wanted"),
        ],
    )
    def test_a_mistake_gets_its_hint(self, pair, hint):
        verdict = lesson_1.check_company(pair, self.data)
        assert verdict.state == "wrong" and hint in verdict.message

    def test_a_pair_that_avoids_each_other_is_told_so(self):
        data = graded([[1, 0, 1], [0, 1, 0], [1, 1, 1], [1, 0, 1], [0, 1, 1]], suffix="_c")
        assert "avoid each other" in lesson_1.check_company(("AU06", "AU12"), data).message

    def test_the_folded_solution_is_right_on_noise(self, tmp_path):
        data = read_dataset(write_tiny_set(tmp_path / "noise", seed=5))
        strongest = lesson_1.lifts(data).iloc[0]
        assert set(data.aus) == set(TINY_AUS)
        assert lesson_1.check_company((strongest["given"], strongest["also"]), data).state == "right"


class TestTwoWords:
    BOTH = dict.fromkeys(PROTOTYPES["surprise"] + PROTOTYPES["fear"], 3)

    @pytest.mark.parametrize(
        "levels", [BOTH, dict.fromkeys(PROTOTYPES["happiness"] + PROTOTYPES["surprise"], 2)]
    )
    def test_two_complete_lists_are_right(self, levels):
        assert lesson_1.check_two_words(levels).state == "right"

    @pytest.mark.parametrize(
        "levels, hint",
        [
            ({"AU06": 3, "AU12": 3}, "one list, happiness"),
            ({"AU12": 3}, "No list is complete"),
            (BOTH | {"AU26": 1}, "AU26 is too weak"),
            (
                dict.fromkeys(PROTOTYPES["sadness"] + PROTOTYPES["happiness"], 3),
                "renderer does not do both",
            ),
            ("fear and surprise", "An AU is a movement"),
            (["AU06"], "How strongly"),
            ({"AU13": 3}, "is not rendered here"),
        ],
    )
    def test_a_mistake_gets_its_hint(self, levels, hint):
        verdict = lesson_1.check_two_words(levels)
        assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: type(answer).__name__)
def test_nonsense_gets_words(answer, tiny_set):
    data = read_dataset(tiny_set)
    for check, measured in (
        (lesson_1.check_brows, ()),
        (lesson_1.check_cut, (data,)),
        (lesson_1.check_company, (data,)),
        (lesson_1.check_two_words, ()),
    ):
        verdict = check(answer, *measured)
        assert verdict.state == "wrong" and verdict.message
        assert check(..., *measured).state == "open"
