"""Maps explain exactly, or as far as their own sums say; measures of maps against values worked by hand."""

import numpy as np
import pytest
import torch

from aubench.inspection.attention import (
    FRACTIONS,
    above_uniform,
    area_under,
    attribution_maps,
    best_mass,
    blurred,
    curve,
    enlarged,
    evidence_maps,
    landmark_maps,
    mass_inside,
    probability_of_au,
    random_maps,
    recorded_attention,
    rollout,
    rollout_maps,
    smoothed,
)
from aulib.model import AUModel
from tiny import AUS, SIZE, tiny_config, tiny_model

VIT = "vit_tiny_patch16_224"  # made for 224 px: the model must tell it of 112


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
    maps, found = evidence_maps(model, faces, "features")
    torch.testing.assert_close(found, outputs["au_logits"])
    torch.testing.assert_close(maps, enlarged(outputs["evidence"], SIZE))
    torch.testing.assert_close(found[:, 2].sigmoid(), probability_of_au(model, 2, "features", faces))
    for au in range(len(AUS)):
        gradient = torch.autograd.grad(logits[:, au].sum(), fired, retain_graph=True)[0]
        by_gradient = (gradient * fired).sum((1, 2)) * cells + head.bias[au]
        torch.testing.assert_close(by_gradient, outputs["evidence"][:, au])


@pytest.mark.parametrize("read_from", ["features", "reconstruction", "a second extraction"])
def test_gradients_sum_to_what_the_face_adds_to_a_flat_one(model, faces, read_from):
    if read_from == "a second extraction":
        model, read_from = tiny_model("multitask", share_extraction=False).eval(), "features"
    maps, gap = attribution_maps(model, faces, 1, read_from, steps=64)
    assert maps.abs().sum() > 0
    with torch.no_grad():
        logit = [model.read(x, read_from)["au_logits"][:, 1] for x in (faces, torch.full_like(faces, 0.3))]
    torch.testing.assert_close(maps.sum((1, 2)) - gap, logit[0] - logit[1], atol=1e-4, rtol=1e-4)
    assert (gap.abs() < 0.1 * (logit[0] - logit[1]).abs().max() + 0.02).all()


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


def test_a_run_that_reads_landmark_coordinates_has_no_maps(faces):
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


def test_rollout_by_hand():
    """Two tokens; layer 1: the second looks at the first; layer 2: the first looks at the second."""
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])[None, None]
    second = torch.tensor([[0.0, 1.0], [0.0, 1.0]])[None, None]
    expected = torch.tensor([[0.5, 0.5], [0.0, 1.0]]) @ torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    torch.testing.assert_close(rollout([first, second])[0], expected)


def test_heads_are_averaged_and_rows_still_sum_to_one():
    layers = list(torch.rand(3, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0)).softmax(-1))
    flow = rollout(layers)
    torch.testing.assert_close(flow.sum(-1), torch.ones(2, 5))
    one_head = [layer.mean(1, keepdim=True) for layer in layers]
    torch.testing.assert_close(rollout(one_head), flow)


def test_only_what_is_above_a_uniform_map_is_shown():
    """Four places: a uniform map, and one whose last place has twice its share."""
    maps = torch.tensor([[[0.25, 0.25], [0.25, 0.25]], [[0.1, 0.15], [0.25, 0.5]]])
    excess, peak = above_uniform(maps)
    torch.testing.assert_close(peak, torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(excess, torch.tensor([[[0.0, 0], [0, 0]], [[0, 0], [0, 1]]]))


def test_the_own_encoder_has_no_attention():
    with pytest.raises(ValueError, match="vit_tiny_patch16_224"):
        rollout_maps(tiny_model("full").eval(), torch.rand(1, 3, 32, 32))


@pytest.mark.slow
def test_a_vision_transformer_is_rolled_out():
    torch.manual_seed(0)
    model = AUModel(tiny_config("source-only", backbone=VIT, image_size=112, margin_size=128)).eval()
    faces = torch.rand(2, 3, 112, 112)
    maps = rollout_maps(model, faces)
    assert maps.shape == (2, 112, 112) and (maps >= 0).all()
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2))
    assert not torch.allclose(maps[0], maps[1])
    with torch.no_grad(), recorded_attention(model.encoder) as layers:
        plain = model.read(faces, "features")["au_logits"]
    torch.testing.assert_close(layers[0].sum(-1), torch.ones(layers[0].shape[:-1]))
    with torch.no_grad():  # the fused kernel is back and agrees
        fused = model.read(faces, "features")["au_logits"]
        with recorded_attention(model.encoder) as later:
            pass
    assert not later
    torch.testing.assert_close(fused, plain, atol=1e-4, rtol=1e-4)


