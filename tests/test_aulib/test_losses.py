"""Losses against values worked by hand, against slow versions, and at their edges."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from aulib.losses import (
    au_occurrence_loss,
    domain_loss,
    flatness_loss,
    fooling_loss,
    landmark_loss,
    real_fake_loss,
)
from aulib.networks import log_attention

NAN = float("nan")


def random_labels(batch: int = 6, aus: int = 5, unknown: float = 0.3, seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, aus, generator=rng, dtype=torch.float64)
    occurrence = (torch.rand(batch, aus, generator=rng) < 0.4).double()
    occurrence[torch.rand(batch, aus, generator=rng) < unknown] = NAN
    return logits, occurrence


class TestAUOccurrence:
    def test_worked_by_hand(self):
        # sigmoid(0) = 1/2, sigmoid(log 3) = 3/4: -log(1/2), -log(1 - 3/4); the third label is unknown
        loss = au_occurrence_loss(torch.tensor([[0.0, math.log(3), 9.0]]), torch.tensor([[1.0, 0.0, NAN]]))
        assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)

    def test_agrees_with_a_loop_over_known_labels_and_weights(self):
        logits, occurrence = random_labels()
        au_weight, pos_weight = torch.rand(5).double() + 0.5, torch.rand(5).double() + 0.5
        values = []
        for logit_row, label_row in zip(logits.tolist(), occurrence.tolist(), strict=True):
            for au, (logit, label) in enumerate(zip(logit_row, label_row, strict=True)):
                if not math.isnan(label):
                    share = 1 / (1 + math.exp(-logit))
                    value = -pos_weight[au] * math.log(share) if label else -math.log(1 - share)
                    values.append(float(au_weight[au] * value))
        loss = au_occurrence_loss(logits, occurrence, au_weight, pos_weight)
        assert loss.item() == pytest.approx(np.mean(values), rel=1e-9)

    def test_missing_label_changes_neither_loss_nor_gradient(self):
        logits, occurrence = random_labels()
        unknown = occurrence.isnan()
        logits.requires_grad_()
        loss = au_occurrence_loss(logits, occurrence)
        loss.backward()
        elsewhere = torch.where(unknown, logits.detach() + 50, logits.detach())
        assert unknown.any()
        assert au_occurrence_loss(elsewhere, occurrence).item() == pytest.approx(loss.item(), rel=1e-12)
        assert (logits.grad[unknown] == 0).all() and (logits.grad[~unknown] != 0).all()

    def test_a_batch_without_labels_has_zero_loss_and_gradient(self):
        logits = torch.randn(3, 2, requires_grad=True)
        loss = au_occurrence_loss(logits, torch.full((3, 2), NAN))
        loss.backward()
        assert loss.item() == 0 and (logits.grad == 0).all()

    def test_gradient_is_right(self):
        logits, occurrence = random_labels()
        weights = torch.rand(5).double(), torch.rand(5).double()
        assert gradcheck(lambda x: au_occurrence_loss(x, occurrence, *weights), logits.requires_grad_())

    def test_shapes_that_would_broadcast_are_refused(self):
        with pytest.raises(ValueError, match=r"\(4, 3\).*\(3,\)"):
            au_occurrence_loss(torch.zeros(4, 3), torch.zeros(3))


class TestLandmarks:
    """A map of 4 x 4 cells over a picture of 16 px: a cell is 4 px, the first one's centre is pixel 1.5."""

    def test_worked_by_hand_on_a_cell_centre(self):
        logits = torch.zeros(1, 1, 4, 4)
        logits[0, 0, 2, 1] = math.log(3)  # row 2, column 1: mass 3 of 18
        landmark = torch.tensor([[[5.5, 9.5]]])  # x = 1 * 4 + 1.5, y = 2 * 4 + 1.5
        assert landmark_loss(log_attention(logits), landmark, 16).item() == pytest.approx(
            math.log(18 / 3), rel=1e-5
        )

    def test_worked_by_hand_between_two_cells(self):
        logits = torch.zeros(1, 1, 4, 4)
        logits[0, 0, 2, 1], logits[0, 0, 2, 2] = math.log(3), math.log(5)  # of 14 + 3 + 5 = 22
        landmark = torch.tensor([[[6.5, 9.5]]])  # a quarter of the way from column 1 to column 2
        expected = 0.75 * math.log(22 / 3) + 0.25 * math.log(22 / 5)
        assert landmark_loss(log_attention(logits), landmark, 16).item() == pytest.approx(expected, rel=1e-5)

    def test_agrees_with_cross_entropy_against_a_drawn_target(self):
        torch.manual_seed(0)
        logits = torch.randn(3, 4, 6, 6).double()
        landmarks = 1 + 20 * torch.rand(3, 4, 2).double()
        drawn = torch.zeros(3, 4, 6, 6).double()  # each cell's share of a landmark is a product of two tents
        centres = torch.arange(6).double()
        cells = (landmarks + 0.5) / 4 - 0.5
        cells = cells.clamp(0, 5)
        for b in range(3):
            for k in range(4):
                tent_x = (1 - (centres - cells[b, k, 0]).abs()).clamp(min=0)
                tent_y = (1 - (centres - cells[b, k, 1]).abs()).clamp(min=0)
                drawn[b, k] = tent_y[:, None] * tent_x[None]
        expected = F.cross_entropy(logits.flatten(2).flatten(0, 1), drawn.flatten(2).flatten(0, 1))
        assert landmark_loss(log_attention(logits), landmarks, 24).item() == pytest.approx(
            expected.item(), rel=1e-9
        )

    def test_best_map_has_the_landmark_as_its_expected_position(self):
        landmark = torch.tensor([[[10.3, 21.8]]]).double()
        logits = torch.zeros(1, 1, 8, 8).double().requires_grad_()
        optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = landmark_loss(log_attention(logits), landmark, 32)
            loss.backward()
            return loss

        optimizer.step(closure)
        share = logits.detach().flatten().softmax(0).view(8, 8)
        centres = 4 * torch.arange(8).double() + 1.5
        expected = [(share.sum(0) * centres).sum().item(), (share.sum(1) * centres).sum().item()]
        assert expected == pytest.approx(landmark.flatten().tolist(), abs=0.05)

    @pytest.mark.parametrize("place", [(NAN, NAN), (5.0, NAN), (-40.0, 5.0), (5.0, 60.0)])
    def test_landmark_unknown_or_outside_adds_nothing(self, place):
        logits = torch.randn(1, 2, 4, 4, requires_grad=True)
        known = torch.tensor([5.5, 9.5])
        both = landmark_loss(log_attention(logits), torch.stack([known, torch.tensor(place)])[None], 16)
        both.backward()
        alone = landmark_loss(log_attention(logits[:, :1]), known[None, None], 16)
        assert both.item() == pytest.approx(alone.item(), rel=1e-6)
        assert (logits.grad[:, 1] == 0).all() and logits.grad.isfinite().all()

    def test_landmarks_on_the_border_stay_on_the_map(self):
        corners = torch.tensor([[[-0.5, -0.5], [15.4, 15.4], [0.0, 15.0]]])
        logits = torch.full((1, 3, 4, 4), -20.0)
        logits[0, 0, 0, 0] = logits[0, 1, 3, 3] = logits[0, 2, 3, 0] = 20.0
        assert landmark_loss(log_attention(logits), corners, 16).item() == pytest.approx(0, abs=1e-5)

    def test_gradient_is_right(self):
        torch.manual_seed(0)
        logits = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
        landmarks = 12 * torch.rand(2, 2, 2, dtype=torch.float64)
        assert gradcheck(lambda x: landmark_loss(log_attention(x), landmarks, 12), logits)


