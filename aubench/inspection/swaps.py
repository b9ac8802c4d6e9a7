"""Shapes exchanged between faces, and back: what texture and shape each keep, as features and as numbers."""

import pandas as pd
import torch
from torch import Tensor

from aulib.metrics import landmark_nme
from aulib.model import AUModel, expected_cells


def refuse_without_separation(model: AUModel) -> None:
    if not model.config.separates or model.config.au_from_landmarks:
        raise ValueError("this run has no separation of shape and texture, so nothing can be exchanged")


@torch.no_grad()
def exchange(model: AUModel, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Both rounds on n pairs of faces, the features by name.

    Args:
        source, target: (n, 3, H, H) in [0, 1].

    Returns:
        for each domain d of "source", "target": `d.rich` F, `d.self` G of its own shape and texture,
        `d.swapped` its texture with the other's shape, `d.rich2` the second round, which should be F again;
        (n, C, h, w).

    Raises:
        ValueError: the run does not separate, or there are not as many sources as targets.
    """
    refuse_without_separation(model)
    if len(source) != len(target):
        raise ValueError(f"{len(source)} source and {len(target)} target faces cannot be exchanged pairwise")
    outputs = model(torch.cat([source, target]), len(source), separate=True)
    names = ("rich", "self", "swapped", "rich2")
    return {
        f"{domain}.{name}": outputs[f"{name}_{domain[0]}"]
        for domain in ("source", "target")
        for name in names
    }


@torch.no_grad()
def grid_of(model: AUModel, textures: Tensor, shapes: Tensor) -> Tensor:
    """G(S of each shape face, Z of each texture face): (T, 3, H, H), (N, 3, H, H) -> (T, N, C, h, w)."""
    refuse_without_separation(model)
    _, shape, _ = model.separate(model.encoder(model.standardise(shapes)))
    _, _, texture = model.separate(model.encoder(model.standardise(textures)))
    rows = [model.reconstruction(shape, one.expand(len(shape), -1, -1, -1)) for one in texture]
    return torch.stack(rows)


@torch.no_grad()
def read_grid(model: AUModel, grid: Tensor) -> tuple[Tensor, Tensor]:
    """What the model's own heads read from a grid: AU probability (T, N, A), points (T, N, K, 2) cells."""
    flat = grid.flatten(0, 1)
    probability = model.au_head(flat)[0].sigmoid()
    points = expected_cells(model.landmark_attention(model.landmark_head(flat)))
    return probability.unflatten(0, grid.shape[:2]), points.unflatten(0, grid.shape[:2])


def each_exchange(grid: Tensor, points: Tensor, probability: Tensor) -> pd.DataFrame:
    """What each exchange of a square grid changes, whose texture face i and shape face i are the same.

    Args:
        grid, points, probability: as `grid_of` and `read_grid` give them, T == N == n, n at least 2.

    Returns:
        a row for each pair of two faces: texture, shape, which of the n each is from;
        `moves_with_shape`, `moves_with_texture`: mean change of G when only that is exchanged, in standard
        deviations of G.  `nme_to_shape`, `nme_to_texture`: the landmarks read from the exchanged feature
        against those read from either parent, over the inter-ocular distance.  `au_of_shape`,
        `au_of_texture`: mean difference of AU probabilities from either parent. What is carried by the
        shape has the smaller number there.
    """
    texture, shape = (~torch.eye(len(grid), dtype=torch.bool)).nonzero(as_tuple=True)
    of = {"texture": texture, "shape": shape}
    crossed, read, said = (part[texture, shape] for part in (grid, points, probability))
    table = {name: places.numpy() for name, places in of.items()}
    for name, other in (("shape", "texture"), ("texture", "shape")):
        kept = grid[of[other], of[other]]  # what the other gave stays, `name` is exchanged
        table[f"moves_with_{name}"] = ((crossed - kept).abs().flatten(1).mean(1) / grid.std()).numpy()
    for name, parent in of.items():
        table[f"nme_to_{name}"] = landmark_nme(read.numpy(), points[parent, parent].numpy())
        table[f"au_of_{name}"] = (said - probability[parent, parent]).abs().mean(1).numpy()
    return pd.DataFrame(table)


def what_follows(grid: Tensor, points: Tensor, probability: Tensor) -> dict[str, float]:
    """The numbers of `each_exchange`, mean over the pairs."""
    return each_exchange(grid, points, probability).drop(columns=["texture", "shape"]).mean().to_dict()
