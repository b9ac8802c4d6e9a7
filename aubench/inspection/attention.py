"""Maps of where an AU is read, and how well they localise it.

Evidence maps (class activation maps) are exact for the last layer but coarse. Integrated gradients reach the
pixels, along a path of faces that no dataset contains. Attention rollout follows a transformer encoder and is
the same for all AUs. The measures compare a map with a region, with chance, and by deleting pixels.
"""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter
from torch import Tensor

from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.networks import define_missing_operators

PATH_STEPS = 16  # of the integral; `attribution_maps` returns what they leave out
FACES_AT_ONCE = 64
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # of the pixels, deleted or inserted
BLUR = 10.0  # pixels at 112: no AU is visible in such a face


@torch.no_grad()
def evidence_maps(model: AUModel, pictures: Tensor, read_from: str) -> tuple[Tensor, Tensor]:
    """The class activation map of every AU's branch, at the size of the picture.

    The logit is the mean of a branch's evidence over its cells, so at the branch's own resolution the map is
    exact: it equals gradient x activation of the last layer, plus the bias (Zhou et al. 2016 for a linear
    last layer). Only the bilinear upsampling and the receptive field of a cell are not exact.

    Args:
        pictures: (n, 3, H, H) in [0, 1].  read_from: see `AUModel.read`.

    Returns:
        maps (n, A, H, H) in logits, positive where a place is evidence for the AU; logits (n, A).

    Raises:
        ValueError: a model that reads AUs from landmark coordinates has no maps.
    """
    refuse_landmark_reader(model)
    outputs = [model.read(some, read_from) for some in pictures.split(FACES_AT_ONCE)]
    maps = [enlarged(one["evidence"], pictures.shape[-1]) for one in outputs]
    return torch.cat(maps), torch.cat([one["au_logits"] for one in outputs])


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


