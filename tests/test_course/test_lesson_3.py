"""Lesson 3: places read from maps, two runs compared, and a hint for each mistake."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import lesson_3
import lesson_3_figures
from aubench.inspection.shown_faces import ShownFaces
from tiny import tiny_model
from tried_exercises import TriedExercises

OTHER_KINDS = [None, "three", 7, {}, [[]], object(), float]


def faces(count: int = 3, size: int = 32) -> ShownFaces:
    drawn = torch.Generator().manual_seed(0)
    points = torch.rand(count, 68, 2, generator=drawn) * size
    return ShownFaces(
        torch.rand(count, 3, size, size, generator=drawn), points, np.zeros((count, 5)), np.arange(count)
    )


def peaked(x: int, y: int, side: int = 8) -> torch.Tensor:
    logits = torch.zeros(1, 1, side, side)
    logits[0, 0, y, x] = 30.0
    return logits


class TestPlaces:
    @pytest.mark.parametrize("way", lesson_3.WAYS)
    def test_a_sharp_map_is_read_alike_in_every_way(self, way):
        assert torch.allclose(lesson_3.places(peaked(5, 2), way)[0, 0], torch.tensor([5.0, 2.0]), atol=1e-3)

    def test_two_peaks_pull_the_mean_of_the_whole_map_between_them(self):
        logits = peaked(1, 1) + 0.999 * peaked(7, 1)
        whole, near = (lesson_3.places(logits, way)[0, 0, 0] for way in lesson_3.WAYS[1:])
        assert 3 < whole < 5 and abs(near - 1) < 0.01

    def test_spread_counts_cells(self):
        assert float(lesson_3.spread(peaked(1, 1)[0, 0])) == pytest.approx(1, abs=1e-3)
        assert float(lesson_3.spread(peaked(1, 1)[0, 0], sharpness=0)) == pytest.approx(64)

    def test_a_flat_map_is_not_drawn_and_a_sharp_one_at_its_cell(self):
        flat, sharp = torch.full((8, 8), 1 / 64), peaked(5, 2)[0, 0].flatten().softmax(0).view(8, 8)
        assert lesson_3.strength(flat).abs().max() < 1e-6
        drawn = lesson_3.strength(sharp)
        assert drawn[2, 5] == pytest.approx(1 - 1 / 64) and drawn.sum() == pytest.approx(float(drawn[2, 5]))

    def test_errors_are_relative_to_the_eyes(self):
        shown = faces(1)
        shown.landmarks[0] = torch.tensor([9.5, 9.5])  # the centre of cell (2, 2) of 8, 4 pixels a cell
        shown.landmarks[0, 36], shown.landmarks[0, 45] = torch.tensor([5.5, 9.5]), torch.tensor([13.5, 9.5])
        found = lesson_3.errors(peaked(2, 2).expand(1, 68, 8, 8), shown)
        assert found[0, 0] == pytest.approx(0, abs=1e-3) and found[0, 36] == pytest.approx(50, abs=1e-2)

    def test_a_model_of_49_landmarks_is_refused(self):
        with pytest.raises(ValueError, match="68 landmarks"):
            lesson_3.read_maps(tiny_model("multitask", num_landmarks=49).eval(), faces())


def table_of(truth: np.ndarray, found: np.ndarray) -> pd.DataFrame:
    subject = [f"s{i % 6}" for i in range(len(truth))]
    return pd.DataFrame({"subject": subject, "AU12_p": found.astype(float), "AU12_true": truth.astype(float)})


class TestGains:
    def test_a_run_that_is_always_right_gains_all(self, tmp_path):
        truth = np.random.default_rng(0).random(120) < 0.5
        for name, found in (("one", truth), ("two", ~truth)):
            (tmp_path / name).mkdir()
            table_of(truth, found).to_csv(tmp_path / name / "predictions_target_test.csv", index=False)
        owner = SimpleNamespace(subjects=np.array(list("aabb")))
        shown = replace(faces(4), data=owner, rows=np.arange(4))
        maps = torch.zeros(4, 68, 8, 8)
        table = lesson_3.gains(
            tmp_path / "one", tmp_path / "two", {"target": (maps, maps)}, {"target": shown}
        )
        f1, nme = table.itertuples()
        assert f1.gain == pytest.approx(100) and lesson_3.verdict_of(f1.low, f1.high) == "better"
        assert nme.gain == 0 and lesson_3.verdict_of(nme.low, nme.high) == "cannot tell"

    def test_an_undefined_interval_gives_no_verdict(self):
        assert lesson_3.verdict_of(float("nan"), float("nan")) == "cannot tell"


PARTS = pd.DataFrame({"source": [9.0, 1, 2, 3, 4], "target": [5.0, 2, 3, 4, 8]}, index=list(lesson_3.PARTS))
GAINS = pd.DataFrame({"low": [-1.0, 0.2, np.nan], "high": [2.0, 3.0, np.nan]})


def softmax(logits):
    return logits.flatten(1).softmax(1).view_as(logits)


def naive(logits):
    return logits.exp() / logits.exp().sum((1, 2), keepdim=True)


def sign_of_the_middle(low, high):
    return "better" if low + high > 0 else "worse"


EXERCISES = {
    "flat": (
        lambda answer: lesson_3.check_flat(answer, torch.zeros(1, 3, 28, 28)),
        [(13.5, 13.5), [13.5, 13.5], np.array([13.5, 13.5])],
        [(14, 14), (0, 0), (55.5, 55.5), (20, 9)],
    ),
    "hardest": (
        lambda answer: lesson_3.check_hardest(answer, PARTS),
        ["mouth"],
        ["brows", "jaw line", "nose", "ears"],
    ),
    "soft_max": (
        lesson_3.check_soft_max,
        [softmax, lambda logits: naive(logits - logits.amax((1, 2), keepdim=True))],
        [
            lambda logits: logits.softmax(0),
            lambda logits: logits.softmax(-1),
            lambda logits: logits.softmax(1),
            torch.sigmoid,
            naive,
            lambda logits: logits / logits.sum((1, 2), keepdim=True),
            lambda logits: logits.flatten().softmax(0).view_as(logits),
            lambda logits: logits.exp(),
            lambda logits: logits.flatten(1).softmax(1),
        ],
    ),
    "shares": (
        lesson_3.check_shares,
        [
            [[0.375, 0.125], [0.375, 0.125]],
            np.array([[0.375, 0.125], [0.375, 0.125]]),
            [[0.375, 0.12], [0.375, 0.12]],  # rounded
        ],
        [
            ((0.125, 0.375), (0.125, 0.375)),
            ((0.375, 0.375), (0.125, 0.125)),
            ((1, 0), (0, 0)),
            ((0.5, 0), (0.25, 0.25)),
            ((0.25, 0.25), (0.25, 0.25)),
            ((0.5, 0.5), (0.5, 0.5)),
            (1, 0),
        ],
    ),
    "verdict": (
        lambda answer: lesson_3.check_verdict(answer, GAINS),
        [lesson_3.verdict_of],
        [
            sign_of_the_middle,
            lambda low, high: "worse" if low > 0 else "better",
            lambda low, high: "cannot tell",
            lambda low, high: low > 0,
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, OTHER_KINDS


def test_a_flat_map_leaves_the_face_grey():
    shown = {"source": faces(), "target": faces()}
    reader = lesson_3_figures.heatmap_reader(shown, {domain: torch.zeros(3, 68, 8, 8) for domain in shown})
    drawn = np.asarray(Image.open(io.BytesIO(reader.picture.value)).convert("RGB")).astype(int)
    assert np.abs(drawn - drawn.mean(2, keepdims=True)).mean() < 12  # no heat over it


def test_a_slider_redraws_the_map():
    shown = {"source": faces(), "target": faces()}
    reader = lesson_3_figures.heatmap_reader(shown, {domain: torch.randn(3, 68, 8, 8) for domain in shown})
    before = reader.picture.value
    reader.controls["sharpness"].value = 0.01
    assert reader.newest.wait(60) and reader.picture.value != before and "64.0 of 64" in reader.text.value
    before = reader.picture.value
    reader.controls["domain"].value = "source"
    assert reader.newest.wait(60) and reader.picture.value != before
