"""Lesson 4: shape and texture of faces, readers of landmarks, and a hint for each mistake."""

import numpy as np
import pandas as pd
import pytest
import torch

import lesson_4
import lesson_4_figures
from aubench.inspection.shown_faces import ShownFaces
from aulib.run import Run
from aulib.train_run import train_run
from conftest import face_outline
from tiny import AUS, SIZE, TINY_VALUES, lively_model, tiny_model
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
def opposed(finished, tmp_path_factory):
    """A tiny run whose T is trained against A_lm; the `finished` one has erasure."""
    run = tmp_path_factory.mktemp("runs") / "adversary"
    train_run(
        str(finished.source), str(finished.target), "full", steps=2, batch_size=3, separation="adversary",
        precision="32-true", insides=False, out_dir=str(run), progress=False, **TINY_VALUES,
    )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def faces(finished):
    config = Run(finished.full).config
    return lesson_4.faces_by_split(str(finished.source), str(finished.target), config, limit=8)


class TestHalves:
    def test_shape_sums_to_one_per_landmark(self, model):
        found = lesson_4.take_apart(model, shown().pictures)
        assert torch.allclose(found.shape.sum((2, 3)), torch.ones(2, 68), atol=1e-4)
        assert found.maps.shape == found.shape[:, 0].shape and found.from_texture.shape == (2, 68, 2)

    def test_a_model_without_texture_is_refused(self):
        with pytest.raises(ValueError, match="no separation"):
            lesson_4.take_apart(tiny_model("multitask").eval(), shown().pictures)

    def test_a_model_with_erasure_has_no_adversary_to_ask(self):
        found = lesson_4.take_apart(tiny_model(separation="erasure").eval(), shown().pictures)
        assert found.maps is None and found.from_texture is None and found.from_rich.shape == (2, 68, 2)

    def test_every_reader_is_scored_in_both_domains(self, opposed, faces):
        found = lesson_4.landmarks_found(opposed, faces, steps=3)
        assert list(found.index) == list(lesson_4.READERS) and list(found) == ["source", "target"]
        assert np.isfinite(found.to_numpy()).all()
        assert found.loc[lesson_4.READERS[0]].max() < 10  # the tiny sets' faces hardly differ

    def test_without_an_adversary_the_other_readers_are_scored(self, finished, faces):
        found = lesson_4.landmarks_found(finished.full, faces, steps=3)
        missing = found.isna().all(axis=1)
        assert list(missing.index[missing]) == [lesson_4.ADVERSARY, lesson_4.TRAINED_ON]
        assert not found[~missing].isna().any(axis=None)

    def test_every_feature_is_probed(self, finished, faces):
        leaks = lesson_4.what_leaks(finished.full, faces)
        assert list(leaks) == ["F", "S", "Z"] and len(leaks) == 3
        known = leaks.to_numpy()[~np.isnan(leaks.to_numpy())]
        assert ((known >= 0) & (known <= 1)).all()

    def test_a_network_trained_on_reads_landmarks_written_into_the_texture(self, model):
        points = torch.rand(40, 1, 2, generator=torch.Generator().manual_seed(1)) * SIZE / 2 + SIZE / 4
        points = points.expand(-1, 68, -1).contiguous()  # all in one place, another for each face
        cells, texture = (points[:, 0] / 4).long(), torch.zeros(40, 8, 8, 8)
        texture[torch.arange(40), 0, cells[:, 1], cells[:, 0]] = 5.0
        before = {name: one.clone() for name, one in model.landmark_adversary.state_dict().items()}
        adversary, seen = model.landmark_adversary, (texture[:30], points[:30])
        for begins_as in (adversary, lesson_4.fresh_reader(model)):
            readers = [lesson_4.trained_on(begins_as, *seen, SIZE, steps) for steps in (0, 80)]
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
        {"source": [10.0, 40.0, 9.0, 5.0, 4.0, 3.0, 2.0], "target": [12.0, 60.0, 9.0, 7.0, 13.0, 3.0, 2.0]},
        lesson_4.READERS,
    ),
    "without A_lm": pd.DataFrame({"target": [12.0, np.nan, np.nan, 7.0, 3.0, 3.0, 2.0]}, lesson_4.READERS),
}


def only_the_adversary(adversary, probe, mean_face):
    return "open" if adversary < 0.9 * mean_face else "gone"


def never_open(adversary, probe, mean_face):
    return "hidden" if probe < 0.9 * mean_face else "gone"


def by_itself(adversary, probe, mean_face):
    return "open" if adversary < 9 else "hidden" if probe < 9 else "gone"


def test_what_is_left_is_counted_from_the_mean_face_to_the_reader_of_f():
    left = lesson_4.left_in_texture(FOUND["with"])
    assert list(left.columns) == ["source", "target"]
    assert np.allclose(left["source"], [(10 - 4) / (10 - 3), (10 - 5) / (10 - 2)])
    assert np.allclose(left["target"], [(12 - 13) / (12 - 3), (12 - 7) / (12 - 2)])


def expected_of(features, shapes):
    centred = shapes - shapes.mean(0)
    return centred @ np.linalg.lstsq(centred, features - features.mean(0), rcond=None)[0]


def without_intercept(features, shapes):
    return features - shapes @ np.linalg.lstsq(shapes, features, rcond=None)[0]


def all_but_one_feature_gone(features, shapes):
    return (features - expected_of(features, shapes)) * (np.arange(features.shape[1]) == 0)


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
    "erased": (
        lesson_4.check_erased,
        [
            lambda x, y: x - expected_of(x, y),
            lambda x, y: x - x.mean(0) - expected_of(x, y),
        ],
        [
            lambda x, y: x,
            lambda x, y: 0 * x,
            expected_of,
            without_intercept,
            all_but_one_feature_gone,
            lambda x, y: x[:, :2],
        ],
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
