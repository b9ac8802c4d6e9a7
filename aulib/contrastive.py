"""The alignments of the two rounds of a face: InfoNCE with its negatives, and alternatives without negatives.

Which two features a supervisor aligns is data: `supervisors.SUPERVISORS`. The loss is the same for all.
Marks: [P] paper, [A] ADLD, [C] ours; the page docs/method.md has the table.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aulib import distributed
from aulib.supervisors import TEMPERATURE, Supervisor, check_alignment

QUEUE_LENGTH = 256


def info_nce(
    first: Tensor, second: Tensor, rivals: Tensor | None = None, temperature: float = TEMPERATURE
) -> Tensor:
    """Symmetric InfoNCE: each face should find its other round among all faces of the batch (and its rivals).

    mean_i -log softmax_j(<u_i, v_j> / temperature)[i], both directions averaged (van den Oord et al. 2018,
    eq. 4, with cosine similarity).

    Args:
        first, second: (B, D) of length 1; row i of both is the same face. Dense: (B, P, D); the candidates of
            a position are the P positions of its own face and the same position of the other faces [C].
        rivals: (B, M, D), dense (B, P, M, D), of length 1: more candidates, for row i only; or None.

    Returns:
        () nats; log(candidates) is chance.
    """
    forward = _candidates(first, second, rivals) / temperature
    backward = _candidates(second, first, rivals) / temperature
    samples = first.shape[-2]  # faces, or positions of a face
    positive = torch.arange(samples, device=first.device).expand(first.shape[:-1]).flatten()
    if first.dim() == 2:
        positive = positive + distributed.rank() * samples
    return 0.5 * (
        F.cross_entropy(forward.flatten(0, -2), positive) + F.cross_entropy(backward.flatten(0, -2), positive)
    )


def _candidates(anchors: Tensor, others: Tensor, rivals: Tensor | None) -> Tensor:
    """Cosines of each anchor with its candidates: (B, .), all faces first; or (B, P, .), its own first."""
    everyone = distributed.gather(others)
    if anchors.dim() == 2:
        cosines = [anchors @ everyone.mT]
    else:
        same_place = torch.einsum("ipd,jpd->ipj", anchors, everyone)  # (B, P, all faces)
        own = torch.arange(len(anchors), device=anchors.device) + distributed.rank() * len(anchors)
        own = F.one_hot(own, len(everyone)).bool()  # is among its own positions
        cosines = [anchors @ others.mT, same_place.masked_fill(own[:, None], -torch.inf)]
    if rivals is not None:
        cosines.append((anchors.unsqueeze(-2) @ rivals.mT).squeeze(-2))
    return torch.cat(cosines, -1)


def simsiam(first: Tensor, second: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """One minus the cosine of a round's prediction with the other round, whose gradient stops; both ways.

    Chen & He 2021, eq. 2, plus 1, so that 0 is agreement; heads: `networks.Projector`.

    Args:
        first, second: (B, D) of length 1.  predict: (B, D) -> (B, D) of length 1.
    """
    forward = (predict(first) * second.detach()).sum(-1).mean()
    return 1 - 0.5 * (forward + (predict(second) * first.detach()).sum(-1).mean())


def vicreg(first: Tensor, second: Tensor) -> Tensor:
    """Variance-invariance-covariance regularisation (Bardes et al. 2022, eq. 6), divided by its weight 25.

    The squared distance of the rounds (mean over dimensions, as in the authors' code), plus how far each
    dimension's standard deviation over faces is below 1, plus 1/25 of the covariances between dimensions.

    Args:
        first, second: (B, D), of any length; of several processes, all faces count.
    """
    first, second = distributed.gather(first).float(), distributed.gather(second).float()
    total = F.mse_loss(first, second)
    for vectors in (first, second):
        centred = vectors - vectors.mean(0)
        covariance = centred.T @ centred / (len(vectors) - 1)
        deviation = (vectors.var(0) + 1e-4).sqrt()
        between = covariance.square().sum() - covariance.diagonal().square().sum()
        total = total + F.relu(1 - deviation).mean() + between / len(covariance) / 25
    return total


def chance_level(alignment: str, negatives: str, supervisor: Supervisor, batch: int, cells: int) -> float:
    """The loss of guessing among a supervisor's N candidates: log N, nats.

    Args:
        batch: faces of each domain in a step.  cells: positions of a face, if dense.
    """
    candidates = batch + (cells - 1 if alignment == "dense" else 0)
    if negatives != "batch":
        candidates += len(supervisor.rivals)
    if negatives == "queue":
        candidates += QUEUE_LENGTH
    return math.log(candidates)


class FeatureQueue(nn.Module):
    """The last QUEUE_LENGTH projections of one supervisor's first round: negatives beyond the batch.

    As in MoCo (He et al. 2020), but without its slow encoder: features are up to some dozens of steps old
    [C]. Projections could collapse by drifting together, which separates new faces from old; so the mean of a
    batch is subtracted before its projections are compared or stored. The queue starts with random
    directions, so the number of candidates is constant.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("vectors", F.normalize(torch.randn(QUEUE_LENGTH, dim), dim=-1))

    @torch.no_grad()
    def enqueue(self, vectors: Tensor) -> None:
        """Add (B, D) vectors; the oldest B leave."""
        self.vectors = torch.cat([self.vectors[len(vectors) :], vectors.detach().to(self.vectors.dtype)])


class Projections:
    """The projected outputs of one step, each computed once, however many supervisors read it.

    Args:
        outputs: named features, each (B, ., h, w).
        projectors: mapping "rich" | "shape" | "texture" -> `networks.Projector`.
    """

    def __init__(self, outputs: dict[str, Tensor], projectors):
        self.outputs, self.projectors = outputs, projectors
        self.made: dict[tuple[str, str], Tensor] = {}

    def __call__(self, projector: str, output: str) -> Tensor:
        if (projector, output) not in self.made:
            self.made[projector, output] = self.projectors[projector](self.outputs[output])
        return self.made[projector, output]


def alignment_term(
    supervisor: Supervisor,
    project: Projections,
    alignment: str = "global",
    negatives: str = "rivals",
    temperature: float = TEMPERATURE,
    queue: FeatureQueue | None = None,
) -> Tensor:
    """One supervisor's unweighted loss on the model's outputs.

    Args:
        project: the step's outputs and projectors.
        alignment: InfoNCE "global" (a face is a sample) or "dense" (a position is); without negatives "l1"
            (ADLD's cycle; the first round is detached), "simsiam" or "vicreg".
        negatives: "batch" (other faces), "rivals" (and recombinations of this face) or "queue" (and faces of
            past batches in `queue`, to which this step's are added; global only).

    Raises:
        ValueError: unknown alignment or negatives, or a queue with another alignment than global.
    """
    check_alignment(alignment, negatives)
    if alignment == "l1":
        first, second = project.outputs[supervisor.first], project.outputs[supervisor.second]
        return (second - first.detach()).abs().mean()
    first, second = (project(supervisor.projector, name) for name in (supervisor.first, supervisor.second))
    if alignment == "simsiam":
        return simsiam(first, second, project.projectors[supervisor.projector].predict)
    if alignment == "vicreg":
        return vicreg(first, second)
    rivals = None
    if negatives != "batch":
        rivals = torch.stack([project(supervisor.projector, name) for name in supervisor.rivals], -2)
    if negatives == "queue":
        rest = (vectors - distributed.mean(vectors.mean(0)) for vectors in (first, second, rivals))
        first, second, rivals = (F.normalize(vectors, dim=-1) for vectors in rest)
        rivals = torch.cat([rivals, queue.vectors.expand(len(first), -1, -1)], 1)
    loss = info_nce(first, second, rivals, temperature)
    if negatives == "queue" and queue.training:
        queue.enqueue(distributed.gather(first.detach()))
    return loss
