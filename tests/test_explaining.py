"""Maps explain what they claim to: exactly, or as far as their own sums say."""

import pytest
import torch

from aubench.inspection.attention import (
    answers,
    attribution_maps,
    enlarged,
    evidence_maps,
    landmark_maps,
    smoothed,
)
from tiny import AUS, SIZE, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("full").eval()


@pytest.fixture(scope="module")
def faces():
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_evidence_is_gradient_times_activation_of_the_last_layer(model, faces):
    head = model.au_head
    fired = head.branches(model.encoder(model.standardise(faces))).detach()
    fired = fired.unflatten(1, head.weight.shape[:2]).requires_grad_()  # (B, A, c, h, w)
    logits = (fired * head.weight).sum((2, 3, 4)) + head.bias  # the linear layer, written out
    cells = fired[0, 0, 0].numel()
    with torch.no_grad():
        outputs = model.read(faces, "features")
    torch.testing.assert_close(logits, outputs["au_logits"])
    for au in range(len(AUS)):
        gradient = torch.autograd.grad(logits[:, au].sum(), fired, retain_graph=True)[0]
        by_gradient = (gradient * fired).sum((1, 2)) * cells + head.bias[au]
        torch.testing.assert_close(by_gradient, outputs["evidence"][:, au])


def test_maps_have_the_size_of_the_picture_and_the_probability_of_the_answer(model, faces):
    maps, probability = evidence_maps(model, faces, "reconstruction")
    assert maps.shape == (3, len(AUS), SIZE, SIZE)
    torch.testing.assert_close(probability[:, 2], answers(model, 2, "reconstruction")(faces))


@pytest.mark.parametrize("read_from", ["features", "reconstruction"])
def test_gradients_sum_to_what_the_face_adds_to_a_flat_one(model, faces, read_from):
    maps, gap = attribution_maps(model, faces, 1, read_from, steps=64)
    with torch.no_grad():
        logit = [model.read(x, read_from)["au_logits"][:, 1] for x in (faces, torch.full_like(faces, 0.3))]
    torch.testing.assert_close(maps.sum((1, 2)) - gap, logit[0] - logit[1], atol=1e-4, rtol=1e-4)
    assert (gap.abs() < 0.1 * (logit[0] - logit[1]).abs().max() + 0.02).all()


def test_a_second_extraction_is_explained_where_it_is_read(faces):
    model = tiny_model("multitask", share_extraction=False).eval()
    maps, gap = attribution_maps(model, faces, 0, "features", steps=64)
    with torch.no_grad():
        logit = [model.read(x, "features")["au_logits"][:, 0] for x in (faces, torch.full_like(faces, 0.5))]
    torch.testing.assert_close(maps.sum((1, 2)) - gap, logit[0] - logit[1], atol=1e-4, rtol=1e-4)
    assert maps.abs().sum() > 0


def test_explaining_leaves_the_model_as_it_was(model, faces):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attribution_maps(model, faces, 0, "features", steps=2)
    evidence_maps(model, faces, "features")
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())


def test_landmark_points_lie_where_their_maps_peak(model, faces):
    maps, points = landmark_maps(model, faces)
    peak = maps[1, 30].flatten().argmax()
    found = torch.tensor([float(peak % SIZE), float(peak // SIZE)])
    assert (points[1, 30] - found).norm() < SIZE / 8 * 1.5  # within a cell and a half: cells are 4 pixels


def test_a_run_without_maps_says_so(faces):
    model = tiny_model("landmarks-only").eval()
    for explain in (evidence_maps, lambda *arguments: attribution_maps(*arguments[:2], 0, arguments[2])):
        with pytest.raises(ValueError, match="landmark coordinates"):
            explain(model, faces, "features")


def test_smoothing_keeps_a_flat_map_flat_and_spreads_a_point_over_25_pixels():
    assert torch.equal(smoothed(torch.ones(1, 9, 9)), torch.ones(1, 9, 9))  # to the very border
    point = torch.zeros(1, 9, 9)
    point[0, 4, 4] = 1.0
    assert smoothed(point)[0, 2:7, 2:7] == pytest.approx(1 / 25)
    assert enlarged(torch.ones(1, 1, 2, 2), 8).shape == (1, 1, 8, 8)