class TestFlatness:
    def test_worked_by_hand(self):
        logits = torch.tensor([0.0, 0.0, 0.0, math.log(5)]).view(1, 1, 2, 2)  # shares 1/8 1/8 1/8 5/8
        expected = sum(0.25 * math.log(0.25 / share) for share in (1 / 8, 1 / 8, 1 / 8, 5 / 8))
        assert flatness_loss(log_attention(logits)).item() == pytest.approx(expected, rel=1e-5)

    def test_is_zero_only_for_flat_maps_and_ignores_their_level(self):
        flat = torch.full((2, 3, 4, 4), 7.0)
        peaked = flat.clone()
        peaked[0, 0, 0, 0] += 1
        assert flatness_loss(log_attention(flat)).item() == pytest.approx(0, abs=1e-6)
        assert flatness_loss(log_attention(peaked)).item() > 1e-4

    def test_gradient_is_right(self):
        logits = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
        assert gradcheck(lambda x: flatness_loss(log_attention(x)), logits)


class TestAdversaries:
    def test_real_fake_worked_by_hand(self):
        real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.5])
        assert real_fake_loss(real, fake).item() == pytest.approx(0.5 * (4 / 2 + 0.25 / 2))

    def test_fooling_worked_by_hand(self):
        assert fooling_loss(torch.tensor([1.0, 0.0, 3.0])).item() == pytest.approx((0 + 1 + 4) / 3)

    def test_gradients_are_right(self):
        real, fake = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
        assert gradcheck(real_fake_loss, (real, fake)) and gradcheck(fooling_loss, fake)


class TestDomain:
    def test_worked_by_hand(self):
        # P(target) = 3/4 for a source face: log 4; P(target) = 1/2 for a target face: log 2
        loss = domain_loss(torch.tensor([math.log(3)]), torch.tensor([0.0]))
        assert loss.item() == pytest.approx(0.5 * (math.log(4) + math.log(2)), rel=1e-6)

    def test_gradient_is_right(self):
        source, target = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
        assert gradcheck(domain_loss, (source, target))
