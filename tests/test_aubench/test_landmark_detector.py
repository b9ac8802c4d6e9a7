"""Faces and landmarks of a portrait that comes with scikit-image; skipped without the extra `faces`."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from aubench.datasets import landmark_detector
from aubench.datasets.landmark_detector import detect_landmarks, landmarks_by, require_detector
from aulib.landmarks import LAYOUT_68


@pytest.fixture
def portrait():
    """A face that comes with scikit-image."""
    pytest.importorskip("onnxruntime")
    from skimage.data import astronaut

    return astronaut()


def test_the_detector_finds_a_face_and_its_68_landmarks(portrait):
    landmarks, num_faces = detect_landmarks(portrait)
    assert num_faces == 1 and landmarks.shape == (68, 2) and landmarks.dtype == np.float32
    right_eye, left_eye, mouth = landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[48:68].mean(0)
    assert right_eye[0] < left_eye[0]
    assert mouth[1] > max(right_eye[1], left_eye[1]) + 20
    assert (landmarks > (150, 40)).all() and (landmarks < (300, 220)).all()


def test_the_detector_finds_small_faces_and_takes_the_largest(portrait):
    small = np.asarray(Image.fromarray(portrait[:220, 130:320]).resize((64, 74)))
    assert detect_landmarks(small)[1] == 1
    head = portrait[:220, 130:320]
    both = np.full((440, 590, 3), 128, dtype=np.uint8)
    both[:220, :190] = head  # the small face comes first
    both[:, 210:] = np.asarray(Image.fromarray(head).resize((380, 440)))
    landmarks, num_faces = detect_landmarks(both)
    assert num_faces == 2
    assert landmarks[:, 0].min() > 210


def test_a_narrow_face_is_found_as_of_a_turned_head(portrait):
    narrow = np.asarray(Image.fromarray(portrait[:260, 100:360]).resize((130, 260)))
    landmarks, num_faces = detect_landmarks(narrow)
    assert num_faces == 1
    nose, chin = landmarks[30], landmarks[8]
    assert 50 < nose[0] < 75 and 110 < nose[1] < 135 and chin[1] > nose[1] + 20


def test_a_tilted_face_has_tilted_landmarks(portrait):
    upright, _ = detect_landmarks(portrait)
    for angle in (-25, 25):
        tilted = np.asarray(Image.fromarray(portrait).rotate(angle, Image.Resampling.BILINEAR))
        right, left = detect_landmarks(tilted)[0][[36, 45]]
        before = np.subtract(*upright[[45, 36]]) @ (1, 1j)
        roll = np.angle(((left - right) @ (1, 1j)) / before, deg=True)
        assert roll == pytest.approx(-angle, abs=4)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_on_its_side_or_upside_down_is_none_also_beside_an_upright_one(portrait, quarters):
    head = portrait[:220, 110:330]
    turned = np.rot90(head, quarters)
    assert landmark_detector._yunets(turned)[0].max() > landmark_detector.FACE, "YuNet sees it"
    assert detect_landmarks(turned) == (None, 0)
    landmarks, num_faces = detect_landmarks(np.concatenate([turned, head], axis=1))
    assert num_faces == 1 and landmarks[:, 0].min() > 220


def test_a_face_as_large_as_the_picture_and_a_small_one_in_a_large_picture_are_found(portrait):
    close = np.asarray(Image.fromarray(portrait[60:190, 165:285]).resize((1200, 1300)))
    landmarks, num_faces = detect_landmarks(close)
    assert num_faces == 1 and np.ptp(landmarks[:, 0]) > 600
    large = np.full((1080, 1920, 3), 120, np.uint8)
    large[500:680, 900:1080] = np.asarray(Image.fromarray(portrait[:220, 110:330]).resize((180, 180)))
    landmarks, num_faces = detect_landmarks(large)
    assert num_faces == 1 and (landmarks.min(0) > (900, 500)).all() and np.ptp(landmarks[:, 0]) < 90


def test_a_face_below_the_least_score_is_none(portrait):
    assert detect_landmarks(portrait, landmark_detector.SURE)[1] == 1
    assert detect_landmarks(portrait, 0.99) == (None, 0)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 2), (90, 2000)])
def test_no_face_is_found_in_a_line(size):
    assert detect_landmarks(np.zeros((*size, 3), np.uint8)) == (None, 0)


def test_no_face_is_found_in_noise_and_bad_arrays_are_refused(portrait):
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    assert detect_landmarks(noise) == (None, 0)
    with pytest.raises(ValueError, match=r"\(512, 512\) uint8"):
        detect_landmarks(portrait[..., 0])
    require_detector()


class TestOwnPoints:
    @pytest.fixture(autouse=True)
    def own(self, monkeypatch):
        monkeypatch.setenv("AULIB_LANDMARKS", "own")

    def test_they_lie_where_dlibs_lie(self, portrait, monkeypatch):
        own, num_faces = detect_landmarks(portrait)
        monkeypatch.setenv("AULIB_LANDMARKS", "dlib")
        if not importlib.util.find_spec("face_recognition_models"):
            pytest.skip("the extra landmarks is not installed")
        dlibs, _ = detect_landmarks(portrait)
        between_eyes = np.linalg.norm(dlibs[45] - dlibs[36])
        assert num_faces == 1 and own.shape == (68, 2) and own.dtype == np.float32
        assert np.linalg.norm(own - dlibs, axis=1).mean() < 0.1 * between_eyes
        assert not np.array_equal(own, dlibs)
        monkeypatch.setenv("AULIB_LANDMARKS", "own")
        monkeypatch.setattr(landmark_detector, "PASSES", 1)
        first, _ = detect_landmarks(portrait)  # cut by the mean face in the box
        assert np.linalg.norm(own - dlibs, axis=1).mean() < np.linalg.norm(first - dlibs, axis=1).mean()

    def test_eye_corners_and_upper_lip_lie_where_people_mark_them(self, portrait, monkeypatch, tmp_path):
        marked, _ = detect_landmarks(portrait)
        np.savetxt(tmp_path / "zeros.csv", np.zeros((68, 2)), delimiter=",")
        monkeypatch.setattr(landmark_detector, "OFFSETS", tmp_path / "zeros.csv")
        as_rendered, _ = detect_landmarks(portrait)
        moved = (marked - as_rendered) / np.linalg.norm(marked[45] - marked[36])
        assert np.flatnonzero(np.abs(moved).max(1) > 1e-3).tolist() == [36, 39, 42, 45, 51]
        assert 0.02 < moved[39, 0] < 0.06 and -0.06 < moved[42, 0] < -0.02, "both towards the nose"
        assert 0.01 < moved[36, 0] < 0.03 and -0.03 < moved[45, 0] < -0.01, "both into the eye"
        assert 0.01 < moved[51, 1] < 0.04, "down"

    def test_passes_end_when_the_points_stay_where_they_are(self, portrait, monkeypatch):
        cuts, cut = [], landmark_detector.crop_face
        monkeypatch.setattr(landmark_detector, "crop_face", lambda *given: cuts.append(1) or cut(*given))
        points, _ = detect_landmarks(portrait)
        assert 1 < len(cuts) < landmark_detector.PASSES
        cuts.clear()
        monkeypatch.setattr(landmark_detector, "STILL", 0.0)
        more, _ = detect_landmarks(portrait)
        assert len(cuts) == landmark_detector.PASSES
        assert 0 < np.linalg.norm(more - points, axis=1).mean() < 0.01 * np.ptp(points)

    def test_a_mirrored_face_has_mirrored_points(self, portrait):
        points, _ = detect_landmarks(portrait)
        flip, side = list(LAYOUT_68.flip_index), portrait.shape[1] - 1
        own = landmark_detector.follow_points(portrait, points)
        mirrored = landmark_detector.follow_points(portrait[:, ::-1], points[flip] * (-1, 1) + (side, 0))
        np.testing.assert_allclose(mirrored, own[flip] * (-1, 1) + (side, 0), atol=0.5)

    def test_they_follow_the_face(self, portrait):
        moved = np.roll(portrait, (20, 60), axis=(0, 1))
        difference = detect_landmarks(moved)[0] - detect_landmarks(portrait)[0]
        assert difference.mean(0) == pytest.approx((60, 20), abs=3)

    def test_they_need_no_weights_of_others(self, monkeypatch):
        there = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if "recogn" in name else there(name)
        )
        monkeypatch.delenv("AULIB_LANDMARKS")
        assert landmarks_by() == "own"
        require_detector()
        monkeypatch.setenv("AULIB_LANDMARKS", "dlib")
        with pytest.raises(
            ModuleNotFoundError, match=r"face_recognition_models: pip install 'aulib\[landmarks"
        ):
            require_detector()

    def test_another_choice_is_refused(self, monkeypatch):
        monkeypatch.setenv("AULIB_LANDMARKS", "mediapipe")
        with pytest.raises(ValueError, match="AULIB_LANDMARKS is 'mediapipe'; choose dlib or own"):
            landmarks_by()