@torch.no_grad()
def landmark_maps(model: AUModel, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Where the landmark detector responds: S at the size of the picture, and the landmarks read from it.

    Returns:
        maps (n, K, H, H), values as in S (they do not sum to 1 after upsampling); points (n, K, 2) pixels of
        the picture.
    """
    shape = model.read(pictures, "features")["shape"]
    size = pictures.shape[-1]
    return enlarged(shape, size), cells_to_pixels(expected_cells(shape), shape.shape[-1], size)


@torch.no_grad()
def probability_of_au(model: AUModel, au: int, read_from: str, pictures: Tensor) -> Tensor:
    """The probability of one AU on pictures, (n, 3, H, H) -> (n,)."""
    parts = [model.read(some, read_from)["au_logits"][:, au] for some in pictures.split(FACES_AT_ONCE)]
    return torch.cat(parts).sigmoid()


def smoothed(maps: Tensor) -> Tensor:
    """(n, H, W) -> the mean of 5 x 5 pixels around each: gradients are noisy from pixel to pixel."""
    return F.avg_pool2d(maps[:, None], 5, 1, padding=2, count_include_pad=False)[:, 0]


def enlarged(maps: Tensor, size: int) -> Tensor:
    """(n, M, h, w) -> (n, M, size, size), bilinear."""
    return F.interpolate(maps.float(), (size, size), mode="bilinear", align_corners=False)


def refuse_landmark_reader(model: AUModel) -> None:
    if model.config.au_from_landmarks:
        raise ValueError("this run reads AUs from landmark coordinates: no place has evidence to map")


def rollout_maps(model: AUModel, pictures: Tensor) -> Tensor:
    """How much each place reaches the patches' mean at the last layer: (n, H, H), each map summing to 1.

    Raises:
        ValueError: the encoder is no transformer, or one whose layers attend within windows or over maps of
            several sizes, where the product is not defined.
    """
    with recorded_attention(model.encoder) as layers, torch.no_grad():
        model.read(pictures, "features")
    name = model.config.backbone or "the own encoder"
    if not layers:
        raise ValueError(
            f"{name} has no attention layers to roll out; train with a timm vision transformer, "
            "for example backbone='vit_tiny_patch16_224'"
        )
    tokens = layers[0].shape[-1]
    if any(layer.shape != layers[0].shape for layer in layers) or len(layers[0]) != len(pictures):
        raise ValueError(
            f"{name} attends within windows or at several sizes; rollout needs the same tokens throughout"
        )
    side = int(tokens**0.5)
    prefix = tokens - side * side  # class and register tokens come first
    flow = rollout(layers)[:, prefix:, prefix:].mean(1)  # (n, patches)
    maps = enlarged(flow.view(len(pictures), 1, side, side), pictures.shape[-1])[:, 0]
    return maps / maps.sum((1, 2), keepdim=True)


def above_uniform(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Each place's excess over a uniform map, and the highest value, of maps that sum to 1.

    The skip connections keep rollout close to uniform, so the values themselves would all look bright.

    Args:
        maps: (n, H, W).

    Returns:
        excess (n, H, W) in [0, 1], 1 at the highest place and 0 where a map is not above uniform; peak (n,),
        the highest value relative to the uniform one, at least 1.
    """
    times = maps * maps[0].numel()
    peak = times.amax((1, 2))
    excess = (times - 1).clamp(min=0) / (peak - 1).clamp(min=1e-6)[:, None, None]
    return excess, peak


def rollout(layers: list[Tensor]) -> Tensor:
    """Attention of all layers, first to last, each (n, heads, N, N), rows summing to 1 -> (n, N, N), same."""
    flow = torch.eye(layers[0].shape[-1]).expand(len(layers[0]), -1, -1)
    for layer in layers:
        mixed = 0.5 * layer.mean(1) + 0.5 * torch.eye(layer.shape[-1])
        flow = mixed @ flow
    return flow


@contextmanager
def recorded_attention(encoder: torch.nn.Module):
    """Within the block, every timm attention layer appends its softmax to the list.

    The fused kernel never forms the matrix, so the layers compute it unfused meanwhile.
    """
    recorded: list[Tensor] = []
    with ExitStack() as undo:
        for module in encoder.modules():
            if hasattr(module, "fused_attn") and hasattr(module, "attn_drop"):
                undo.callback(setattr, module, "fused_attn", module.fused_attn)
                module.fused_attn = False
                hook = module.attn_drop.register_forward_pre_hook(
                    lambda _, inputs: recorded.append(inputs[0].detach())
                )
                undo.callback(hook.remove)
        yield recorded


def mass_inside(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Share of a map's positive mass that lies within a region.

    Args:
        maps: (..., H, W).  regions: (..., H, W) bool, or weights in [0, 1].

    Returns:
        (...) in [0, 1]; NaN for a map that is nowhere positive. Chance is the region's share of the area: a
        map that ignores the picture has it on average.
    """
    positive = np.clip(maps, 0, None)
    total = positive.sum((-2, -1))
    inside = (positive * regions).sum((-2, -1))
    return np.divide(inside, total, out=np.full(np.shape(inside), np.nan), where=total > 0)


def best_mass(regions: np.ndarray, cells: int) -> np.ndarray:
    """The largest share that a map of `cells` x `cells` cells, upsampled bilinearly, could have inside.

    A map's share is a weighted mean of the shares of single cells, so the best map is a single cell.

    Args:
        regions: (n, H, H) bool.

    Returns:
        (n,).
    """
    one_cell = torch.eye(cells * cells).view(cells * cells, 1, cells, cells)
    maps = enlarged(one_cell, regions.shape[-1])[:, 0].flatten(1).numpy()  # (cells^2, H * H)
    shares = maps @ regions.reshape(len(regions), -1).T.astype(np.float32) / maps.sum(1, keepdims=True)
    return shares.max(0)


def random_maps(count: int, size: int, cells: int, seed: int) -> Tensor:
    """(count, size, size): noise as coarse as a branch's maps, for the chance line of the curves."""
    noise = torch.rand(count, 1, cells, cells, generator=torch.Generator().manual_seed(seed))
    return enlarged(noise, size)[:, 0]


def blurred(pictures: Tensor) -> Tensor:
    """What replaces a deleted pixel: the face, blurred until no AU is visible."""
    sigma = BLUR * pictures.shape[-1] / 112
    return torch.from_numpy(gaussian_filter(pictures.numpy(), (0, 0, sigma, sigma), mode="nearest"))


def curve(
    answer: Callable[[Tensor], Tensor], start: Tensor, end: Tensor, maps: Tensor, fractions=FRACTIONS
) -> Tensor:
    """The answer while pixels of `start` become those of `end`, the map's highest first (Petsiuk 2018).

    Deletion: start is the face and end a blurred one; the sooner the answer falls, the better the map shows
    what the answer depends on. Insertion: the other way round.

    Args:
        answer: pictures (n, 3, H, H) -> (n,).  start, end: (n, 3, H, H).  maps: (n, H, H).

    Returns:
        (n, F): the answer at each fraction of the pixels replaced.
    """
    n, pixels = len(start), maps[0].numel()
    rank = maps.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    values = []
    for fraction in fractions:
        replaced = (rank < round(fraction * pixels)).view(n, 1, *maps.shape[1:])
        values.append(answer(torch.where(replaced, end, start)))
    return torch.stack(values, 1)


def area_under(curves: np.ndarray, fractions=FRACTIONS) -> np.ndarray:
    """Mean height of curves (..., F), by trapezoids: in [0, 1] for probabilities."""
    return trapezoid(curves, fractions, axis=-1) / (fractions[-1] - fractions[0])
