"""Predictions of a model: every face once, in order, landmarks in pixels of the margin crop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aulib.batches import centre_crop
from aulib.evaluate import (
    LOG_ODDS,
    Predictions,
    intensity_curves,
    intensity_of,
    predict_batches,
    score_predictions,
    side_evidence,
)
from aulib.metrics import au_scores, landmark_scores
from conftest import face_outline
from tiny import AUS, MARGIN, SIZE, tiny_faces, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("full").eval()


@pytest.mark.parametrize("read_from", ["features", "reconstruction"])
def test_predictions_equal_those_of_each_face_alone(read_from, model):
    faces = replace(tiny_faces(), rows=np.array([7, 2, 9, 4, 0]))
    reading = predict_batches(model, faces, read_from, batch_size=2)  # the last batch is short
    assert reading.probability.shape == (5, len(AUS)) and reading.landmarks.shape == (5, 68, 2)
    for index, row in enumerate(faces.rows):
        image, _ = centre_crop(faces.images[[row]], faces.landmarks[[row]], SIZE)
        with torch.no_grad():
            expected = model.read(image, read_from)["au_logits"].sigmoid()[0]
        np.testing.assert_allclose(reading.probability[index], expected, rtol=1e-3, atol=1e-5)


def test_predictions_do_not_depend_on_labels_or_landmarks(model):
    faces = tiny_faces()
    blind = replace(faces, occurrence=None, landmarks=np.full_like(faces.landmarks, np.nan))
    seen, unseen = predict_batches(model, faces, "features"), predict_batches(model, blind, "features")
    assert (seen.probability == unseen.probability).all() and (seen.landmarks == unseen.landmarks).all()


def test_landmarks_come_back_in_pixels_of_the_margin_crop(model, monkeypatch):
    """A stand-in model puts the mass of each map where its landmark is, between the four nearest cells."""
    faces = tiny_faces()
    faces.landmarks[:] = face_outline(MARGIN // 2) + MARGIN / 4  # far enough from the border of the map
    map_size = SIZE // 4
    position = (torch.from_numpy(faces.landmarks) - (MARGIN - SIZE) / 2 + 0.5) / 4 - 0.5
    tent = (1 - (torch.arange(map_size) - position[..., None]).abs()).clamp(min=0)  # (N, K, xy, cells)
    shape = tent[:, :, 1, :, None] * tent[:, :, 0, None, :]
    answers = iter(shape.split(5))

    def read(image, read_from):
        return {"au_logits": torch.zeros(len(image), len(AUS)), "shape": next(answers)}

    monkeypatch.setattr(model, "read", read)
    reading = predict_batches(model, faces, "features", batch_size=5)
    np.testing.assert_allclose(reading.landmarks, faces.landmarks, atol=1e-3)


class TestScoreFaces:
    def reading(self) -> Predictions:
        rng = np.random.default_rng(5)
        return Predictions(rng.random((4, len(AUS))), face_outline(MARGIN) + rng.random((4, 68, 2)))

    def test_scores_use_the_labels_of_the_split_s_rows(self):
        faces, reading = replace(tiny_faces(), rows=np.array([7, 2, 9, 4])), self.reading()
        subjects = np.array(["a", "b", "a", "b"])
        scores = score_predictions(reading, faces, subjects, AUS, resamples=10)
        expected = au_scores(reading.probability, faces.occurrence[[7, 2, 9, 4]], subjects, list(AUS), 10)
        expected |= landmark_scores(reading.landmarks, faces.landmarks[[7, 2, 9, 4]])
        np.testing.assert_equal(scores, expected)


class TestIntensity:
    PROBABILITY = 1 / (1 + np.exp([6.0, 0.0, -6.0, 2.0]))[:, None]  # log odds -6, 0, 6 and -2

    def curve(self, *intensity: float) -> dict:
        return intensity_curves(self.PROBABILITY, np.array(intensity)[:, None], ["AU12"])

    def test_curve_worked_by_hand(self):
        curve = self.curve(0, 2, 5, np.nan)["AU12"]
        at = dict(zip(LOG_ODDS, curve, strict=True))
        assert (at[-6], at[-3], at[0], at[2], at[6]) == pytest.approx((0, 1, 2, 3, 5), abs=1e-3)

    def test_faces_out_of_order_are_averaged(self):
        curve = self.curve(0, 3, 1, 0)["AU12"]
        assert curve[12:] == pytest.approx([2] * 13) and curve[0] == curve[8] == 0

    @pytest.mark.parametrize("intensity", [[np.nan] * 4, [0, 0, 0, np.nan]])
    def test_an_au_whose_intensity_is_unknown_or_never_varies_has_none(self, intensity):
        assert self.curve(*intensity) == {}

    def test_intensity_of_a_probability(self):
        curve = np.linspace(0, 5, len(LOG_ODDS))
        read = intensity_of(np.array([0.5, 0, 1, np.nan, 1 / (1 + np.exp(-3))]), curve)
        assert read[[0, 1, 2, 4]] == pytest.approx([2.5, 0, 5, 3.75]) and np.isnan(read[3])


def test_a_mirrored_face_has_the_opposite_evidence_of_sides(model):
    crops = tiny_faces().images[:5]
    evidence = side_evidence(model, crops)
    assert evidence.shape[:2] == (5, len(AUS)) and np.abs(evidence).max() > 1e-3
    np.testing.assert_allclose(side_evidence(model, crops[:, :, ::-1].copy()), -evidence, atol=1e-5)
    with pytest.raises(ValueError, match="no evidence of a side"):
        side_evidence(tiny_model("landmarks-only").eval(), crops)
