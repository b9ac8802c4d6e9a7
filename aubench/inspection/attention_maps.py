"""Where an answer comes from: maps over the face, one for each AU or landmark.

`evidence_maps` is exact for the step it explains (evidence to logit is a mean), but coarse, and says
nothing of what lies below it. `attribution_maps` goes all the way to the pixels, along a path of faces that
nobody ever saw. They are shown side by side because each has the weakness that the other lacks.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from aulib.model import AUModel, expected_cells

PATH_STEPS = 16  # of the integral; `completeness_gap` says what they leave out
FACES_AT_ONCE = 64


def evidence_maps(model: AUModel, pictures: Tensor, read_from: str) -> tuple[Tensor, Tensor]:
    """The class activation map of every AU's branch, at the size of the picture.

    The logit is the mean of a branch's evidence over its cells, so at the branch's own resolution the map is
    exact: it equals gradient x activation of the last layer, plus the bias (Zhou et al. 2016 for a linear
    last layer). Only its enlarging (bilinear) and the receptive field of a cell are not.

    Args:
        pictures: (n, 3, H, H) in [0, 1].  read_from: see `AUModel.read`.

    Returns:
        maps (n, A, H, H) in logits, positive where a place speaks for the AU; probability (n, A).

    Raises:
        ValueError: a model that reads AUs from landmark coordinates has no maps.
    """
    refuse_landmark_reader(model)
    maps, probability = [], []
    with torch.no_grad():
        for some in pictures.split(FACES_AT_ONCE):
            outputs = model.read(some, read_from)
            maps.append(enlarged(outputs["evidence"], some.shape[-1]))
            probability.append(outputs["au_logits"].sigmoid())
    return torch.cat(maps), torch.cat(probability)


def attribution_maps(
    model: AUModel, pictures: Tensor, au: int, read_from: str, steps: int = PATH_STEPS
) -> tuple[Tensor, Tensor]:
    """Integrated gradients (Sundararajan et al. 2017, by Captum) of one AU's logit in the network's input.

    The path runs from a flat face to the face in the standardised input that the network reads: in the
    picture itself it would be no path, since standardising undoes every change of contrast.

    Args:
        pictures: (n, 3, H, H).  au: index of the AU.  steps: of the integral (Gauss-Legendre).

    Returns:
        maps (n, H, H), summed over the input's channels; their sum over the picture should be the
        difference of logits between the face and a flat one; gap (n,) by how much it is not.
    """
    from aulib.torchvision_operators import define_missing_operators

    define_missing_operators()  # captum looks at torchvision
    from captum.attr import LayerIntegratedGradients

    refuse_landmark_reader(model)
    reads_second = model.au_encoder is not None and read_from == "features"
    integral = LayerIntegratedGradients(
        lambda faces: model.read(faces, read_from)["au_logits"],
        model.au_encoder if reads_second else model.encoder,
    )
    maps, gaps = [], []
    for some in pictures.split(FACES_AT_ONCE // 4):
        flat = torch.full_like(some, 0.5)  # standardised: zero everywhere
        found, gap = integral.attribute(
            some, flat, target=au, n_steps=steps, internal_batch_size=FACES_AT_ONCE,
            attribute_to_layer_input=True, return_convergence_delta=True,
        )  # fmt: skip
        maps.append(found.detach().sum(1))
        gaps.append(gap.detach())
    return torch.cat(maps), torch.cat(gaps)


def landmark_maps(model: AUModel, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Where the landmark detector responds: S at the size of the picture, and the points it is read as.

    Returns:
        maps (n, K, H, H), each with its cells' shares of 1 (not renormalised by the enlarging); points (n,
        K, 2) pixels of the picture.
    """
    with torch.no_grad():
        shape = model.read(pictures, "features")["shape"]
    size = pictures.shape[-1]
    points = (expected_cells(shape) + 0.5) * (size / shape.shape[-1]) - 0.5
    return enlarged(shape, size), points


def answers(model: AUModel, au: int, read_from: str) -> Callable[[Tensor], Tensor]:
    """The probability of one AU as a function of pictures: (n, 3, H, H) -> (n,)."""

    def probability(pictures: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [
                model.read(some, read_from)["au_logits"][:, au] for some in pictures.split(FACES_AT_ONCE)
            ]
        return torch.cat(parts).sigmoid()

    return probability


def smoothed(maps: Tensor, pixels: int = 5) -> Tensor:
    """(n, H, W) -> the mean of `pixels` x `pixels` around each: gradients flicker from pixel to pixel."""
    return F.avg_pool2d(maps[:, None], pixels, 1, pixels // 2, count_include_pad=False)[:, 0]


def enlarged(maps: Tensor, size: int) -> Tensor:
    """(n, M, h, w) -> (n, M, size, size), bilinear."""
    return F.interpolate(maps.float(), (size, size), mode="bilinear", align_corners=False)


def refuse_landmark_reader(model: AUModel) -> None:
    if model.config.au_from_landmarks:
        raise ValueError("this run reads AUs from landmark coordinates: no place has evidence to map")
