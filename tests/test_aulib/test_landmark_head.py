"""The landmarks-only rival learns from coordinates; position and size do not matter."""

import numpy as np
import pytest
import torch

from aulib.batches import Faces
from aulib.landmarks import LAYOUT_68
from aulib.networks import LandmarkAUHead
from aulib.objective import Objective
from aulib.train_run import fit_landmark_head
from tiny import AUS


@pytest.fixture(scope="module")
def faces():
    """300 faces whose first AU opens the mouth; the other labels are coins. Place and size vary."""
    rng = np.random.default_rng(0)
    base = rng.normal(0, 10, (68, 2))
    base = (base + base[list(LAYOUT_68.flip_index)] * [-1, 1]) / 2  # symmetric, as a face is
    labels = rng.integers(0, 2, (300, len(AUS))).astype(np.float32)
    points = base + rng.normal(0, 0.2, (300, 68, 2))
    points[:, 57, 1] += 8 * labels[:, 0]  # the lower lip's middle
    points = points * rng.uniform(0.8, 1.2, (300, 1, 1)) + rng.uniform(20, 40, (300, 1, 2))
    return Faces(np.zeros((300, 8, 8, 3), np.uint8), np.arange(200), points.astype(np.float32), labels)


def objective() -> Objective:
    return Objective({}, torch.ones(len(AUS)), torch.ones(len(AUS)))


def fitted(faces: Faces, seed: int = 0) -> LandmarkAUHead:
    torch.manual_seed(0)
    head = LandmarkAUHead(68, len(AUS))
    fit_landmark_head(head, faces, objective(), seed)
    return head.eval()


def test_an_au_that_moves_a_landmark_is_learned_and_random_labels_are_not(faces):
    predicted = (fitted(faces)(torch.from_numpy(faces.landmarks[200:])) > 0).numpy()
    right = (predicted == faces.occurrence[200:]).mean(0)
    assert right[0] > 0.97 and right[1:].max() < 0.75


def test_same_seed_gives_the_same_head_and_the_global_generator_is_kept(faces):
    few = Faces(faces.images, np.arange(40), faces.landmarks, faces.occurrence)
    one = fitted(few)
    after = torch.rand(1)
    torch.manual_seed(0)
    LandmarkAUHead(68, len(AUS))
    assert torch.equal(after, torch.rand(1))
    again, other = fitted(few), fitted(few, seed=1)
    assert torch.equal(one.layers[0].weight, again.layers[0].weight)
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_faces_with_an_unknown_landmark_are_left_out(faces):
    holed = faces.landmarks.copy()
    holed[:20, 5] = np.nan
    head = fitted(Faces(faces.images, np.arange(60), holed, faces.occurrence))
    assert all(value.isfinite().all() for value in head.parameters())
    with pytest.raises(ValueError, match="no labelled face has all its landmarks"):
        fitted(Faces(faces.images, np.arange(20), holed, faces.occurrence))
