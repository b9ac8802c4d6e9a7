"""Lesson 5: the rounds traced, whose AUs a swapped face wears, and what its exercises say to an answer."""

import numpy as np
import pandas as pd
import pytest
import torch

import lesson_5
import rounds
from aubench.inspection import two_rounds
from aubench.inspection.decoding import FaceDecoder
from aubench.inspection.shown_faces import ShownFaces
from tiny import SIZE, lively_model, tiny_model
from tried_exercises import TriedExercises

OTHER_KINDS = [None, "three", 7, {}, [[]], object()]
MODEL = lively_model("full")


def pictures(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


SOURCE, TARGET = pictures(1, 1), pictures(1, 2)


def faces(count: int, seed: int) -> ShownFaces:
    labels = (np.random.default_rng(seed).random((count, 5)) < 0.5).astype(float)
    return ShownFaces(pictures(count, seed), torch.zeros(count, 68, 2), labels, np.arange(count))


class TestRounds:
    def test_every_tensor_of_a_face_is_traced_with_its_shape(self):
        table = two_rounds.trace(rounds.both_rounds(MODEL, SOURCE, TARGET), "s")
        assert list(table["symbol"]) == [
            symbol.format(own="s", other="t") for _, symbol, _ in two_rounds.TENSORS
        ]
        shapes = dict(zip(table["symbol"], table["size"], strict=True))
        assert shapes["S^s"] == "68 × 8 × 8" and shapes["F~^s"] == "8 × 8 × 8"
        assert shapes["X^s"] == f"1 × {SIZE} × {SIZE}"

    def test_what_is_traced_is_what_the_symbols_say(self):
        outputs = rounds.both_rounds(MODEL, SOURCE, TARGET)
        with torch.no_grad():
            again = MODEL.reconstruction(outputs["shape2_t"], outputs["texture2_t"])
            own = MODEL.separate(outputs["swapped_s"])[1]  # F~^s wears the target's shape
        assert torch.allclose(again, outputs["rich2_t"], atol=1e-4)
        assert torch.allclose(own, outputs["shape2_t"], atol=1e-4)

    def test_a_model_without_texture_is_refused(self):
        with pytest.raises(ValueError, match="no separation"):
            rounds.both_rounds(tiny_model("multitask").eval(), SOURCE, TARGET)

    def test_aus_worn_are_judged_by_both_labels(self):
        table = rounds.worn(MODEL, faces(40, 3), faces(40, 4), resamples=20)
        assert list(table["labels of"]) == [
            "itself",
            "who gave the shape",
            "who gave the texture",
            "a stranger",
        ]
        assert (table["low"] <= table["auc"] + 0.05).all() and (table["auc"] <= table["high"] + 0.05).all()

    def test_mean_auc_leaves_out_what_nobody_shows(self):
        labels = np.array([[1.0, 0], [0, 0], [1, np.nan]])
        assert rounds.mean_auc(np.array([[2.0, 1], [1, 2], [3, 3]]), labels) == 1
        assert np.isnan(rounds.mean_auc(np.zeros((3, 2)), np.zeros((3, 2))))

    @pytest.mark.parametrize(
        ("shape", "texture", "said"),
        [(0.8, 0.6, "gave the **shape**"), (0.6, 0.8, "failed"), (0.7, 0.69, "cannot be told")],
    )
    def test_the_words_follow_the_numbers(self, shape, texture, said):
        rows = [
            {"reading": "F", "labels of": "x", "auc": auc, "low": auc - 0.05, "high": auc + 0.05}
            for auc in (0.8, shape, texture, 0.5)
        ]
        assert said in rounds.say_worn(pd.DataFrame(rows))

    def test_who_comes_home_is_near(self):
        outputs = rounds.both_rounds(MODEL, pictures(3, 1), pictures(3, 2))
        home = outputs | {"rich2_s": outputs["rich_s"], "rich2_t": outputs["rich_t"].roll(1, 0)}
        table = rounds.homecoming(home)
        assert table.loc["second round", "source distance"] == pytest.approx(0, abs=1e-6)
        assert table.loc["second round", "target distance"] == pytest.approx(1, abs=1e-5)
        assert table.loc["second round", "source own face"] == 1
        assert table.loc["second round", "target own face"] == 0

    def test_the_words_about_home_follow_the_numbers(self):
        table = pd.DataFrame(
            {"source distance": [0.5, 0.9, 0.4], "source own face": [1, 0.9, 1],
             "target distance": [0.5, 0.9, 1.1], "target own face": [1, 0.8, 0.2]},
            index=["self", "swapped", "second round"],
        )  # fmt: skip
        said = rounds.say_home(table, 10)
        assert "source: the second round is nearer home than the swap (distance 0.40 against 0.90)" in said
        assert "target: the second round is no nearer" in said and "20% of 10 faces" in said
        assert "lies in the texture" in said
        assert "lies in the texture" not in rounds.say_home(table.replace(0.8, 0.1), 10)


def swap(model, source, target):
    _, shape, _ = model.separate(model.encoder(model.standardise(source)))
    _, _, texture = model.separate(model.encoder(model.standardise(target)))
    return model.reconstruction(shape, texture)


def swap_back(model, swapped_s, swapped_t):
    _, shape_t, texture_s = model.separate(swapped_s)
    _, shape_s, texture_t = model.separate(swapped_t)
    return model.reconstruction(shape_s, texture_s), model.reconstruction(shape_t, texture_t)


def apart(model, swapped_s, swapped_t):
    return tuple(model.reconstruction(*model.separate(one)[1:]) for one in (swapped_s, swapped_t))


def features(model, source, target):
    return model.encoder(model.standardise(target))


SEEN = (1, 9, 8, 8)
EXERCISES = {
    "seen": (
        lambda answer: lesson_5.check_seen_by_g(answer, MODEL),
        [SEEN, list(SEEN), torch.Size(SEEN)],
        {(1, 76, 8, 8): "sum", (1, 8, 8, 8): "Z alone", (9, 8, 8): "Four numbers",
         (1, 9, 32, 32): "quarter", (2, 9, 8, 8): "batch", (1, 1, 8, 8): "how many"},
    ),
    "noticed": (
        lambda answer: lesson_5.check_noticed(answer, MODEL, SOURCE),
        [["face moved down", "mouth on the nose", "maps blurred"],
         set(rounds.CHANGES) - {"landmarks renumbered"}],
        {tuple(rounds.CHANGES): "landmarks renumbered: G's answer stays", (): "sum of the maps is another",
         ("face moved down", "mouth on the nose"): "maps blurred", "landmarks renumbered": "stays the same",
         ("smile",): "no such change"},
    ),
    "swap": (
        lambda answer: lesson_5.check_swap(answer, MODEL, SOURCE, TARGET),
        [swap],
        {(lambda m, s, t: swap(m, t, s)): "other way round", (lambda m, s, t: swap(m, t, t)): "G(Sᵗ, Zᵗ)",
         (lambda m, s, t: swap(m, s, s)): "G(Sˢ, Zˢ)", features: "Fᵗ itself",
         (lambda m, s, t: 2 * swap(m, s, t)): "No feature", (lambda m, s, t: s): "is wanted, not"},
    ),
    "second_round": (
        lambda answer: lesson_5.check_second_round(answer, MODEL, SOURCE, TARGET),
        [swap_back],
        {(lambda m, s, t: swap_back(m, s, t)[::-1]): "texture", apart: "swapped back",
         (lambda m, s, t: (s, t)): "what went in", (lambda m, s, t: (s * 0, t * 0)): "Which texture"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, OTHER_KINDS


def test_figures_are_drawn():
    outputs = rounds.both_rounds(MODEL, SOURCE, TARGET)
    decoder = FaceDecoder(MODEL.config.channels).eval()
    worn = rounds.worn(MODEL, faces(10, 3), faces(10, 4), resamples=5)
    figures = [
        lesson_5.draw_trace(outputs, {"source": SOURCE, "target": TARGET}, decoder),
        lesson_5.draw_worn(worn),
    ]
    assert all(figure.axes for figure in figures)