class TestMassInside:
    def test_by_hand(self):
        maps = np.array([[1.0, 2.0], [-5.0, 1.0]])  # negative evidence is no attention
        region = np.array([[True, False], [True, True]])
        assert mass_inside(maps, region) == pytest.approx(2 / 4)

    def test_a_map_without_positive_mass_has_no_share(self):
        assert np.isnan(mass_inside(-np.ones((2, 2)), np.ones((2, 2), bool)))

    def test_maps_that_ignore_the_picture_get_the_regions_area(self):
        region = np.zeros((400, 28, 28), bool)
        region[:, 5:15, 3:20] = True
        shares = mass_inside(random_maps(400, 28, 7, seed=0).numpy(), region)
        assert shares.mean() == pytest.approx(region[0].mean(), abs=0.01)


class TestBestMass:
    def test_a_region_of_everything_can_hold_everything(self):
        assert best_mass(np.ones((1, 14, 14), bool), 7) == pytest.approx([1.0])

    def test_no_map_beats_it_and_one_reaches_it(self):
        region = np.zeros((1, 14, 14), bool)
        region[0, 2:4, 5:8] = True
        shares = mass_inside(random_maps(200, 14, 7, seed=1).numpy(), region)
        assert shares.max() < best_mass(region, 7)[0] < 1
        corner = torch.zeros(1, 1, 7, 7)
        corner[..., 1, 3] = 1.0  # the cell whose centre lies in the region
        grown = torch.nn.functional.interpolate(corner, (14, 14), mode="bilinear", align_corners=False)[0]
        assert mass_inside(grown.numpy(), region)[0] == pytest.approx(best_mass(region, 7)[0])


class TestCurve:
    def test_deletion_of_a_known_function(self):
        """The answer counts the lit pixels of the top row; a map that knows deletes them first."""
        start, end = torch.ones(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
        answer = lambda faces: faces[:, 0, 0].sum(1) / 10  # noqa: E731
        knows, ignores = torch.zeros(1, 10, 10), torch.ones(1, 10, 10)
        knows[0, 0], ignores[0, 0] = 1.0, 0.0
        tenths = tuple(np.linspace(0, 1, 11))
        values = curve(answer, start, end, knows, tenths)[0]
        assert values.tolist() == [1.0] + [0.0] * 10  # a tenth of the pixels is the top row
        assert curve(answer, start, end, ignores, tenths)[0].tolist() == [1.0] * 10 + [0.0]
        assert area_under(values.numpy(), tenths) == pytest.approx(0.05)  # one trapezoid of width 0.1

    def test_each_fraction_replaces_so_many_pixels_of_every_channel(self):
        start, end = torch.zeros(1, 3, 10, 10), torch.ones(1, 3, 10, 10)
        values = curve(lambda faces: faces.mean((1, 2, 3)), start, end, torch.rand(1, 10, 10))
        torch.testing.assert_close(values[0], torch.tensor(FRACTIONS, dtype=torch.float32))


def test_blurring_keeps_the_mean_and_loses_the_detail():
    faces = torch.rand(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    left = blurred(faces)
    torch.testing.assert_close(left.mean((2, 3)), faces.mean((2, 3)), atol=0.02, rtol=0)
    assert left.std() < 0.2 * faces.std()
