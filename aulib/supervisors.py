"""The contrastive supervisors under study: which two features are aligned, against which rivals.

Every supervisor is one row of SUPERVISORS: a positive pair of named outputs of the model (first
and second round of one face) and the hard rivals built from the same face. To add one, add its
row; the alignment itself is `info_nce`, the same for all.

Marks: [P] paper, [A] ADLD, [C] ours; the page docs/method.md has the table.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Supervisor:
    """One alignment of first and second round.

    first, second: keys of the model's outputs that should agree, face by face.
    projector: which of p_F, p_S, p_Z reads both.
    rivals: keys of outputs that share one half (shape or texture) with the face and so must not be
        taken for it: hard negatives "same texture with another shape" and the reverse [C].
    """

    first: str
    second: str
    projector: str
    rivals: tuple[str, ...]


SUPERVISORS = {
    # the plain contrastive loss: rich features, source and target [P]
    "rich_source": Supervisor("rich_s", "rich2_s", "rich", ("swapped_t", "swapped_s")),
    "rich_target": Supervisor("rich_t", "rich2_t", "rich", ("swapped_s", "swapped_t")),
    # the four additional intermediate supervisors [P]; what they align is our reading [C]
    "shape_source": Supervisor("shape_s", "shape2_s", "shape", ("shape_t",)),
    "shape_target": Supervisor("shape_t", "shape2_t", "shape", ("shape_s",)),
    "texture_source": Supervisor("texture_s", "texture2_s", "texture", ("texture_t",)),
    "texture_target": Supervisor("texture_t", "texture2_t", "texture", ("texture_s",)),
}
ALL_SIX = tuple(SUPERVISORS)
RICH_TWO = ("rich_source", "rich_target")


def info_nce(first: Tensor, second: Tensor, rivals: Tensor | None = None, temperature: float = 0.1) -> Tensor:
    """Symmetric InfoNCE: each face should find its other round among all faces of the batch (and its rivals).

    mean_i -log softmax_j(<u_i, v_j> / temperature)[i], both directions averaged (van den Oord et
    al. 2018, eq. 4, with cosine similarity). Rivals of face i join the candidates of u_i and of
    v_i only.

    Args:
        first, second: (B, D) of length 1; row i of both is the same face. Dense: (B, P, D), then
            the candidates of a position are the P positions of its own face [C].
        rivals: (B, M, D) of length 1, or None.
        temperature: > 0.

    Returns:
        () nats; log(candidates) is chance.
    """
    if first.dim() == 3:
        logits = first @ second.transpose(1, 2) / temperature  # (B, P, P)
        positive = torch.arange(first.shape[1], device=first.device).expand(len(first), -1)
        return 0.5 * (
            F.cross_entropy(logits.flatten(0, 1), positive.flatten())
            + F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), positive.flatten())
        )
    logits = first @ second.T / temperature  # (B, B)
    positive = torch.arange(len(first), device=first.device)
    forward, backward = logits, logits.T
    if rivals is not None:
        forward = torch.cat([forward, torch.einsum("bd,bmd->bm", first, rivals) / temperature], 1)
        backward = torch.cat([backward, torch.einsum("bd,bmd->bm", second, rivals) / temperature], 1)
    return 0.5 * (F.cross_entropy(forward, positive) + F.cross_entropy(backward, positive))


def alignment_term(
    supervisor: Supervisor,
    outputs: dict[str, Tensor],
    projectors,
    alignment: str = "global",
    negatives: str = "rivals",
    temperature: float = 0.1,
) -> Tensor:
    """One supervisor's unweighted loss on the model's outputs.

    Args:
        outputs: named features, each (B, ., h, w).
        projectors: mapping "rich" | "shape" | "texture" -> module giving vectors of length 1.
        alignment: "global" (a face is a sample), "dense" (a position is), or "l1" (ADLD's cycle,
            the first round detached as its target).
        negatives: "batch" (other faces only) or "rivals" (and recombinations of this face).

    Raises:
        ValueError: unknown alignment or negatives.
    """
    if alignment not in ("global", "dense", "l1"):
        raise ValueError(f"alignment {alignment!r} is none of global, dense, l1")
    if negatives not in ("batch", "rivals"):
        raise ValueError(f"negatives {negatives!r} is none of batch, rivals")
    first, second = outputs[supervisor.first], outputs[supervisor.second]
    if alignment == "l1":
        return (second - first.detach()).abs().mean()
    project = projectors[supervisor.projector]
    rivals = None
    if negatives == "rivals" and alignment == "global":
        rivals = torch.stack([project(outputs[name]) for name in supervisor.rivals], 1)
    return info_nce(project(first), project(second), rivals, temperature)
