"""Every term reads the outputs it should; weights are applied in one place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from aulib.batches import take_batch
from aulib.contrastive import Projections
from aulib.losses import au_occurrence_loss, flatness_loss, fooling_loss, landmark_loss, real_fake_loss
from aulib.methods import METHODS
from aulib.networks import log_attention
from aulib.objective import (
    PLAIN_TERMS,
    TERMS,
    Objective,
    StepData,
    adversary_loss,
    gradient_shares,
    loss_terms,
    weigh,
)
from aulib.supervisors import SUPERVISORS
from tiny import AUS, SIZE, tiny_faces, tiny_model

ADVERSARIES = {"landmark_adversary", "source_adversary", "target_adversary"}


def make_objective(weights: dict[str, float]) -> Objective:
    return Objective(weights, torch.linspace(0.5, 1.5, len(AUS)), torch.linspace(2, 1, len(AUS)))


def batch(seed: int = 0, labelled: bool = True) -> dict:
    return take_batch(tiny_faces(seed=seed, labelled=labelled), SIZE, 3, seed, 0, "none")


def taught(target: dict) -> dict:
    """A target batch with AUs that a teacher is confident of, some not."""
    return target | {"taught": batch(seed=4)["occurrence"]}


@pytest.fixture(scope="module")
def scene():
    """A model that separates and classifies domains, two batches, and what the model makes of them."""
    model = tiny_model(
        replace(METHODS["full"], adapts_by_domain=True)
    ).eval()  # no batch statistics, no dropout
    source, target = batch(), taught(batch(seed=1, labelled=False))
    image = torch.cat([source["image"], target["image"]])
    return model, model(image, num_source=3, separate=True, target_aus=True), source, target


def term(name: str, scene) -> torch.Tensor:
    model, outputs, source, target = scene
    project = Projections(outputs, model.projectors)
    return TERMS[name](StepData(model, make_objective({name: 1.0}), outputs, source, target, project))


def l1(first, second):
    return (first - second).abs().mean()


BY_HAND = {
    "au_source": lambda m, o, s, t: weighted_au(o["au_s"], s),
    "au_swapped": lambda m, o, s, t: weighted_au(o["au_swapped_t"], s),
    "au_self": lambda m, o, s, t: weighted_au(o["au_self_s"], s),
    "au_teacher": lambda m, o, s, t: au_occurrence_loss(o["au_t"], t["taught"], make_objective({}).au_weight),
    "landmarks_source": lambda m, o, s, t: landmark_loss(o["landmarks_s"], s["landmarks"], SIZE),
    "landmarks_target": lambda m, o, s, t: landmark_loss(o["landmarks_t"], t["landmarks"], SIZE),
    # F~^t has the source's shape, F~^s the target's
    "landmarks_swapped": lambda m, o, s, t: (
        landmark_loss(o["landmarks_swapped_t"], s["landmarks"], SIZE) / 2
        + landmark_loss(o["landmarks_swapped_s"], t["landmarks"], SIZE) / 2
    ),
    "domain": lambda m, o, s, t: (
        torch.log1p(o["domain_s"].exp()).mean() / 2 + torch.log1p((-o["domain_t"]).exp()).mean() / 2
    ),
    "texture_flatness": lambda m, o, s, t: (
        flatness_loss(log_attention(m.landmark_adversary(o["texture_s"]))) / 2
        + flatness_loss(log_attention(m.landmark_adversary(o["texture_t"]))) / 2
    ),
    "feature_adversary": lambda m, o, s, t: (
        fooling_loss(m.source_adversary(o["swapped_s"])) / 2
        + fooling_loss(m.target_adversary(o["swapped_t"])) / 2
    ),
    "self_reconstruction": lambda m, o, s, t: (
        l1(o["self_s"], o["rich_s"]) / 2 + l1(o["self_t"], o["rich_t"]) / 2
    ),
    "cycle": lambda m, o, s, t: l1(o["rich2_s"], o["rich_s"]) / 2 + l1(o["rich2_t"], o["rich_t"]) / 2,
}


def weighted_au(logits, source):
    objective = make_objective({})
    return au_occurrence_loss(logits, source["occurrence"], objective.au_weight, objective.pos_weight)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn(scene):
    """A weight on present labels would lift the student above the teacher, and the teacher after it."""
    model, outputs, source, target = scene
    logits = torch.randn(3, len(AUS), requires_grad=True)
    told = target | {"taught": logits.detach().sigmoid()}
    objective = make_objective({"au_teacher": 1.0})
    TERMS["au_teacher"](StepData(model, objective, {"au_t": logits}, source, told)).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-7)


def test_every_term_except_supervisors_has_a_hand_value():
    assert set(BY_HAND) == TERMS.keys() - SUPERVISORS.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_term_reads_the_right_outputs_and_labels(name, scene):
    torch.testing.assert_close(term(name, scene), BY_HAND[name](*scene), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TERMS)
class TestEveryTerm:
    def test_is_one_finite_number_with_a_gradient(self, name, scene):
        value = term(name, scene)
        assert value.dim() == 0 and value.isfinite() and value.requires_grad

    def test_is_plain_exactly_if_it_can_be_computed_before_the_rounds(self, name, scene):
        model, _, source, target = scene
        image = torch.cat([source["image"], target["image"]])
        before = model(image, num_source=3, separate=False)
        if name in PLAIN_TERMS:
            assert TERMS[name](StepData(model, make_objective({}), before, source, target)).isfinite()
        else:
            project = Projections(before, model.projectors)
            with pytest.raises(KeyError):
                TERMS[name](StepData(model, make_objective({}), before, source, target, project))


@pytest.mark.parametrize(
    ("name", "moved", "held"), [("self_reconstruction", "self", "rich"), ("cycle", "rich2", "rich")]
)
def test_the_first_round_is_detached(name, moved, held, scene):
    _, outputs, *_ = scene
    for domain in "st":
        gradients = torch.autograd.grad(
            term(name, scene),
            [outputs[f"{moved}_{domain}"], outputs[f"{held}_{domain}"]],
            retain_graph=True,
            allow_unused=True,
        )
        assert gradients[0].any() and gradients[1] is None


class TestLossTerms:
    @pytest.mark.parametrize("method", METHODS)
    def test_gives_the_terms_the_method_weighs(self, method):
        rung = METHODS[method]
        model, source = tiny_model(method), batch()
        target = taught(batch(seed=1, labelled=False)) if rung.uses_target else None
        image = source["image"] if target is None else torch.cat([source["image"], target["image"]])
        for adapts in {False, rung.adapts}:
            outputs = model(
                image, num_source=3, separate=adapts and rung.separates, target_aus=adapts and rung.teaches
            )
            terms = loss_terms(model, make_objective(rung.weights), outputs, source, target, adapts)
            assert terms.keys() == (
                rung.weights.keys() if adapts else rung.weights.keys() & PLAIN_TERMS.keys()
            )

    def test_a_term_of_weight_zero_is_not_computed(self, scene):
        model, outputs, source, target = scene
        objective = make_objective({"au_source": 1.0, "cycle": 0.0})
        assert set(loss_terms(model, objective, outputs, source, target, True)) == {"au_source"}


class TestWeighing:
    TERMS = {"au_source": torch.tensor(2.0), "cycle": torch.tensor(3.0), "rich_source": torch.tensor(5.0)}
    WEIGHTS = {"au_source": 1.0, "cycle": 10.0, "rich_source": 0.2}

    @pytest.mark.parametrize(("ramp", "expected"), [(1.0, [2, 30, 1]), (0.5, [2, 15, 0.5]), (0.0, [2, 0, 0])])
    def test_worked_by_hand(self, ramp, expected):
        weighted = weigh(self.TERMS, self.WEIGHTS, ramp, 0)
        assert list(weighted) == list(self.TERMS)
        assert [term.item() for term in weighted.values()] == pytest.approx(expected)

    def test_a_weight_without_its_term_adds_nothing_and_a_term_without_weight_is_an_error(self):
        only = {"au_source": torch.tensor(2.0)}
        assert weigh(only, self.WEIGHTS, 1.0, 0) == {"au_source": 2}
        with pytest.raises(KeyError, match="cycle"):
            weigh(self.TERMS, {"au_source": 1.0}, 1.0, 0)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_term_that_is_not_finite_stops_with_its_name_and_the_step(self, value):
        with pytest.raises(FloatingPointError, match=r"'cycle' is -?(nan|inf) at step 17"):
            weigh(self.TERMS | {"cycle": torch.tensor(value)}, self.WEIGHTS, 1.0, 17)


class TestAdversaryLoss:
    def test_is_the_sum_of_what_the_three_players_minimise(self, scene):
        model, o, source, target = scene
        expected = 0.0
        for domain, faces in (("s", source), ("t", target)):
            maps = log_attention(model.landmark_adversary(o[f"texture_{domain}"]))
            expected = expected + landmark_loss(maps, faces["landmarks"], SIZE) / 2
        for adversary, domain in ((model.source_adversary, "s"), (model.target_adversary, "t")):
            expected = expected + real_fake_loss(
                adversary(o[f"rich_{domain}"]), adversary(o[f"swapped_{domain}"])
            )
        torch.testing.assert_close(adversary_loss(model, o, source, target), expected)

    def test_only_the_adversaries_get_a_gradient(self, scene):
        model, outputs, source, target = scene
        model.zero_grad()
        adversary_loss(model, outputs, source, target).backward()
        moved = {
            name
            for name, part in model.named_children()
            if any(value.grad is not None and value.grad.any() for value in part.parameters())
        }
        assert moved == ADVERSARIES


@pytest.fixture
def full_model():
    return tiny_model("full")


def test_shares_follow_the_norms_of_the_weighted_gradients(full_model):
    in_encoder, in_g = next(full_model.encoder.out.parameters()), next(full_model.generator.parameters())
    # gradients (3, 4) in one place, norm 5; (15,) in another; a term that pulls the other way counts as much
    terms = {
        "a": 3 * in_encoder.flatten()[0] + 4 * in_g.flatten()[0],
        "b": 15 * in_g.flatten()[1],
        "against": -5 * in_encoder.flatten()[2],
    }
    shares = gradient_shares(full_model, terms)
    assert shares == pytest.approx({"share.a": 0.2, "share.b": 0.6, "share.against": 0.2})


def test_a_term_that_reaches_nothing_shared_has_no_share(full_model):
    terms = {
        "own": 2 * full_model.au_head.bias.sum(),
        "constant": torch.tensor(3.0),
        "shared": full_model.encoder.out[0].weight.sum(),
    }
    shares = gradient_shares(full_model, terms)
    assert shares == {"share.own": 0, "share.constant": 0, "share.shared": 1}
    assert gradient_shares(full_model, {"own": terms["own"]}) == {"share.own": 0}


def test_gradient_shares_in_the_history_sum_to_one(finished):
    history = pd.read_csv(finished.full / "history.csv")
    shares = history[[name for name in history if name.startswith("share.")]].dropna()
    assert {"share.au_source", "share.texture_target"} <= set(shares.columns) and len(shares)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
