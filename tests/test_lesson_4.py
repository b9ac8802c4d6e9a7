"""Lesson 4: halves of faces, who reads landmarks from Z, and what its exercises say to an answer."""

import numpy as np
import pandas as pd
import pytest
import torch

import halves
import lesson_4
from aubench.inspection.shown_faces import ShownFaces
from conftest import face_outline
from taking_apart import TakingApart
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
    from aulib.run import load_run

    config = load_run(finished.full)[0].config
    faces = halves.faces_by_split(str(finished.source), str(finished.target), config, limit=8)
    return halves.landmarks_found(finished.full, faces), halves.what_leaks(finished.full, faces)


class TestHalves:
    def test_a_face_has_a_shape_that_sums_to_one_a_landmark(self, model):
        found = halves.take_apart(model, shown().pictures)
        assert torch.allclose(found.shape.sum((2, 3)), torch.ones(2, 68), atol=1e-4)
        assert found.hidden.shape == found.shape[:, 0].shape and found.from_texture.shape == (2, 68, 2)

    def test_a_model_without_texture_is_refused(self):
        with pytest.raises(ValueError, match="no separation"):
            halves.take_apart(tiny_model("multitask").eval(), shown().pictures)

    def test_every_reader_is_judged_in_both_domains(self, measured):
        found, _ = measured
        assert list(found.index) == list(halves.READERS) and list(found) == ["source", "target"]
        assert np.isfinite(found.to_numpy()).all()
        assert found.loc[halves.READERS[0]].max() < 10  # the tiny sets' faces hardly differ

    def test_every_half_is_probed(self, measured):
        _, leaks = measured
        assert list(leaks) == ["F", "S", "Z"] and len(leaks) == 3
        known = leaks.to_numpy()[~np.isnan(leaks.to_numpy())]
        assert ((known >= 0) & (known <= 1)).all()

    def test_an_adversary_trained_on_reads_what_lies_in_the_texture(self, model):
        """Landmarks that are written into Z, whoever did not read them before."""
        points = torch.rand(40, 1, 2, generator=torch.Generator().manual_seed(1)) * SIZE / 2 + SIZE / 4
        points = points.expand(-1, 68, -1).contiguous()  # all in one place, another for each face
        cells, texture = (points[:, 0] / 4).long(), torch.zeros(40, 8, 8, 8)
        texture[torch.arange(40), 0, cells[:, 1], cells[:, 0]] = 5.0
        before = {name: one.clone() for name, one in model.landmark_adversary.state_dict().items()}
        readers = [halves.trained_on(model, texture[:30], points[:30], steps) for steps in (0, 80)]
        with torch.no_grad():
            found = [halves._pixels(model, one(texture[30:])) for one in readers]
        far = [np.abs(pixels - points[30:].numpy()).mean() for pixels in found]
        assert far[1] < 0.5 * far[0]
        assert all((one == before[name]).all() for name, one in model.landmark_adversary.state_dict().items())

    def test_tables_of_runs_stand_beside_each_other(self):
        assert list(halves.beside({"a": LEAKS, "b": LEAKS}))[1:] == [f"{c}, {n}" for n in "ab" for c in "FSZ"]

    def test_the_words_follow_the_numbers(self):
        errors = {"source": [10, 50, 4, 4, 3, 2], "target": [10, 50, 11, 12, 3, 2]}
        errors = pd.DataFrame(errors, halves.READERS)
        assert "**gone**" in halves.say_found({"with": errors})
        assert "**hidden**" in halves.say_found({"with": errors}, "source")
        read = errors.assign(target=[10, 5, 5, 12, 3, 2])
        assert "**open**" in halves.say_found({"with": read})
        assert "it reads, beside the others and alone" in halves.say_found({"with": read})
        assert "had not learned to read" in halves.say_found({"with": errors}, "source")
        assert "they stay hidden" in halves.say_found({"with": errors})
        assert "texture tells a little (AUC 0.60" in halves.say_leaks(LEAKS)
        assert "cannot show" in halves.say_leaks(LEAKS * np.nan)


LEAKS = pd.DataFrame(
    {"F": [0.9, 0.85, 0.99], "S": [0.8, 0.8, 0.6], "Z": [0.55, 0.6, 0.9]},
    index=["AUs, source faces", "AUs, target faces", "which domain"],
)
FOUND = {
    "with": pd.DataFrame(
        {"source": [10.0, 40.0, 9.0, 4.0, 3.0, 2.0], "target": [12.0, 60.0, 9.0, 13.0, 3.0, 2.0]},
        halves.READERS,
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
        {0: "always right", 1 / 784: "share of one cell", 784: "logarithm of it", 9.6147: "bits",
         3.3322: "28 rows", 4.2195: "Landmarks do not compete", 2.8943: "base 10", 1.0: "same share"},
    ),
    "domain": (
        lambda answer: lesson_4.check_domain(answer, LEAKS),
        ["S"],
        {"F": "tells the domain best", "Z": "nearer to 0.5", "shape": "no column", "T": "no column"},
    ),
    "noise": (
        lesson_4.check_noise,
        [1, 0.99, np.float64(1.0)],
        {0.5: "On other faces, yes", 0.1: "opposite", 0.7: "More:", 95: "between 0 and 1",
         True: "Wanted", "1.0": "Wanted"},
    ),
    "state": (
        lambda answer: lesson_4.check_state(answer, FOUND),
        [halves.state_of],
        {only_the_adversary: "They are not gone", never_open: "Nothing is hidden",
         by_itself: "never looked", (lambda a, p, m: a < m): "none of",
         (lambda a, p, m: "hidden"): "Nothing is hidden", (lambda a, p, m: "open"): "by itself"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, OTHER_KINDS


def test_figures_are_drawn(model, measured):
    found, leaks = measured
    figures = [
        lesson_4.draw_halves(model, {"source": shown(), "target": shown()}),
        lesson_4.draw_found({"with": found, "without": found}),
        lesson_4.draw_leaks({"with": leaks, "without": leaks}),
    ]
    assert all(figure.axes for figure in figures)


def test_fading_shape_or_texture_changes_what_is_rebuilt(model):
    apart = TakingApart(model, {"source": shown(), "target": shown()})
    before = apart.rebuilt.value
    apart.shape.value = 0.0
    without_shape = apart.rebuilt.value
    assert before != without_shape and all(au in apart.bars.value for au in AUS)
    apart.texture.value = 0.0
    assert apart.rebuilt.value != without_shape
    apart.domain.value, apart.face.value = "source", 1
    assert "pixels off" in apart.said.value
