"""Scores against hand values, scikit-learn and naive loops."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from aulib import metrics
from aulib.landmarks import LAYOUT_49, LAYOUT_68
from aulib.metrics import (
    AU_MEASURES,
    au_scores,
    auc_weighted,
    f1_frame,
    f1_normalised,
    icc,
    landmark_nme,
    landmark_scores,
)

AUS = ["AU01", "AU06", "AU12"]


def split(frames: int = 80, people: int = 9, unknown: float = 0.2, seed: int = 0):
    """Probabilities with ties, skewed labels with gaps, subjects with unequal numbers of frames."""
    rng = np.random.default_rng(seed)
    probability = rng.random((frames, len(AUS))).round(1)
    occurrence = (rng.random(probability.shape) < 0.2 + 0.5 * probability * [1, 0.5, 0.2]).astype(float)
    occurrence[rng.random(probability.shape) < unknown] = np.nan
    subjects = np.array([f"s{int(i)}" for i in people * rng.random(frames) ** 2])
    return probability, occurrence, subjects


class TestF1:
    def test_worked_by_hand(self):
        assert f1_frame(np.array([3]), np.array([1]), np.array([2]))[0] == pytest.approx(6 / 9)

    def test_is_undefined_where_the_au_is_neither_present_nor_predicted(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = f1_frame(np.array([0, 0, 0]), np.array([0, 2, 0]), np.array([0, 0, 3]))
        assert np.isnan(values[0]) and values[1:].tolist() == [0, 0]

    @pytest.mark.parametrize("au", range(3))
    def test_agrees_with_scikit_learn_on_known_labels(self, au):
        probability, occurrence, subjects = split()
        known = ~np.isnan(occurrence[:, au])
        label, predicted = occurrence[known, au].astype(int), probability[known, au] >= 0.5
        score = au_scores(probability, occurrence, subjects, AUS, 1)[f"per_au.{AUS[au]}.f1"]
        assert score == pytest.approx(f1_score(label, predicted), rel=1e-12)

    def test_is_pooled_over_frames_and_not_averaged_over_batches(self):
        occurrence = np.array([[1, 1, 1, 1, 0, 0, 0, 1.0]]).T
        predicted = np.array([[1, 1, 1, 1, 1, 1, 1, 0.0]]).T  # F1 1 in the first batch, 0 in the second
        score = au_scores(predicted, occurrence, np.arange(8), ["AU12"], 1)["mean.f1"]
        assert score == pytest.approx(8 / (8 + 3 + 1))
        assert score != pytest.approx(0.5)

    def test_mean_is_over_aus_and_not_over_all_decisions(self):
        occurrence = np.array([[1, 0], [1, 0], [1, 0], [0, 1.0]])
        predicted = np.array([[1, 1], [1, 0], [1, 0], [0, 0.0]])  # F1 of 1 and of 0; micro F1 would be 3/4
        scores = au_scores(predicted, occurrence, np.arange(4), AUS[:2], 1)
        assert scores["mean.f1"] == pytest.approx(0.5)


class TestAUC:
    def test_worked_by_hand_with_a_tie(self):
        # present .9 and .4, absent .4 and .1: pairs (.9 .4) (.9 .1) (.4 .1) right, (.4 .4) half: 3.5 of 4
        score, present = np.array([0.4, 0.9, 0.4, 0.1]), np.array([True, True, False, False])
        assert auc_weighted(score, present, np.ones((1, 4)))[0] == pytest.approx(3.5 / 4)

    def test_agrees_with_scikit_learn_for_every_weighting_and_with_ties(self):
        rng = np.random.default_rng(0)
        score, present = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.3
        weights = rng.integers(0, 4, (20, 60)).astype(float)
        expected = [roc_auc_score(present, score, sample_weight=row) for row in weights]
        np.testing.assert_allclose(auc_weighted(score, present, weights), expected, rtol=1e-12)

    def test_is_undefined_where_a_resample_lacks_one_class(self):
        present = np.array([True, False])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = auc_weighted(np.array([0.1, 0.2]), present, np.array([[1.0, 0], [0, 1], [1, 1]]))
        assert np.isnan(values).tolist() == [True, True, False]


class TestSkewNormalisedF1:
    def test_worked_by_hand(self):
        assert f1_normalised(0.8, 0.1) == pytest.approx(2 * 0.8 / 1.9)

    def test_is_the_f1_after_resampling_to_as_many_present_as_absent_frames(self):
        rng = np.random.default_rng(0)
        occurrence = (rng.random(400) < 0.1).astype(float)
        probability = np.clip(0.3 * occurrence + 0.7 * rng.random(400), 0, 1)
        present, absent = np.flatnonzero(occurrence), np.flatnonzero(1 - occurrence)
        balanced = np.concatenate([np.repeat(present, len(absent)), np.repeat(absent, len(present))])
        expected = f1_score(occurrence[balanced], probability[balanced] >= 0.5)
        scores = au_scores(probability[:, None], occurrence[:, None], np.arange(400), ["AU12"], 1)
        assert scores["mean.f1_norm"] == pytest.approx(expected, rel=1e-12)
        assert scores["mean.f1_norm"] > scores["mean.f1"] + 0.2  # the input tells the two apart


class TestUnknownLabels:
    def test_frames_with_unknown_labels_are_as_if_they_were_not_there(self):
        probability, occurrence, subjects = split()
        known = ~np.isnan(occurrence[:, 1])
        some = au_scores(probability, occurrence, subjects, AUS, 1)
        only = au_scores(probability[known, 1:2], occurrence[known, 1:2], subjects[known], AUS[1:2], 1)
        for key in ("f1", "auc", "f1_norm", "support", "base_rate"):
            assert some[f"per_au.AU06.{key}"] == pytest.approx(only[f"per_au.AU06.{key}"])
        changed = np.where(np.isnan(occurrence), 1 - probability.round(), probability)
        again = au_scores(changed, occurrence, subjects, AUS, 1)
        np.testing.assert_equal(again, some)

    def test_an_au_without_labels_is_undefined_and_left_out_of_the_mean(self):
        probability, occurrence, subjects = split()
        occurrence[:, 2] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = au_scores(probability, occurrence, subjects, AUS, 20)
        assert all(np.isnan(scores[f"per_au.AU12.{measure}"]) for measure in AU_MEASURES)
        assert np.isnan(scores["per_au.AU12.base_rate"]) and scores["per_au.AU12.support"] == 0
        for measure in AU_MEASURES:
            two = [scores[f"per_au.{au}.{measure}"] for au in AUS[:2]]
            assert scores[f"mean.{measure}"] == pytest.approx(np.mean(two))
        assert scores["mean.aus"] == 2


class TestScores:
    def test_support_and_base_rate_worked_by_hand(self):
        occurrence = np.array([[1, 1, 0, np.nan, 0]]).T
        scores = au_scores(np.zeros((5, 1)), occurrence, np.arange(5), ["AU12"], 1)
        assert (scores["n"], scores["per_au.AU12.support"]) == (5, 2)
        assert scores["per_au.AU12.base_rate"] == pytest.approx(2 / 4)

    def test_interval_is_that_of_a_loop_that_redraws_subjects(self):
        probability, occurrence, subjects = split(frames=60, people=5)
        people = np.unique(subjects)
        resamples, seed = 30, 4
        draws = np.random.default_rng(seed).multinomial(
            len(people), np.full(len(people), 1 / len(people)), resamples
        )
        table = {f"per_au.{au}.{measure}": [] for au in AUS for measure in AU_MEASURES}
        table |= {f"mean.{measure}": [] for measure in AU_MEASURES}
        for draw in draws:
            frames = np.concatenate(
                [
                    np.tile(np.flatnonzero(subjects == who), times)
                    for who, times in zip(people, draw, strict=True)
                ]
            )
            one = au_scores(probability[frames], occurrence[frames], subjects[frames], AUS, 1)
            for key in table:
                table[key].append(one[key])
        scores = au_scores(probability, occurrence, subjects, AUS, resamples, seed)
        for key, values in table.items():
            low, high = np.nanquantile(values, [0.025, 0.975])
            assert (scores[f"{key}_low"], scores[f"{key}_high"]) == pytest.approx((low, high)), key

    def test_large_sets_are_scored_in_chunks_with_the_same_result(self, monkeypatch):
        whole = au_scores(*split(), AUS, 25)
        monkeypatch.setattr(metrics, "CHUNK", 7 * 80)
        parts = au_scores(*split(), AUS, 25)
        assert parts == pytest.approx(whole, nan_ok=True)

    def test_frames_of_one_subject_stay_together(self):
        # everyone's frames are all right or all wrong: subjects vary, frames within them do not
        rng = np.random.default_rng(0)
        right = np.repeat([True, True, True, False, False, False], 50)
        occurrence = (rng.random(300) < 0.5).astype(float)
        probability = np.where(right, occurrence, 1 - occurrence)
        by_subject = au_scores(
            probability[:, None], occurrence[:, None], np.repeat(range(6), 50), ["AU12"], 300
        )
        by_frame = au_scores(probability[:, None], occurrence[:, None], np.arange(300), ["AU12"], 300)
        width = [scores["mean.f1_high"] - scores["mean.f1_low"] for scores in (by_subject, by_frame)]
        assert by_subject["mean.f1"] == by_frame["mean.f1"] and width[0] > 3 * width[1]

    def test_one_subject_gives_a_score_and_no_interval(self):
        probability, occurrence, _ = split()
        scores = au_scores(probability, occurrence, np.zeros(len(probability)), AUS, 10)
        assert 0 < scores["mean.f1"] < 1
        assert np.isnan(scores["mean.f1_low"]) and np.isnan(scores["mean.f1_high"])

    def test_order_of_frames_and_names_of_subjects_do_not_matter(self):
        probability, occurrence, subjects = split()
        order = np.random.default_rng(0).permutation(len(probability))
        scores = au_scores(probability, occurrence, subjects, AUS, 20)
        again = au_scores(probability[order], occurrence[order], subjects[order], AUS, 20)
        assert again == pytest.approx(scores, nan_ok=True)

    @pytest.mark.parametrize("frames", [(4, 3), (0, 0)])
    def test_inputs_that_do_not_fit_are_refused(self, frames):
        with pytest.raises(ValueError, match="do not fit"):
            au_scores(np.zeros((frames[0], 3)), np.zeros((frames[1], 3)), np.arange(frames[0]), AUS)


class TestLandmarks:
    def face(self, layout=LAYOUT_68):
        """Outer eye corners 10 apart, inner ones 2: eye centres are 6 apart."""
        landmarks = np.zeros((1, layout.num_landmarks, 2))
        for side, sign in (("right_eye", -1), ("left_eye", 1)):
            for index in getattr(layout, side):
                landmarks[0, index] = [sign * 3, 0]
        landmarks[0, list(layout.outer_eye_corners)] = [[-5, 0], [5, 0]]
        landmarks[0, list(layout.inner_eye_corners)] = [[-1, 0], [1, 0]]
        return landmarks

    @pytest.mark.parametrize("layout", [LAYOUT_68, LAYOUT_49], ids=lambda layout: str(layout.num_landmarks))
    def test_the_unit_is_the_distance_of_the_outer_eye_corners(self, layout):
        landmarks = self.face(layout)
        moved = landmarks + [3, 4]  # every landmark off by 5
        assert landmark_nme(moved, landmarks)[0] == pytest.approx(0.5)  # inter-pupil: 5/6, inner corners: 5/2

    def test_is_the_mean_distance_and_not_its_root_mean_square(self):
        landmarks = self.face()
        moved = landmarks.copy()
        moved[0, 8] += [0, 68]  # one landmark off by 68
        assert landmark_nme(moved, landmarks)[0] == pytest.approx(68 / 68 / 10)

    def test_failure_is_more_than_a_tenth_and_faces_without_landmarks_are_left_out(self):
        landmarks = self.face().repeat(4, 0)
        moved = landmarks.copy()
        moved[0] += [0.9, 0]
        moved[1] += [1.1, 0]
        moved[2] += [1.0, 0]
        landmarks[3] = np.nan
        scores = landmark_scores(moved, landmarks)
        assert scores["landmarks.nme"] == pytest.approx((0.09 + 0.11 + 0.1) / 3)
        assert scores["landmarks.failure_rate"] == pytest.approx(1 / 3)


def test_icc_is_that_of_the_sums_of_squares():
    """By sums of squares, of two of the four raters of Shrout & Fleiss 1979, table 2."""
    one, two = np.array([9, 6, 8, 7, 10, 6.0]), np.array([2, 1, 4, 1, 5, 2.0])
    rows, columns = np.column_stack([one, two]).mean(1), np.array([one.mean(), two.mean()])
    grand = columns.mean()
    between = 2 * ((rows - grand) ** 2).sum() / 5
    total = ((np.column_stack([one, two]) - grand) ** 2).sum()
    error = (total - 5 * between - 6 * ((columns - grand) ** 2).sum()) / 5
    assert icc(one, two) == pytest.approx((between - error) / (between + error))
    assert icc(one, one + 3) == pytest.approx(1)  # consistency, not absolute agreement
    assert np.isnan(icc(np.ones(4), np.ones(4)))
