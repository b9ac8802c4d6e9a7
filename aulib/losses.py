"""Losses with labels, reconstruction and adversarial losses: plain functions, unweighted."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aulib import distributed


def au_occurrence_loss(
    logits: Tensor, occurrence: Tensor, au_weight: Tensor | None = None, pos_weight: Tensor | None = None
) -> Tensor:
    """Weighted binary cross-entropy over the AU labels that exist (docs/method.md [A]).

    An unknown label (NaN) adds neither loss nor gradient.

    Args:
        logits: (B, A) unbounded.
        occurrence: (B, A) in {0, 1}, or a probability, NaN where unknown.
        au_weight: (A,) factor per AU, see `labels.au_weights`; None: all 1.
        pos_weight: (A,) factor on present labels [C]; None: 1.

    Returns:
        () mean over known labels; 0 if the batch has none.

    Raises:
        ValueError: shapes differ.
    """
    if logits.shape != occurrence.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and occurrence {tuple(occurrence.shape)} differ")
    known = ~occurrence.isnan()
    label = torch.where(known, occurrence, 0.0)  # NaN * 0 is still NaN, so replace before the loss
    per_label = F.binary_cross_entropy_with_logits(
        logits, label, weight=au_weight, pos_weight=pos_weight, reduction="none"
    )
    return (per_label * known).sum() / _number_of(known)


def landmark_loss(log_attention: Tensor, landmarks: Tensor, image_size: int) -> Tensor:
    """Cross-entropy of each landmark map against the landmark's place (docs/method.md).

    ADLD's target is the one cell the landmark falls in [A]. Here its mass is shared between the
    four nearest cells, bilinearly, so that the expected position is exact below a cell [C].

    Args:
        log_attention: (B, K, h, w) log S, see `networks.log_attention`.
        landmarks: (B, K, 2) pixels of the picture, x then y, NaN where unknown; those outside it are left
            out.
        image_size: side of the picture in pixels.

    Returns:
        () mean over known landmarks, in nats; at least the entropy of the shared mass (up to log 4).
    """
    w = log_attention.shape[-1]
    position = (landmarks + 0.5) * (w / image_size) - 0.5  # in cells; 0 is the first cell's centre
    known = (~position.isnan()).all(-1) & (position > -1).all(-1) & (position < w).all(-1)  # (B, K)
    position = torch.where(known[..., None], position, 0.0).clamp(0, w - 1)
    low = position.floor().clamp(max=w - 2)
    x, y = (position - low).unbind(-1)  # (B, K) share of the right and of the lower neighbour
    left, top = low.long().unbind(-1)
    first = top * w + left
    cells = torch.stack([first, first + 1, first + w, first + w + 1], -1)  # (B, K, 4)
    share = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)
    places = log_attention.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h * w, K), as they lie in memory
    per_landmark = -(share * places.gather(1, cells.transpose(1, 2)).transpose(1, 2)).sum(-1)
    return (per_landmark * known).sum() / _number_of(known)


def _number_of(known: Tensor) -> Tensor:
    """How many are known, at least 1; of several processes, their mean."""
    return distributed.all_reduce(known.sum()).clamp(min=1) / distributed.world_size()


def flatness_loss(log_attention: Tensor) -> Tensor:
    """How far landmark maps are from uniform: KL(uniform || S), mean over faces and landmarks.

    T minimises it through A_lm (docs/method.md; ADLD uses a squared error on one-hot maps [A],
    the KL form is ours [C]). 0 exactly when every map is flat.

    Args:
        log_attention: (B, K, h, w) log S, see `networks.log_attention`.
    """
    return -log_attention.mean() - math.log(log_attention[0, 0].numel())


def real_fake_loss(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """The least-squares adversary's own loss: real scores to 1, others to 0 (Mao et al. 2017, eq. 2)."""
    return 0.5 * ((real_score - 1).square().mean() + fake_score.square().mean())


def fooling_loss(fake_score: Tensor) -> Tensor:
    """What the generating side minimises: reconstructed features scored as real (Mao et al. 2017, eq. 2)."""
    return (fake_score - 1).square().mean()


def domain_loss(source_logit: Tensor, target_logit: Tensor) -> Tensor:
    """DANN's domain cross-entropy over (B,) logits; the gradient is reversed inside the classifier."""
    return 0.5 * (F.softplus(source_logit).mean() + F.softplus(-target_logit).mean())
