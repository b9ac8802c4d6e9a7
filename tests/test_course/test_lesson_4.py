"""Lesson 4: shape and texture of faces, readers of landmarks, and a hint for each mistake."""

import numpy as np
import pandas as pd
import pytest
import torch

import lesson_4
import lesson_4_figures
from aubench.inspection.shown_faces import ShownFaces
from conftest import face_outline
from tiny import AUS, SIZE, lively_model, tiny_model
from tried_exercises import TriedExercises

OTHER_KINDS = [None, "three", {}, [[]], object()]


def shown(count: int = 2) -> ShownFaces:
    pictures = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    points = torch.tensor(face_outline(SIZE)).float().repeat(count, 1, 1)
    labels = np.tile([1.0, 0.0, np.nan, 1.0, 0.0], (count, 1))
    return ShownFaces(pictures, points, labels, np.arange(count))


@pytest.fixture(scope="module")
def model():
    return lively_model("full")


@pytest.fixture(scope="module")
def measured(finished):
    from aulib.run import Run

    config = Run(finished.full).config
    faces = lesson_4.faces_by_split(str(finished.source), str(finished.target), config, limit=8)
    return lesson_4.landmarks_found(finished.full, faces), lesson_4.what_leaks(finished.full, faces)


class TestHalves:
    def test_shape_sums_to_one_per_landmark(self, model):
        found = lesson_4.take_apart(model, shown().pictures)
        assert torch.allclose(found.shape.sum((2, 3)), torch.ones(2, 68), atol=1e-4)
        assert found.maps.shape == found.shape[:, 0].shape and found.from_texture.shape == (2, 68, 2)

    def test_a_model_without_texture_is_refused(self):
        with pytest.raises(ValueError, match="no separation"):
            lesson_4.take_apart(tiny_model("multitask").eval(), shown().pictures)

    def test_every_reader_is_scored_in_both_domains(self, measured):
        found, _ = measured
        assert list(found.index) == list(lesson_4.READERS) and list(found) == ["source", "target"]
        assert np.isfinite(found.to_numpy()).all()
        assert found.loc[lesson_4.READERS[0]].max() < 10  # the tiny sets' faces hardly differ

    def test_every_feature_is_probed(self, measured):
        _, leaks = measured
        assert list(leaks) == ["F", "S", "Z"] and len(leaks) == 3
        known = leaks.to_numpy()[~np.isnan(leaks.to_numpy())]
        assert ((known >= 0) & (known <= 1)).all()

    def test_an_adversary_trained_on_reads_landmarks_written_into_the_texture(self, model):
        points = torch.rand(40, 1, 2, generator=torch.Generator().manual_seed(1)) * SIZE / 2 + SIZE / 4
        points = points.expand(-1, 68, -1).contiguous()  # all in one place, another for each face
        cells, texture = (points[:, 0] / 4).long(), torch.zeros(40, 8, 8, 8)
        texture[torch.arange(40), 0, cells[:, 1], cells[:, 0]] = 5.0
        before = {name: one.clone() for name, one in model.landmark_adversary.state_dict().items()}
        readers = [lesson_4.trained_on(model, texture[:30], points[:30], steps) for steps in (0, 80)]
        with torch.no_grad():
            found = [lesson_4._pixels(model, one(texture[30:])) for one in readers]
        far = [np.abs(pixels - points[30:].numpy()).mean() for pixels in found]
        assert far[1] < 0.5 * far[0]
        assert all((one == before[name]).all() for name, one in model.landmark_adversary.state_dict().items())


LEAKS = pd.DataFrame(
    {"F": [0.9, 0.85, 0.99], "S": [0.8, 0.8, 0.6], "Z": [0.55, 0.6, 0.9]},
    index=["AUs, source faces", "AUs, target faces", "which domain"],
)
FOUND = {
    "with": pd.DataFrame(
        {"source": [10.0, 40.0, 9.0, 4.0, 3.0, 2.0], "target": [12.0, 60.0, 9.0, 13.0, 3.0, 2.0]},
        lesson_4.READERS,
    )
}


def only_the_adversary(adversary, probe, mean_face):
    return "open" if adversary < 0.9 * mean_face else "gone"


def never_open(adversary, probe, mean_face):
    return "hidden" if probe < 0.9 * mean_face else "gone"


def by_itself(adversary, probe, mean_face):
    return "open" if adversary < 9 else "hidden" if probe < 9 else "gone"


EXERCISES = {
    "fooled": (
        lesson_4.check_fooled,
        [6.66, np.log(784), torch.tensor(6.665)],
        [0, 1 / 784, 784, 9.6147, 3.3322, 4.2195, 2.8943, 1.0],
    ),
    "domain": (
        lambda answer: lesson_4.check_domain(answer, LEAKS),
        ["S"],
        ["F", "Z", "shape", "T"],
    ),
    "noise": (
        lesson_4.check_noise,
        [1, 0.99, np.float64(1.0)],
        [0.5, 0.1, 0.7, 95, True, "1.0"],
    ),
    "state": (
        lambda answer: lesson_4.check_state(answer, FOUND),
        [lesson_4.state_of],
        [only_the_adversary, never_open, by_itself, lambda a, p, m: a < m, lambda a, p, m: "open"],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, OTHER_KINDS


def test_fading_shape_or_texture_changes_what_is_rebuilt(model):
    fading = lesson_4_figures.fading(model, {"source": shown(), "target": shown()})
    seen = [fading.picture.value]
    for name, value in (("shape", 0.0), ("texture", 0.0)):
        fading.controls[name].value = value
        assert fading.newest.wait(60)
        seen.append(fading.picture.value)
    assert len(set(seen)) == 3 and all(au in fading.text.value for au in AUS)
