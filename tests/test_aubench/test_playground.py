"""Each control changes what it names, and a reading is what the run predicts."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aubench.inspection.playground import (
    Controls,
    brightest,
    drawn_controls,
    evidence_strength,
    open_run,
    read_crop,
    render,
    render_and_read,
)
from aufaces.actions import AUS
from aufaces.domains import DOMAINS, sample_face
from aulib.batches import Faces
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.evaluate import predict_batches
from aulib.run import Run

SIZE = 64
BROWS, MOUTH_CORNERS = range(17, 27), [48, 54]


def doing(**levels: float) -> Controls:
    return Controls(tuple(float(levels.get(au, 0)) for au in AUS))


@pytest.fixture(scope="module")
def full(finished) -> Run:
    return open_run(finished.full)


def margin_crop(size: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_same_controls_give_the_same_bytes_whatever_was_rendered_between(domain):
    controls = replace(doing(AU12=3), domain=domain, seed=5)
    first, landmarks = render(controls, SIZE)
    render(replace(controls, yaw=30.0), SIZE)
    again, landmarks_again = render(controls, SIZE)
    assert np.array_equal(first, again) and np.array_equal(landmarks, landmarks_again)


def test_a_smile_lifts_the_mouth_corners_and_leaves_brows_and_background():
    rest, before = render(doing(), SIZE)
    smile, after = render(doing(AU12=5), SIZE)
    assert (before[MOUTH_CORNERS, 1] - after[MOUTH_CORNERS, 1] > 0.5).all()  # pixels, y points down
    np.testing.assert_allclose(after[BROWS], before[BROWS], atol=0.05)
    assert np.array_equal(rest[:8, :8], smile[:8, :8])


def test_turning_moves_the_nose_to_the_picture_s_right_and_nodding_moves_it_down():
    at_rest, turned, nodded = (
        render(replace(doing(), **way), SIZE)[1][30] for way in ({}, {"yaw": 20.0}, {"pitch": 15.0})
    )
    assert turned[0] > at_rest[0] + 1 and nodded[1] > at_rest[1] + 1


def test_light_from_the_other_side_brightens_the_other_cheek():
    def right_less_left(side: float) -> float:
        controls = replace(doing(), light_side=side, light_height=0.0, soft_light=0.2)
        picture, landmarks = render(controls, SIZE)
        at_cheek = [picture[int(y), int(x)].mean() for x, y in (landmarks[[14, 2]] + landmarks[[35, 31]]) / 2]
        return at_cheek[0] - at_cheek[1]

    assert right_less_left(75) > 20 and right_less_left(-75) < -20  # of 255


def test_another_seed_is_another_person_and_another_domain_another_scene():
    pictures = [render(replace(doing(), **way), SIZE)[0] for way in ({}, {"seed": 2}, {"domain": "wild"})]
    assert not np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[0], pictures[2])


def test_an_au_counts_as_present_from_intensity_two():
    assert doing(AU12=2.0, AU06=1.9).occurrence == {au: au == "AU12" for au in AUS}


def test_drawn_controls_stand_where_the_domain_drew_the_face():
    controls, sample = drawn_controls("wild", 3), sample_face(DOMAINS["wild"], 3, 0, 1)
    shot = sample.face.shot
    assert controls.yaw == pytest.approx(np.degrees(shot.yaw)) and controls.roll == pytest.approx(
        np.degrees(shot.roll)
    )
    np.testing.assert_allclose(controls.intensity, sample.face.expression.intensity, atol=0.051)
    side, height = np.radians([controls.light_side, controls.light_height])
    direction = np.array([np.sin(side) * np.cos(height), np.sin(height), np.cos(side) * np.cos(height)])
    np.testing.assert_allclose(
        direction, np.array(shot.key_direction) / np.linalg.norm(shot.key_direction), atol=1e-6
    )


@pytest.mark.parametrize("read_from", ["features", "reconstruction"])
def test_a_reading_equals_predict_batches_of_the_same_crop(full, read_from):
    crop = margin_crop(full.model.config.margin_size)
    reading = read_crop(full, crop, read_from)
    nowhere = np.zeros((1, 68, 2), np.float32)
    expected = predict_batches(full.model, Faces(crop[None], np.array([0]), nowhere, None), read_from)
    assert list(reading.probability) == list(full.aus)
    np.testing.assert_allclose(list(reading.probability.values()), expected.probability[0], atol=1e-5)
    np.testing.assert_allclose(reading.landmarks, expected.landmarks[0], atol=1e-3)
    offset = (40 - 32) // 2
    assert np.array_equal(reading.crop, crop[offset : offset + 32, offset : offset + 32])


def test_the_mean_of_the_evidence_is_the_logit(full):
    reading = read_crop(full, margin_crop(), "features")
    probability = 1 / (1 + np.exp(-reading.evidence.mean((1, 2))))
    np.testing.assert_allclose(probability, list(reading.probability.values()), atol=1e-4)


def test_an_au_s_evidence_is_drawn_on_the_run_s_own_scale_for_it(full):
    reading = read_crop(full, margin_crop(), "features")
    au, index = full.aus[1], 1
    expected = (reading.evidence[index] / brightest(full)[index]).clip(0, 1)
    np.testing.assert_array_equal(evidence_strength(full, reading, au), expected)
    assert evidence_strength(full, reading, "AU43") is None  # unknown to the run
    without = replace(reading, evidence=None)  # as of a run that reads landmark coordinates
    assert evidence_strength(full, without, au) is None


def test_the_face_is_cropped_by_its_true_landmarks_and_its_landmarks_come_back(full):
    played = render_and_read(full, doing(AU12=4), SIZE)
    spec = crop_of(full.model.config)
    matrix = crop_matrix(played.true_landmarks, spec)
    in_crop = played.landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(in_crop, played.reading.landmarks, atol=1e-3)
    crop = crop_face(Image.fromarray(played.picture), matrix, spec)
    expected = read_crop(full, crop, played.reading.read_from)
    assert expected.probability == played.reading.probability


def test_a_run_reads_the_domain_it_was_trained_on_as_its_source(full):
    run = Run(full.path)
    run.settings |= {"source": "synthetic:studio?n=64", "read_source_from": "features"}
    run.settings["read_target_from"] = "reconstruction"
    assert run.way_of_reading("synthetic:studio") == "features"
    assert run.way_of_reading("synthetic:wild") == "reconstruction"
    assert run.way_of_reading("moved", run.settings["data_versions"]["source"]) == "features"


def test_a_run_without_landmark_terms_has_no_landmarks(finished):
    run = open_run(finished.source_only)
    played = render_and_read(run, doing(), SIZE)
    assert played.landmarks is None
