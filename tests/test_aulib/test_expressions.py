"""Expression contrasts against hand values, and what their own part must and must not see."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aulib.expressions import (
    CONTRASTS,
    EXPRESSIONS,
    SYNONYMS,
    UNLABELLED,
    contrast_scores,
    expressions_of,
    groups_of,
    log_odds,
    own_part,
)
from aulib.labels import AU_NAMES

AUS = ["AU06", "AU12", "AU25"]


def four_people():
    """Two faces each, neutral and happy. AU12 rises in all of them, AU06 in one, AU25 never changes."""
    expression = np.array(["neutral", "happiness"] * 4)
    au12 = [0.1, 0.9, 0.2, 0.6, 0.4, 0.8, 0.5, 0.7]
    au06 = [0.3, 0.2, 0.3, 0.9, 0.3, 0.1, 0.3, 0.3]
    probability = np.array([au06, au12, [0.5] * 8]).T
    return probability, expression, np.repeat(list("abcd"), 2)


def scored(probability, expression, subjects, **options):
    return contrast_scores(probability, probability >= 0.5, AUS, expression, subjects, **options)


class TestScores:
    def test_one_person_has_neither_an_interval_nor_an_own_part(self):
        probability, expression, _ = four_people()
        table = scored(probability, expression, np.repeat("a", 8)).contrasts.set_index("au")
        assert table.loc["AU12", "auc"] == 1
        assert table[["auc_low", "auc_high", "own", "own_low", "own_high"]].isna().all(axis=None)

    def test_worked_by_hand(self):
        table = scored(*four_people()).contrasts.set_index("au")
        assert table.loc["AU12", "auc"] == 1 and table.loc["AU12", "rises"] == 1
        # of the happy .2, .9, .1, .3 against four neutral .3: .9 is above them, .3 ties
        assert table.loc["AU06", "auc"] == pytest.approx((4 + 4 / 2) / 16)
        assert table.loc["AU06", "rises"] == 0.25 and table.loc["AU25", "auc"] == 0.5
        assert table["pairs"].tolist() == [4, 4, 4] and table["faces"].tolist() == [4, 4, 4]
        assert table.loc["AU12", "found"] == 1 and table.loc["AU06", "found"] == 0.25

    def test_agrees_with_scikit_learn(self):
        rng = np.random.default_rng(0)
        probability, shown = rng.random((60, 3)).round(1), rng.random(60) < 0.4
        expression = np.where(shown, "happiness", "neutral")
        table = scored(probability, expression, rng.integers(0, 20, 60)).contrasts
        for index, au in enumerate(AUS):
            row = table[table["au"] == au].iloc[0]
            assert row["auc"] == pytest.approx(roc_auc_score(shown, probability[:, index]))
            assert row["auc_low"] <= row["auc"] <= row["auc_high"]

    def test_only_neutral_faces_count_as_false_alarms(self):
        rates = scored(*four_people()).false_alarms.set_index("au")["rate"]
        assert rates.to_dict() == {"AU06": 0, "AU12": 0.25, "AU25": 1}

    def test_unlabelled_faces_and_other_expressions_change_nothing(self):
        probability, expression, subjects = four_people()
        more = np.append(expression, ["", "fear"])
        again = scored(np.vstack([probability, np.ones((2, 3))]), more, np.append(subjects, ["a", "e"]))
        pd.testing.assert_frame_equal(again.contrasts, scored(*four_people()).contrasts)

    def test_a_small_group_is_left_out_by_name(self):
        groups = {"all": np.ones(8, bool), "gender: female": np.arange(8) < 2}
        found = scored(*four_people(), groups=groups)
        assert found.left_out == ("gender: female (1 people)",)
        assert set(found.contrasts["group"]) == {"all"}

    def test_a_group_without_neutral_faces_has_no_rates(self):
        expression = np.array(["neutral"] * 10 + ["happiness"] * 10)
        groups = {"all": np.ones(20, bool), "age: old": expression == "happiness"}
        found = scored(np.full((20, 3), 0.6), expression, np.arange(20), groups=groups)
        assert set(found.false_alarms["group"]) == set(found.contrasts["group"]) == {"all"}

    def test_an_expression_of_few_faces_is_shown_and_counts_in_no_mean(self):
        expression = np.array(["neutral"] * 40 + ["happiness"] * 40 + ["surprise"] * 5)
        probability = np.where(expression == "surprise", 0.9, 0.5)[:, None].repeat(3, 1)
        found = scored(probability, expression, np.arange(85))
        assert found.everyone.set_index("expression").loc["surprise", "auc"] == 1
        assert found.summary()["contrasts"] == 3 and found.summary()["auc"] == 0.5

    def test_the_gap_is_between_groups_of_one_kind(self):
        expression = np.array(["neutral"] * 40 + ["happiness"] * 40)
        probability = np.zeros((80, 3))
        probability[:10, 0] = 1  # false alarms in 10 of the first 20 people, in none of the others
        groups = {
            "all": np.ones(80, bool),
            "gender: a": np.tile(np.arange(40) < 20, 2),
            "gender: b": np.tile(np.arange(40) >= 20, 2),
            "age: c": np.ones(80, bool),
        }
        summary = scored(probability, expression, np.tile(np.arange(40), 2), groups=groups).summary()
        assert summary["gap"] == 0.5 and summary["false_alarm"] == 0.25 and summary["contrasts"] == 3

    @pytest.mark.parametrize("other, why", [("neutral", "are neutral"), ("fear", "to fear"), ("", "neutral")])
    def test_without_an_expression_there_is_no_contrast(self, other, why):
        probability, expression, subjects = four_people()
        with pytest.raises(ValueError, match=f"nothing to contrast: .*{why}"):
            scored(probability, np.where(expression == "neutral", "neutral", other), subjects)

    def test_without_neutral_faces_there_is_no_contrast(self):
        probability, expression, subjects = four_people()
        with pytest.raises(ValueError, match="no face is labelled neutral"):
            scored(probability, np.full(8, "happiness"), subjects)


class TestOwnPart:
    def make(self, own: float, faces: int = 600):
        """An AU whose log odds copy a companion's, which shows the expression, plus `own` of its own."""
        rng = np.random.default_rng(0)
        shown = rng.random(faces) < 0.5
        companion = 2 * shown + rng.normal(0, 1, faces)
        score = companion + own * shown + rng.normal(0, 0.5, faces)
        odds = 1 / (1 + np.exp(-np.stack([score, companion], 1)))
        return shown, odds[:, 0], odds[:, 1:], np.arange(faces) // 3

    def test_is_chance_for_an_au_that_only_keeps_company(self):
        shown, score, companion, subjects = self.make(own=0)
        assert roc_auc_score(shown, score) > 0.85
        assert roc_auc_score(shown, own_part(score, companion, subjects)) == pytest.approx(0.5, abs=0.05)

    def test_is_kept_by_an_au_that_shows_the_expression_itself(self):
        shown, score, companion, subjects = self.make(own=2)
        assert roc_auc_score(shown, own_part(score, companion, subjects)) > 0.8

    def test_a_person_is_predicted_by_a_model_of_the_others(self):
        """Where one person's faces are moved, that is not fitted away, and the others' part follows."""
        _, score, companion, subjects = self.make(own=0)
        odd = subjects == 7
        moved = np.where(odd, 0.999, score)
        assert own_part(moved, companion, subjects)[odd].min() > 3
        assert not np.allclose(
            own_part(moved, companion, subjects)[~odd], own_part(score, companion, subjects)[~odd]
        )

    def test_it_is_not_fitted_to_the_faces_that_are_scored(self):
        """A line through half as many companions as faces, all chance, would take half the spread with it."""
        rng = np.random.default_rng(0)
        score, companions = rng.uniform(0.1, 0.9, 60), rng.uniform(0.1, 0.9, (60, 30))
        assert own_part(score, companions, np.arange(60)).std() > log_odds(score).std()

    def test_without_companions_it_is_the_score(self):
        score = np.array([0.2, 0.8, 0.5])
        assert own_part(score, np.empty((3, 0)), np.arange(3)) == pytest.approx(log_odds(score))


