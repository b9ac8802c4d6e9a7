"""The 68-point detector on a portrait that comes with scikit-image; skipped without the `landmarks` extra."""

import numpy as np
import pytest
from PIL import Image

from aubench.datasets.landmark_detector import detect_landmarks, require_detector


@pytest.fixture
def portrait():
    """A face that comes with scikit-image."""
    pytest.importorskip("dlib")
    pytest.importorskip("skimage")
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


def test_no_face_is_found_in_noise_and_bad_arrays_are_refused(portrait):
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    assert detect_landmarks(noise) == (None, 0)
    with pytest.raises(ValueError, match=r"\(512, 512\) uint8"):
        detect_landmarks(portrait[..., 0])
    require_detector()
