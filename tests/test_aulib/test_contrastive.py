"""InfoNCE against hand values and slow loops; every supervisor aligns what its row says."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from aubench.report.results import chance_of_supervisors
from aulib.contrastive import (
    QUEUE_LENGTH,
    FeatureQueue,
    Projections,
    alignment_term,
    info_nce,
    simsiam,
    vicreg,
)
from aulib.supervisors import ALIGNMENTS, ALL_SIX, SUPERVISORS
from tiny import tiny_model


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(shape, generator=rng, dtype=torch.float64), dim=-1)


def slow_info_nce(first, second, rivals, temperature):
    """Both directions, one face and one candidate at a time."""
    total = 0.0
    for anchors, others in ((first, second), (second, first)):
        for i, anchor in enumerate(anchors):
            candidates = [other for other in others] + ([] if rivals is None else list(rivals[i]))
            exponents = [math.exp((anchor @ candidate).item() / temperature) for candidate in candidates]
            total += -math.log(exponents[i] / sum(exponents)) / (2 * len(first))
    return total


def slow_dense_info_nce(first, second, rivals, temperature):
    """As above for positions: those of the own face, the same place of other faces, and its rivals."""
    total, (faces, positions) = 0.0, first.shape[:2]
    for anchors, others in ((first, second), (second, first)):
        for i in range(faces):
            for p in range(positions):
                candidates = [*others[i], *(others[j, p] for j in range(faces) if j != i)]
                candidates += [] if rivals is None else list(rivals[i, p])
                exponents = [math.exp((anchors[i, p] @ c).item() / temperature) for c in candidates]
                total -= math.log(exponents[p] / sum(exponents)) / (2 * faces * positions)
    return total


class TestInfoNCE:
    def test_worked_by_hand(self):
        # two faces at right angles, each exactly its other round: logits 1 / 0.5 = 2 against 0
        faces = torch.eye(2)
        expected = math.log(1 + math.exp(-2))
        assert info_nce(faces, faces, temperature=0.5).item() == pytest.approx(expected, rel=1e-6)

    def test_one_rival_worked_by_hand(self):
        # the rival of the first face is that face itself (logit 2), of the second its opposite (logit -2)
        faces, rivals = torch.eye(2), torch.tensor([[[1.0, 0.0]], [[0.0, -1.0]]])
        first, second = math.log(2 + math.exp(-2)), math.log(1 + math.exp(-2) + math.exp(-4))
        loss = info_nce(faces, faces, rivals, temperature=0.5)
        assert loss.item() == pytest.approx((first + second) / 2, rel=1e-6)

    @pytest.mark.parametrize("num_rivals", [0, 1, 3])
    def test_agrees_with_a_loop(self, num_rivals):
        first, second = unit(5, 4), unit(5, 4, seed=1)
        rivals = unit(5, num_rivals, 4, seed=2) if num_rivals else None
        expected = slow_info_nce(first, second, rivals, 0.3)
        assert info_nce(first, second, rivals, 0.3).item() == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("num_rivals", [0, 2])
    def test_dense_agrees_with_a_loop_over_positions(self, num_rivals):
        first, second = unit(3, 6, 4), unit(3, 6, 4, seed=1)
        rivals = unit(3, 6, num_rivals, 4, seed=2) if num_rivals else None
        expected = slow_dense_info_nce(first, second, rivals, 0.2)
        assert info_nce(first, second, rivals, 0.2).item() == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("num_rivals", [0, 2])
    def test_chance_level_is_the_log_of_the_candidates(self, num_rivals):
        same = torch.ones(8, 1)
        rivals = torch.ones(8, num_rivals, 1) if num_rivals else None
        assert info_nce(same, same, rivals).item() == pytest.approx(math.log(8 + num_rivals), rel=1e-6)

    def test_a_closer_rival_costs_more_and_only_its_own_face(self):
        faces, far = unit(4, 6), -unit(4, 6)[:, None]
        near = far.clone()
        near[2, 0] = faces[2]
        assert info_nce(faces, faces, near) > info_nce(faces, faces, far) + 0.05
        gradient_of = near.requires_grad_()
        (gradient,) = torch.autograd.grad(info_nce(faces, faces, gradient_of), gradient_of)
        assert gradient.flatten(1).norm(dim=1).argmax() == 2

    def test_order_of_faces_and_of_the_two_rounds_does_not_matter(self):
        first, second, rivals = unit(5, 4), unit(5, 4, seed=1), unit(5, 2, 4, seed=2)
        order = torch.tensor([3, 0, 4, 1, 2])
        loss = info_nce(first, second, rivals).item()
        assert info_nce(first[order], second[order], rivals[order]).item() == pytest.approx(loss, rel=1e-9)
        assert info_nce(second, first, rivals).item() == pytest.approx(loss, rel=1e-9)
        assert info_nce(first, second[order], rivals).item() != pytest.approx(loss, rel=1e-2)

    @pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)], ids=["global", "dense"])
    def test_gradient_is_right(self, shape):
        first, second = unit(*shape).requires_grad_(), unit(*shape, seed=1).requires_grad_()
        assert gradcheck(lambda a, b: info_nce(a, b, temperature=0.5), (first, second))

    def test_gradient_through_rivals_is_right(self):
        inputs = tuple(unit(*shape).requires_grad_() for shape in ((3, 4), (3, 4), (3, 2, 4)))
        assert gradcheck(lambda a, b, r: info_nce(a, b, r, 0.5), inputs)


class TestSimSiam:
    def test_worked_by_hand(self):
        # turned by 90 degrees, one face's prediction lies on its other round, the other's is opposite
        first, second = torch.eye(2), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
        assert simsiam(first, second, lambda x: x @ turn).item() == pytest.approx(1.0)
        assert simsiam(first, second, lambda x: x.flip(1)).item() == pytest.approx(0.0)
        assert simsiam(first, first, lambda x: x).item() == pytest.approx(0.0)
        assert simsiam(first, first, lambda x: -x).item() == pytest.approx(2.0)

    def test_the_gradient_stops_at_the_round_that_is_predicted(self):
        first, second = unit(3, 4).requires_grad_(), unit(3, 4, seed=1).requires_grad_()
        loss = simsiam(first, second, lambda x: x)
        expected = [-other.detach() / 2 / 3 for other in (second, first)]
        for found, value in zip(torch.autograd.grad(loss, [first, second]), expected, strict=True):
            torch.testing.assert_close(found, value)


class TestVICReg:
    def test_worked_by_hand(self):
        # deviations sqrt(2) (no cost) and 0 (cost 1); distance 1 in one of two dimensions; no covariance
        first, second = torch.tensor([[1.0, 0], [-1.0, 0]]), torch.tensor([[1.0, 1], [-1.0, 1]])
        flat = (1 - math.sqrt(1e-4)) / 2
        assert vicreg(first, second).item() == pytest.approx(0.5 + 2 * flat, rel=1e-6)

    def test_dimensions_that_say_the_same_cost_their_covariance(self):
        same, other = (
            torch.tensor([[2.0, 2], [-2.0, -2]]),
            torch.tensor([[2.0, 0], [-2.0, 0], [0, 2.0], [0, -2.0]]),
        )
        assert vicreg(same, same).item() == pytest.approx(2 * (2 * 8.0**2) / 2 / 25, rel=1e-6)
        assert vicreg(other, other).item() == pytest.approx(0.0, abs=1e-6)

    def test_a_collapse_costs_more_than_faces_that_agree_and_differ(self):
        faces = 3 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        assert vicreg(torch.ones(64, 4), torch.ones(64, 4)) > vicreg(faces, faces) + 1


@pytest.fixture(scope="module")
def outputs():
    """What the model gives for four pairs of faces, with gradients."""
    model = tiny_model("full")
    torch.manual_seed(1)
    return model(torch.rand(8, 3, 32, 32), num_source=4, separate=True)


def projectors(alignment: str):
    return tiny_model("full", alignment=alignment).projectors


@pytest.mark.parametrize("name", ALL_SIX)
def test_the_paper_s_align_the_same_thing_of_the_same_domain_over_the_two_rounds(name):
    kind, domain = name.split("_")
    row = SUPERVISORS[name]
    assert (row.first, row.second) == (f"{kind}_{domain[0]}", f"{kind}2_{domain[0]}")
    assert row.projector == kind


@pytest.mark.parametrize("name", SUPERVISORS)
class TestEverySupervisor:
    def test_names_features_of_the_model_that_its_projector_reads(self, name, outputs):
        row = SUPERVISORS[name]
        features = (row.first, row.second, *row.rivals)
        assert row.projector in projectors("global") and not set(features) - outputs.keys()
        assert len({outputs[feature].shape for feature in features}) == 1
        assert len(set(features)) == len(features)  # no rival is one of the pair

    @pytest.mark.parametrize("alignment", ALIGNMENTS)
    def test_is_a_positive_finite_number_with_a_gradient_to_both_rounds(self, name, alignment, outputs):
        row = SUPERVISORS[name]
        apart = {key: value.detach().requires_grad_() for key, value in outputs.items()}
        loss = alignment_term(row, Projections(apart, projectors(alignment)), alignment)
        assert loss.dim() == 0 and loss.isfinite() and loss > 0
        first, second = torch.autograd.grad(loss, [apart[row.first], apart[row.second]], allow_unused=True)
        assert second.abs().sum() > 0
        assert (first is None) == (alignment == "l1")  # ADLD's target is detached

    def test_is_the_projected_pair_against_its_projected_rivals(self, name, outputs):
        row, project = SUPERVISORS[name], projectors("global")[SUPERVISORS[name].projector]
        rivals = torch.stack([project(outputs[rival]) for rival in row.rivals], 1)
        expected = slow_info_nce(project(outputs[row.first]), project(outputs[row.second]), rivals, 0.2)
        loss = alignment_term(row, Projections(outputs, projectors("global")), temperature=0.2)
        assert loss.item() == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize("alignment", ["global", "dense"])
    @pytest.mark.parametrize("negatives", ["batch", "rivals", "queue"])
    def test_chance_level_is_what_blind_projectors_score(self, name, outputs, alignment, negatives):
        if (alignment, negatives) == ("dense", "queue"):
            pytest.skip("refused, see below")
        cells = {"global": (), "dense": (49,)}[alignment]
        row = SUPERVISORS[name]
        blind = {row.projector: lambda features: features.new_ones(len(features), *cells, 1)}
        queue = FeatureQueue(1).eval()
        queue.vectors.fill_(1.0)
        loss = alignment_term(row, Projections(outputs, blind), alignment, negatives, queue=queue)
        settings = {"alignment": alignment, "negatives": negatives, "supervisors": [name], "batch_size": 4}
        assert loss.item() == pytest.approx(chance_of_supervisors(settings)[name], rel=1e-6)

    def test_dense_is_the_projected_positions(self, name, outputs):
        row, project = SUPERVISORS[name], projectors("dense")[SUPERVISORS[name].projector]
        rivals = torch.stack([project(outputs[rival]) for rival in row.rivals], -2)
        expected = slow_dense_info_nce(project(outputs[row.first]), project(outputs[row.second]), rivals, 0.2)
        project = Projections(outputs, projectors("dense"))
        loss = alignment_term(row, project, "dense", temperature=0.2)
        assert loss.item() == pytest.approx(expected, rel=1e-4)

    def test_l1_is_the_mean_distance(self, name, outputs):
        row = SUPERVISORS[name]
        loss = alignment_term(row, Projections(outputs, None), "l1")
        assert loss.item() == pytest.approx(F.l1_loss(outputs[row.second], outputs[row.first]).item())


class TestQueue:
    def test_faces_of_past_batches_are_rivals_and_this_batch_joins_them(self, outputs):
        row, queue = SUPERVISORS["rich_source"], FeatureQueue(128)
        project, before = Projections(outputs, projectors("global")), queue.vectors.clone()
        loss = alignment_term(row, project, negatives="queue", queue=queue)

        def seen(name):
            vectors = project("rich", name)
            return F.normalize(vectors - sum(vectors) / 4, dim=-1)

        rivals = torch.stack([seen(rival) for rival in row.rivals], 1)
        rivals = torch.cat([rivals, before.expand(4, -1, -1)], 1)
        first, second = seen(row.first), seen(row.second)
        assert loss.item() == pytest.approx(slow_info_nce(first, second, rivals, 0.1), rel=1e-4)
        assert len(queue.vectors) == QUEUE_LENGTH
        assert torch.allclose(queue.vectors[-4:], first, atol=1e-6)
        assert torch.equal(queue.vectors[:-4], before[4:])

    def test_a_shift_common_to_all_projections_does_not_change_the_loss(self, outputs):
        # else every projection runs away from the queue along one direction, until all are one
        losses = []
        for moved in (0.0, 3.0):
            torch.manual_seed(0)
            queue = FeatureQueue(8).eval()
            projections = {name: torch.randn(4, 8) + moved for name in outputs}
            look_up = {"rich": lambda name, made=projections: made[name]}
            project = Projections({name: name for name in outputs}, look_up)
            row = SUPERVISORS["rich_source"]
            losses.append(alignment_term(row, project, negatives="queue", queue=queue).item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    def test_evaluation_does_not_change_the_queue(self, outputs):
        queue = FeatureQueue(128).eval()
        before = queue.vectors.clone()
        project = Projections(outputs, projectors("global"))
        alignment_term(SUPERVISORS["rich_source"], project, negatives="queue", queue=queue)
        assert torch.equal(queue.vectors, before)

    def test_is_refused_for_positions(self, outputs):
        with pytest.raises(ValueError, match="'queue' need alignment 'global', found 'dense'"):
            alignment_term(SUPERVISORS["rich_source"], Projections(outputs, None), "dense", "queue")


def test_each_output_is_projected_once():
    calls = []
    project = Projections({"a": torch.ones(1)}, {"rich": lambda x: calls.append(1) or x})
    assert project("rich", "a") is project("rich", "a") and len(calls) == 1


def test_unknown_alignment_and_negatives_are_refused():
    row = SUPERVISORS["rich_source"]
    with pytest.raises(ValueError, match="'pixel'.*global, dense, l1"):
        alignment_term(row, Projections({}, {}), alignment="pixel")
    with pytest.raises(ValueError, match="'past'.*batch, rivals, queue"):
        alignment_term(row, Projections({}, {}), negatives="past")