class TestExpressions:
    def test_words_of_every_set_are_understood(self):
        words = pd.Series(["Happy", " joy", "HA", "happiness", "Anger", "NF", None, "neutral"])
        assert expressions_of(words).tolist() == ["happiness"] * 4 + ["anger", "", "", "neutral"]

    def test_no_word_has_two_meanings(self):
        words = [word for names in SYNONYMS.values() for word in names] + [*EXPRESSIONS, *UNLABELLED]
        assert len(words) == len(set(words))

    def test_numbers_are_refused_because_sets_differ(self):
        with pytest.raises(ValueError, match="row 3 is '4'.*write the words"):
            expressions_of(pd.Series(["happy", "4"]))

    def test_an_unknown_word_is_named_with_its_row(self):
        with pytest.raises(ValueError, match="row 2 is 'grumpy', expected one of neutral, happiness"):
            expressions_of(pd.Series(["grumpy"]))

    def test_contrasts_name_known_aus(self):
        assert {au for aus in CONTRASTS.values() for au in aus} <= set(AU_NAMES)


def test_ages_become_groups_and_other_columns_keep_their_words():
    table = pd.DataFrame(
        {"meta_age": ["24", "25", "", "49"], "meta_gender": ["Female", "male", "NA", "female"]}
    )
    groups = {name: members.tolist() for name, members in groups_of(table).items()}
    assert list(groups.items()) == [
        ("all", [True] * 4),
        ("age: under 25", [True, False, False, False]),
        ("age: 25 to 34", [False, True, False, False]),
        ("age: 35 to 49", [False, False, False, True]),
        ("gender: female", [True, False, False, True]),
        ("gender: male", [False, True, False, False]),
    ]


@pytest.mark.parametrize("cell", ["999", "-5", "inf", "old", "30-39"])
def test_an_age_that_is_none_is_refused_and_a_missing_one_is_not(cell):
    assert list(groups_of(pd.DataFrame({"meta_age": ["24", "NA", "unknown", ""]}))) == [
        "all",
        "age: under 25",
    ]
    with pytest.raises(ValueError, match=f"meta_age of row 3 is '{cell}', expected years from 0 to 120"):
        groups_of(pd.DataFrame({"meta_age": ["24", cell]}))
