"""Whether a map looks at the right place: against regions, against chance, and by taking pixels away."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter
from torch import Tensor

from aubench.inspection.attention_maps import enlarged

FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
BLUR = 10.0  # pixels at 112: what is left of a face then shows no AU


def mass_inside(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Share of a map's positive mass that lies within a region.

    Args:
        maps: (..., H, W).  regions: (..., H, W) bool, or weights in [0, 1].

    Returns:
        (...) in [0, 1]; NaN for a map that is nowhere positive. A map that ignores the picture gets the
        region's share of the area on average: that is chance.
    """
    positive = np.clip(maps, 0, None)
    total = positive.sum((-2, -1))
    inside = (positive * regions).sum((-2, -1))
    return np.divide(inside, total, out=np.full(np.shape(inside), np.nan), where=total > 0)


def best_mass(regions: np.ndarray, cells: int) -> np.ndarray:
    """The largest share that a map of `cells` x `cells` cells, enlarged bilinearly, could have inside.

    The share is a mean over cells of the shares of maps of one cell, so the best map is one of those.

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
    """(count, size, size): maps as coarse as a branch's, of noise. The chance line of the curves."""
    noise = torch.rand(count, 1, cells, cells, generator=torch.Generator().manual_seed(seed))
    return enlarged(noise, size)[:, 0]


def blurred(pictures: Tensor) -> Tensor:
    """What replaces a pixel that is taken away: the face, so blurred that no AU is left in it."""
    sigma = BLUR * pictures.shape[-1] / 112
    return torch.from_numpy(gaussian_filter(pictures.numpy(), (0, 0, sigma, sigma), mode="nearest"))


def curve(
    answer: Callable[[Tensor], Tensor], start: Tensor, end: Tensor, maps: Tensor, fractions=FRACTIONS
) -> Tensor:
    """The answer while pixels of `start` become those of `end`, the map's highest first (Petsiuk 2018).

    Deletion: start is the face and end a blurred one; the sooner the answer falls, the better the map says
    what the answer rests on. Insertion: the other way round.

    Args:
        answer: pictures (n, 3, H, H) -> (n,).  start, end: (n, 3, H, H).  maps: (n, H, H).

    Returns:
        (n, F): the answer at each fraction of the pixels replaced.
    """
    n, pixels = len(start), maps[0].numel()
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(pixels).expand(n, -1))
    values = []
    for fraction in fractions:
        replaced = (rank < round(fraction * pixels)).view(n, 1, *maps.shape[1:])
        values.append(answer(torch.where(replaced, end, start)))
    return torch.stack(values, 1)


def area_under(curves: np.ndarray, fractions=FRACTIONS) -> np.ndarray:
    """Mean height of curves (..., F), by trapezoids: in [0, 1] for probabilities."""
    return trapezoid(curves, fractions, axis=-1) / (fractions[-1] - fractions[0])
