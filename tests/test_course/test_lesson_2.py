"""Lesson 2: scores under factors and under skew, and a hint for each mistake."""

import shutil

import numpy as np
import pandas as pd
import pytest

import lesson_2
from aubench.inspection.factor_faces import CONDITIONS, LabelledPredictions
from aulib.metrics import f1_normalised
from lesson_2_instrument import FactorMixer
from tried_exercises import TriedExercises

COUNT = 8


def noisy(n: int = 4000) -> LabelledPredictions:
    """A detector with rates of 80 % true and 10 % false positives, at a base rate of 50 %."""
    rng = np.random.default_rng(0)
    occurrence = (rng.random((n, 2)) < 0.5).astype(float)
    score = rng.normal(occurrence * 2.12, 1)
    return LabelledPredictions(
        np.where(score > 1.28, 0.6, 0.1) + 0.1 * (score > 2) + 0.05 * (score > 0), occurrence
    )


class TestScores:
    def test_f1_expected_is_skew_normalised_f1_at_one_half(self):
        assert lesson_2.f1_expected(0.8, 0.1, 0.5) == pytest.approx(f1_normalised(0.8, 0.1))

    def test_f1_expected_of_a_hand_worked_case(self):
        # of 100 frames 20 have it: 10 hits, 10 misses, 8 of 80 false
        assert lesson_2.f1_expected(0.5, 0.1, 0.2) == pytest.approx(20 / (20 + 10 + 8))

    def test_thinning_moves_f1_as_expected_and_no_other_score(self):
        table = lesson_2.thinned(noisy())
        assert table["base_rate"].is_monotonic_decreasing and table["base_rate"].iloc[-1] < 0.15
        assert table["auc"].max() - table["auc"].min() < 0.03
        assert table["f1_norm"].max() - table["f1_norm"].min() < 0.03
        assert np.allclose(table["f1"], lesson_2.f1_expected(0.8, 0.1, table["base_rate"]), atol=0.03)

    def test_saved_answers_are_those_of_the_test_faces(self, finished):
        table = lesson_2.f1_per_domain(finished.source_only)
        assert set(table["domain"]) == {"source", "target"} and table["f1"].dtype == float
        answers = lesson_2.answers_of_test(finished.source_only, "target")
        rates = table[table["domain"] == "target"]["base_rate"].to_numpy()
        assert np.allclose(np.nanmean(answers.occurrence, axis=0), rates)


@pytest.mark.slow  # renders and trains
class TestFigures:
    def test_shown_faces_are_as_many_as_asked_for_and_differ(self):
        assert len(set(lesson_2.faces_with_shade_and_occlusion(2, COUNT))) == 2
        assert lesson_2.faces_with_shade_and_occlusion(3, 1) == [0]


def test_boxes_change_the_picture_and_the_answers_follow(finished, tmp_path):
    mixer = FactorMixer(shutil.copytree(finished.source_only, tmp_path / "run"), COUNT)
    plain = mixer.picture.value
    assert mixer.factors == set() and 'data-au="AU12"' in mixer.text.value
    mixer.controls["light"].value = True
    assert mixer.newest.wait(60)
    assert mixer.factors == {"light"} and mixer.picture.value != plain
    mixer.controls["light"].value = False
    assert mixer.newest.wait(60) and mixer.picture.value == plain


CHANGES = pd.DataFrame(
    [
        ("light", "AU01", -0.30, -0.1),
        ("light", "AU12", -0.02, -0.6),
        ("camera", "AU01", -0.29, -0.1),  # within chance of the largest fall
        ("pose", "AU01", -0.10, -0.1),
        ("pose", "AU12", np.nan, np.nan),
        ("all", "AU01", -0.40, -0.7),
    ],
    columns=["factor", "au", "auc", "f1"],
)


def under(factors) -> LabelledPredictions:
    """Known wrong answers: light flips 40 % of them, pose 10 %, all 50 %."""
    flipped_share = min(0.5, 0.4 * ("light" in factors) + 0.1 * ("pose" in factors))
    occurrence = (np.arange(80) % 2).astype(float)[:, None]
    flipped = (np.arange(80) // 2 % 10)[:, None] < 10 * flipped_share
    return LabelledPredictions(np.where(flipped, 1 - occurrence, occurrence), occurrence)


CONDITIONS_ANSWERED = {name: under(factors) for name, factors in CONDITIONS.items()}


EXERCISES = {
    "always": (
        lambda answer: lesson_2.check_always(answer, 0.2),
        [2 * 0.2 / 1.2],
        [0.2, 1, 0.6, 2 / 3, 100 / 3, 0.05, "a third"],
    ),
    "skew": (
        lesson_2.check_skew,
        [lesson_2.f1_expected],
        [
            lambda t, f, r: f1_normalised(t, f),
            lambda t, f, r: r * t / (r * t + (1 - r) * f),
            lambda t, f, r: t,
            lambda t, f, r: r * t + (1 - r) * (1 - f),
            lambda t, f, r: (t + r * t / (r * t + (1 - r) * f)) / 2,
            lambda t, f, r: 2 * r * t / (2 * r * t + f + r * (1 - t)),
            lambda t, f, r: r * t / (r + (1 - r) * f),
            lambda r, t, f: lesson_2.f1_expected(t, f, r),
            lambda t, f, r: None,
            lambda t, f, r: 0.5,
            lambda t, f: t,
        ],
    ),
    "broken": (
        lambda answer: lesson_2.check_broken(answer, CHANGES),
        [("light", "AU01"), ("camera", "AU01")],
        [
            ("light", "AU12"),
            ("pose", "AU01"),
            ("all", "AU01"),
            ("AU01", "light"),
            ("light", "AU99"),
            ("pose", "AU12"),
            "light",
        ],
    ),
    "mix": (
        lambda answer: lesson_2.check_mix(answer, "run", CONDITIONS_ANSWERED),
        [{"light"}, ["light", "pose"], {"light", "pose", "camera"}],
        [
            {"pose"},
            {"pose", "camera", "shade"},
            set(),
            {"pose", "camera", "light", "shade"},
            "light",
            {"fog"},
            {"all"},
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, (None, "seven", [1, 2], {1: 2}, float("nan"), object())

    @pytest.fixture(autouse=True)
    def known_answers(self, monkeypatch):
        monkeypatch.setattr(lesson_2, "answers_under", lambda run, factors, count, seed: under(factors))


def test_a_run_without_loss_accepts_any_mix(monkeypatch):
    monkeypatch.setattr(lesson_2, "answers_under", lambda run, factors, count, seed: under(factors))
    still = dict.fromkeys(CONDITIONS, under(()))
    assert lesson_2.check_mix({"pose"}, "run", still).state == "right"
