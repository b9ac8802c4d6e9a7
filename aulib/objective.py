"""The objective: every unweighted term by name, and the one place where weights are applied."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aulib import distributed
from aulib.contrastive import Projections, alignment_term
from aulib.losses import (
    au_occurrence_loss,
    domain_loss,
    flatness_loss,
    fooling_loss,
    landmark_loss,
    real_fake_loss,
)
from aulib.methods import Method
from aulib.model import AUModel
from aulib.networks import log_attention
from aulib.supervisors import SUPERVISORS, TEMPERATURE


@dataclass(frozen=True)
class Objective:
    """What a run minimises. weights: factor of each term; single terms read the other fields."""

    weights: dict[str, float]
    au_weight: Tensor
    pos_weight: Tensor
    alignment: str = "global"
    negatives: str = "rivals"
    temperature: float = TEMPERATURE

    def to(self, device: torch.device) -> "Objective":
        moved = {name: getattr(self, name).to(device) for name in ("au_weight", "pos_weight")}
        return replace(self, **moved)

    def au_loss(self, logits: Tensor, occurrence: Tensor) -> Tensor:
        return au_occurrence_loss(logits, occurrence, self.au_weight, self.pos_weight)


@dataclass(frozen=True)
class StepData:
    """What a term may read in one step.

    outputs: of `AUModel.forward`.  source, target: batches; only the source has `occurrence`; target is None
    without target faces, and has `taught` (the teacher's AUs) with a mean teacher.  projections: None in
    steps without the two rounds.
    """

    model: AUModel
    objective: Objective
    outputs: dict[str, Tensor]
    source: dict[str, Tensor]
    target: dict[str, Tensor] | None
    projections: Projections | None = None


Term = Callable[[StepData], Tensor]  # an unweighted loss, ()


def _au(logits_key: str) -> Term:
    def term(step: StepData) -> Tensor:
        return step.objective.au_loss(step.outputs[logits_key], step.source["occurrence"])

    return term


def _au_teacher(step: StepData) -> Tensor:
    """Without the weight of present labels: it would pull the student above the teacher, who follows."""
    return au_occurrence_loss(step.outputs["au_t"], step.target["taught"], step.objective.au_weight)


def _landmarks_swapped(step: StepData) -> Tensor:
    on_target = _landmark_loss(step.outputs["landmarks_swapped_t"], step.source)  # F~^t carries l^s
    return 0.5 * (on_target + _landmark_loss(step.outputs["landmarks_swapped_s"], step.target))


def _landmark_loss(maps: Tensor, batch: dict[str, Tensor]) -> Tensor:
    return landmark_loss(maps, batch["landmarks"], batch["image"].shape[-1])


def _flatness(step: StepData) -> Tensor:
    texture = torch.cat([step.outputs["texture_s"], step.outputs["texture_t"]])
    return flatness_loss(log_attention(step.model.landmark_adversary(texture)))


def _fooling(step: StepData) -> Tensor:
    fake_s = step.model.source_adversary(step.outputs["swapped_s"])
    fake_t = step.model.target_adversary(step.outputs["swapped_t"])
    return 0.5 * (fooling_loss(fake_s) + fooling_loss(fake_t))


def _l1(first: str, second: str) -> Term:
    """Mean of both domains; the first round is the (detached) target of the second."""

    def term(step: StepData) -> Tensor:
        out = step.outputs
        return 0.5 * sum((out[f"{second}_{d}"] - out[f"{first}_{d}"].detach()).abs().mean() for d in "st")

    return term


def _aligned(name: str) -> Term:
    def term(step: StepData) -> Tensor:
        objective = step.objective
        return alignment_term(
            SUPERVISORS[name],
            step.projections,
            alignment=objective.alignment,
            negatives=objective.negatives,
            temperature=objective.temperature,
            queue=step.model.queues[name] if objective.negatives == "queue" else None,
        )

    return term


PLAIN_TERMS: dict[str, Term] = {
    "au_source": _au("au_s"),
    "landmarks_source": lambda step: _landmark_loss(step.outputs["landmarks_s"], step.source),
    "landmarks_target": lambda step: _landmark_loss(step.outputs["landmarks_t"], step.target),
    "domain": lambda step: domain_loss(step.outputs["domain_s"], step.outputs["domain_t"]),
}
FIRST_ROUND_TERMS: dict[str, Term] = {
    "au_swapped": _au("au_swapped_t"),  # F~^t carries the source's AUs
    "au_self": _au("au_self_s"),
    "landmarks_swapped": _landmarks_swapped,
    "texture_flatness": _flatness,
    "feature_adversary": _fooling,
    "self_reconstruction": _l1("rich", "self"),
}
ROUND_TERMS: dict[str, Term] = FIRST_ROUND_TERMS | {
    "cycle": _l1("rich", "rich2"),
    **{name: _aligned(name) for name in SUPERVISORS},
}
TERMS = PLAIN_TERMS | ROUND_TERMS | {"au_teacher": _au_teacher}


def check_weights(weights: dict[str, float]) -> None:
    """Raises KeyError for a weight that names no term, with the terms there are; ValueError below 0."""
    if unknown := sorted(weights.keys() - TERMS.keys()):
        raise KeyError(f"weights name unknown terms {unknown}; there are {sorted(TERMS)}")
    if negative := {name: value for name, value in weights.items() if value < 0}:
        raise ValueError(f"weights {negative}: expected 0, which switches a term off, or more")


def can_compute(term: str, method: Method) -> bool:
    """Whether the method has the parts and the faces that a term reads."""
    if term in ROUND_TERMS:
        return method.separates
    if term == "domain":
        return method.adapts_by_domain
    return method.uses_target or term not in ("landmarks_target", "au_teacher")


def finds_landmarks(weights: dict[str, float]) -> bool:
    """Whether a run with these weights learns landmarks; if not, those of its head mean nothing."""
    return any(weights.get(name, 0) > 0 for name in ("landmarks_source", "landmarks_target"))


def swaps_back(weights: dict[str, float]) -> bool:
    """Whether a term reads more of the second round than its landmarks."""
    second = ROUND_TERMS.keys() - FIRST_ROUND_TERMS.keys()
    return any(weights.get(name, 0) > 0 for name in second)


def loss_terms(
    model: AUModel, objective: Objective, outputs: dict, source: dict, target: dict | None, adapts: bool
) -> dict[str, Tensor]:
    """Every unweighted term the objective weighs and this step can compute, by name.

    adapts: the two rounds, and the mean teacher, have begun.
    """
    available = TERMS if adapts else PLAIN_TERMS
    projections = Projections(outputs, model.projectors) if adapts and model.config.separates else None
    step = StepData(model, objective, outputs, source, target, projections)
    return {
        name: available[name](step)
        for name, weight in objective.weights.items()
        if name in available and weight > 0
    }


def weigh(terms: dict[str, Tensor], weights: dict[str, float], ramp: float, step: int) -> dict[str, Tensor]:
    """Terms times their weights; those that begin later count `ramp` (0 to 1) of their weight.

    Raises:
        FloatingPointError: a term is not finite; names it and the step.
    """
    for name, term in terms.items():
        if not torch.isfinite(term):
            raise FloatingPointError(f"term {name!r} is {term.item()} at step {step}")
    return {
        name: weights[name] * (1.0 if name in PLAIN_TERMS else ramp) * term for name, term in terms.items()
    }


def adversary_loss(model: AUModel, outputs: dict, source: dict, target: dict) -> Tensor:
    """What A_lm (if there is one), A_s and A_t minimise, on stopped gradients: landmarks read from Z, F
    against F~.
    """
    total = 0.0
    if model.config.separation == "adversary":
        texture = torch.cat([outputs["texture_s"], outputs["texture_t"]]).detach()
        landmarks = torch.cat([source["landmarks"], target["landmarks"]])
        read = log_attention(model.landmark_adversary(texture))
        total = landmark_loss(read, landmarks, source["image"].shape[-1])
    for domain, adversary in (("s", model.source_adversary), ("t", model.target_adversary)):
        both = torch.cat([outputs[f"rich_{domain}"], outputs[f"swapped_{domain}"]]).detach()
        real, fake = adversary(both).chunk(2)
        total = total + real_fake_loss(real, fake)
    return total


def gradient_shares(model: AUModel, weighted: dict[str, Tensor]) -> dict[str, float]:
    """`share.NAME`: norm of the gradient of each weighted term over the sum of these norms, in [0, 1].

    Of the weights that all terms train: E's last layer, which stands for E as in GradNorm (Chen et al. 2018;
    all of E would cost a full backward pass per term), and G if the model has it.
    They show a supervisor that has a loss but no gradient left. Norms are summed, so terms with opposite
    gradients both count. All shares are 0 if no term reaches the shared parameters. The graph is kept and no
    gradient is stored, so training does not change.

    Args:
        weighted: name -> () term times the factor it has in the objective.
    """
    parts = [model.encoder.out] + ([model.generator] if model.config.separates else [])
    parameters = [parameter for part in parts for parameter in part.parameters()]
    norms = {}
    for name, term in weighted.items():
        gradients = [None]
        if term.requires_grad:
            gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        squares = [distributed.mean(g).float().square().sum() for g in gradients if g is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    total = sum(norms.values())
    return {f"share.{name}": norm / total if total else 0.0 for name, norm in norms.items()}
