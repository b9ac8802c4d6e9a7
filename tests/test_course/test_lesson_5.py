"""Lesson 5: measures of both rounds, and a hint for each mistake in its exercises."""

import numpy as np
import pandas as pd
import pytest
import torch

import lesson_5
from aubench.inspection.shown_faces import ShownFaces
from tiny import SIZE, lively_model, tiny_model
from tried_exercises import TriedExercises

OTHER_KINDS = [None, "three", 7, {}, [[]], object()]
MODEL = lively_model("full")
ERASED = lively_model("full", separation="erasure")
ERASED.erasure.axes.normal_(generator=torch.Generator().manual_seed(0))
ERASED.erasure.texture_of_shape.normal_(generator=torch.Generator().manual_seed(1))


def pictures(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


SOURCE, TARGET = pictures(1, 1), pictures(1, 2)


def faces(count: int, seed: int) -> ShownFaces:
    labels = (np.random.default_rng(seed).random((count, 5)) < 0.5).astype(float)
    return ShownFaces(pictures(count, seed), torch.zeros(count, 68, 2), labels, np.arange(count))


def test_second_round_separates_the_swapped_features_and_swaps_back():
    outputs = lesson_5.both_rounds(MODEL, SOURCE, TARGET)
    with torch.no_grad():
        again = MODEL.reconstruction(outputs["shape2_t"], outputs["texture2_t"])
        own = MODEL.separate(outputs["swapped_s"])[1]  # F~^s has the target's shape
    assert torch.allclose(again, outputs["rich2_t"], atol=1e-4)
    assert torch.allclose(own, outputs["shape2_t"], atol=1e-4)


def test_a_model_without_separation_is_refused():
    with pytest.raises(ValueError, match="no separation"):
        lesson_5.both_rounds(tiny_model("multitask").eval(), SOURCE, TARGET)


def test_aus_of_the_swapped_face_are_scored_against_each_giver():
    table = lesson_5.aus_of_swapped(MODEL, faces(40, 3), faces(40, 4), resamples=20)
    assert list(table.index) == list(lesson_5.WORN)
    assert (table["low"] <= table["auc"] + 0.05).all() and (table["auc"] <= table["high"] + 0.05).all()


@pytest.mark.parametrize(
    ("shape", "texture", "giver"), [(0.8, 0.6, "shape"), (0.6, 0.8, "texture"), (0.7, 0.69, "undecided")]
)
def test_the_giver_of_the_aus_is_decided_by_intervals(shape, texture, giver):
    auc = np.array([0.8, shape, texture, 0.5])
    table = pd.DataFrame({"auc": auc, "low": auc - 0.05, "high": auc + 0.05})
    assert lesson_5.who_gave_the_aus(table) == giver


def test_distance_from_own_face_of_a_perfect_and_of_an_exchanged_second_round():
    outputs = lesson_5.both_rounds(MODEL, pictures(3, 1), pictures(3, 2))
    outputs |= {"rich2_s": outputs["rich_s"], "rich2_t": outputs["rich_t"].roll(1, 0)}
    last = lesson_5.distance_from_own_face(outputs).loc["second round"]
    assert last["source distance"] == pytest.approx(0, abs=1e-6) and last["source own face"] == 1
    assert last["target distance"] == pytest.approx(1, abs=1e-5) and last["target own face"] == 0


def test_only_the_regression_knows_whose_map_is_whose():
    moved = {model: lesson_5.change_of_shape(model, SOURCE) for model in (MODEL, ERASED)}
    renumbered = {model: table.loc["landmarks renumbered"] for model, table in moved.items()}
    assert renumbered[ERASED]["drawing"] < 1e-4 < renumbered[ERASED]["G"]
    assert renumbered[MODEL].max() < 1e-4 < moved[MODEL].loc["mouth on the nose"].min()
    said = [
        lesson_5.check_noticed(lesson_5.CHANGES.keys() - {"landmarks renumbered"}, one, SOURCE).message
        for one in (MODEL, ERASED)
    ]
    assert "cannot know" in said[0] and "regression" in said[1]


def test_with_erasure_g_still_reads_one_channel_more_than_the_texture():
    verdict = lesson_5.check_seen_by_g(SEEN, ERASED)
    assert verdict.state == "right" and "expected of the shape" in verdict.message


def swap(model, source, target):
    _, shape, _ = model.separate(model.encoder(model.standardise(source)))
    _, _, texture = model.separate(model.encoder(model.standardise(target)))
    return model.reconstruction(shape, texture)


def swap_back(model, swapped_s, swapped_t):
    _, shape_t, texture_s = model.separate(swapped_s)
    _, shape_s, texture_t = model.separate(swapped_t)
    return model.reconstruction(shape_s, texture_s), model.reconstruction(shape_t, texture_t)


def separated_only(model, swapped_s, swapped_t):
    return tuple(model.reconstruction(*model.separate(one)[1:]) for one in (swapped_s, swapped_t))


def features(model, source, target):
    return model.encoder(model.standardise(target))


SEEN = (1, 9, 8, 8)
EXERCISES = {
    "seen": (
        lambda answer: lesson_5.check_seen_by_g(answer, MODEL),
        [SEEN, list(SEEN), torch.Size(SEEN)],
        [(1, 76, 8, 8), (1, 8, 8, 8), (1, 17, 8, 8), (9, 8, 8), (1, 9, 32, 32), (2, 9, 8, 8), (1, 1, 8, 8)],
    ),
    "noticed": (
        lambda answer: lesson_5.check_noticed(answer, ERASED, SOURCE),
        [
            ["face moved down", "mouth on the nose", "maps blurred"],
            set(lesson_5.CHANGES) - {"landmarks renumbered"},
        ],
        [tuple(lesson_5.CHANGES), (), ("face moved down", "mouth on the nose"), ("smile",)],
    ),
    "swap": (
        lambda answer: lesson_5.check_swap(answer, MODEL, SOURCE, TARGET),
        [swap],
        [
            lambda m, s, t: swap(m, t, s),
            lambda m, s, t: swap(m, t, t),
            lambda m, s, t: swap(m, s, s),
            features,
            lambda m, s, t: 2 * swap(m, s, t),
            lambda m, s, t: s,
        ],
    ),
    "second_round": (
        lambda answer: lesson_5.check_second_round(answer, MODEL, SOURCE, TARGET),
        [swap_back],
        [
            lambda m, s, t: swap_back(m, s, t)[::-1],
            separated_only,
            lambda m, s, t: (s, t),
            lambda m, s, t: (s * 0, t * 0),
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, OTHER_KINDS
