"""A handful of faces as points on a circle: what a loss makes of two views of each, and where it pulls them.

Two numbers a face instead of thousands, so that everything can be seen. The loss is the library's own
`supervisors.info_nce`; beside it stands a loss that only pulls.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aulib.contrastive import info_nce

LOSSES = ("InfoNCE", "pull only")
STEP = 0.1  # radians that a pull of one nat a radian moves a point in one step
FARTHEST = 0.2  # radians that a point moves in one step at most


@dataclass(frozen=True)
class Pulled:
    """What a loss says about points on a circle.

    loss: nats; for "pull only" 1 - cosine.
    pull_first, pull_second: (N,) minus the gradient, a radian; above 0 is counter-clockwise.
    taken_for: (N, N) how much the first view of face i takes the second view of face j for its own; rows sum
        to 1.
    """

    loss: float
    pull_first: np.ndarray
    pull_second: np.ndarray
    taken_for: np.ndarray


def on_circle(angles: Tensor) -> Tensor:
    """(N,) radians -> (N, 2) of length 1."""
    return torch.stack([angles.cos(), angles.sin()], -1)


def loss_of(name: str, first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """One of LOSSES of two views, (N, D) of length 1 each.

    Raises:
        ValueError: no such loss.
    """
    if name not in LOSSES:
        raise ValueError(f"loss {name!r} is none of {', '.join(LOSSES)}")
    if name == "InfoNCE":
        return info_nce(first, second, temperature=temperature)
    return (1 - (first * second).sum(-1)).mean()


def pulled(first, second, temperature: float = 0.1, loss: str = "InfoNCE") -> Pulled:
    """Loss and pull of N faces, their first and second views at these angles (degrees)."""
    degrees = (torch.tensor(np.asarray(view, float)) for view in (first, second))
    angles = [view.deg2rad().requires_grad_() for view in degrees]
    views = [on_circle(view) for view in angles]
    total = loss_of(loss, *views, temperature)
    total.backward()
    taken_for = F.softmax(views[0] @ views[1].T / temperature, -1).detach().numpy()
    return Pulled(total.item(), *(-view.grad.numpy() for view in angles), taken_for)


def moved(
    first, second, temperature: float = 0.1, loss: str = "InfoNCE", steps: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Where the points are (degrees, 0 to 360) after so many steps along their pulls."""
    first, second = np.array(first, float), np.array(second, float)
    for _ in range(steps):
        now = pulled(first, second, temperature, loss)
        for view, pull in ((first, now.pull_first), (second, now.pull_second)):
            view += np.rad2deg(np.clip(STEP * len(view) * pull, -FARTHEST, FARTHEST))
    return first % 360, second % 360


def share_of_push(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """(N,) soft-max of an anchor's cosines with its candidates: how much it is taken for each."""
    scaled = np.asarray(cosines, float) / temperature
    weight = np.exp(scaled - scaled.max())
    return weight / weight.sum()


@dataclass(frozen=True)
class SmallEncoder:
    """Where a small trained network puts faces it has not seen. first, second: (N, 2) of length 1."""

    first: np.ndarray
    second: np.ndarray
    present: np.ndarray

    @property
    def spread(self) -> float:
        """1 minus the length of the mean: 0 where all faces are one point, near 1 all around the circle."""
        return float(1 - np.linalg.norm(self.first.mean(0)))

    @property
    def nats(self) -> float:
        """InfoNCE of these faces: how well one is told from the others; log N is guessing."""
        return float(info_nce(torch.tensor(self.first), torch.tensor(self.second)))


def small_faces(number: int, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Invented faces as 8 numbers: two views (N, 8) that differ by noise, and whether an AU occurs (N,)."""
    faces = torch.randn(number, 8, generator=generator)
    views = [faces + noise * torch.randn(number, 8, generator=generator) for _ in range(2)]
    return *views, (faces[:, 0] > 0).float()


def train_small_encoder(
    loss: str | None,
    task: bool = False,
    seed: int = 0,
    steps: int = 400,
    number: int = 60,
    noise: float = 0.1,
) -> SmallEncoder:
    """A small network from 8 numbers to the circle, trained by a loss on two views; judged on other faces.

    Args:
        loss: one of LOSSES, or None for no training.
        task: it must also let a linear layer read whether the AU is present.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2))
        reader = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam([*network.parameters(), *reader.parameters()], lr=0.02)
    for _ in range(steps if loss else 0):
        *views, present = small_faces(number, noise, generator)
        first, second = (F.normalize(network(view), dim=-1) for view in views)
        total = loss_of(loss, first, second)
        if task:
            total = total + F.binary_cross_entropy_with_logits(reader(first)[:, 0], present)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    *views, present = small_faces(number, noise, torch.Generator().manual_seed(seed + 1_000_003))
    with torch.no_grad():
        first, second = (F.normalize(network(view), dim=-1).numpy() for view in views)
    return SmallEncoder(first, second, present.numpy().astype(bool))
