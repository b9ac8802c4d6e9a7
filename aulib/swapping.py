"""Shapes exchanged between faces, and back: what texture and shape each keep, as features and as numbers."""

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


def what_follows(grid: Tensor, points: Tensor, probability: Tensor) -> dict[str, float]:
    """Numbers of a square grid whose texture face i and shape face i are the same.

    Args:
        grid, points, probability: as `grid_of` and `read_grid` give them, T == N == n, n at least 2.

    Returns:
        `moves_with_shape`, `moves_with_texture`: mean change of G when only that is exchanged, in standard
        deviations of G.  `nme_to_shape`, `nme_to_texture`: the landmarks read from an exchanged feature
        against those read from either parent, over the inter-ocular distance.  `au_of_shape`,
        `au_of_texture`: mean difference of AU probabilities from either parent. What is carried by the
        shape has the smaller number there.
    """
    n = len(grid)
    others = ~torch.eye(n, dtype=torch.bool)
    own = torch.arange(n)
    by_shape = (
        (grid - grid[own, own][:, None]).abs().flatten(2).mean(-1)[others].mean()
    )  # same texture, row i
    by_texture = (
        (grid - grid[own, own][None]).abs().flatten(2).mean(-1)[others].mean()
    )  # same shape, column j
    parents, chance = points[own, own], probability[own, own]
    shape_parent, texture_parent = (
        parents[None].expand_as(points)[others],
        parents[:, None].expand_as(points)[others],
    )
    return {
        "moves_with_shape": float(by_shape / grid.std()),
        "moves_with_texture": float(by_texture / grid.std()),
        "nme_to_shape": float(landmark_nme(points[others].numpy(), shape_parent.numpy()).mean()),
        "nme_to_texture": float(landmark_nme(points[others].numpy(), texture_parent.numpy()).mean()),
        "au_of_shape": float((probability - chance[None]).abs()[others].mean()),
        "au_of_texture": float((probability - chance[:, None]).abs()[others].mean()),
    }
