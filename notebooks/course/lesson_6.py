"""Lesson 6, contrastive losses: faces on a circle, small networks, the six supervisors, and the checks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from aubench.inspection.playground import open_run
from aubench.inspection.swaps import alignment_of
from aubench.report import results
from aubench.report.run_values import curves_of
from aulib.batches import centre_crop
from aulib.contrastive import info_nce
from aulib.run import Run
from aulib.supervisors import SUPERVISORS
from exercises import Verdict, exercise, hint_for, number, right, wrong

LOSSES = ("InfoNCE", "pull only")
STEP = 0.1  # radians that a point moves in one step per nat a radian
FARTHEST = 0.2  # radians that a point moves in one step at most
FACES = 60  # of a batch of the small networks
BATCHES = 100  # of unseen faces: InfoNCE of one varies more than the networks differ
NEAREST, STILL_PULLS = 0.9, 0.05  # exercise 3: share of the push, and of the anchor still in doubt
SYMBOLS = {
    "rich": "F", "rich2": r"\hat F", "shape": "S", "shape2": r"\tilde S", "texture": "Z",
    "texture2": r"\tilde Z", "swapped": r"\tilde F", "self": r"F'",
}  # fmt: skip


# faces on a circle: one angle per view


@dataclass(frozen=True)
class Pulled:
    """What a loss says about points on a circle.

    loss: nats; for "pull only" 1 - cosine.
    pull_first, pull_second: (N,) minus the gradient, per radian; positive is counter-clockwise.
    taken_for: (N, N) probability that the first view of face i is matched with the second view of face j.
    """

    loss: float
    pull_first: np.ndarray
    pull_second: np.ndarray
    taken_for: np.ndarray


def loss_of(name: str, first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """One of LOSSES for two views, (N, D) of length 1 each."""
    if name == "InfoNCE":
        return info_nce(first, second, temperature=temperature)
    return (1 - (first * second).sum(-1)).mean()


def pulled(first, second, temperature: float = 0.1, loss: str = "InfoNCE") -> Pulled:
    """Loss and pull for N faces whose first and second views are at these angles (degrees)."""
    degrees = (torch.tensor(np.asarray(view, float)) for view in (first, second))
    angles = [view.deg2rad().requires_grad_() for view in degrees]
    views = [torch.stack([view.cos(), view.sin()], -1) for view in angles]
    total = loss_of(loss, *views, temperature)
    total.backward()
    taken_for = F.softmax(views[0] @ views[1].T / temperature, -1).detach().numpy()
    return Pulled(total.item(), *(-view.grad.numpy() for view in angles), taken_for)


def moved(
    first, second, temperature: float = 0.1, loss: str = "InfoNCE", steps: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The points (degrees, 0 to 360) after some steps along their pulls."""
    first, second = np.array(first, float), np.array(second, float)
    for _ in range(steps):
        now = pulled(first, second, temperature, loss)
        for view, pull in ((first, now.pull_first), (second, now.pull_second)):
            view += np.rad2deg(np.clip(STEP * len(view) * pull, -FARTHEST, FARTHEST))
    return first % 360, second % 360


# small networks on the circle


@dataclass(frozen=True)
class SmallEncoder:
    """Where a small network puts unseen faces, some batches of them.

    first, second: (N, 2) of length 1.  present: (N,) bool.  batch: faces that InfoNCE compares.
    """

    first: np.ndarray
    second: np.ndarray
    present: np.ndarray
    batch: int = FACES

    @property
    def spread(self) -> float:
        """1 minus the length of the mean: 0 if all faces are one point, near 1 if they fill the circle."""
        return float(1 - np.linalg.norm(self.first.mean(0)))

    @property
    def nats(self) -> float:
        """InfoNCE, the mean over the batches; log `batch` is guessing."""
        views = zip(
            *(torch.tensor(view).split(self.batch) for view in (self.first, self.second)), strict=True
        )
        return float(np.mean([float(info_nce(first, second)) for first, second in views]))


def lowest_nats(count: int = FACES) -> float:
    """InfoNCE of `count` faces at even distances on the circle, both views of each at one place."""
    evenly = np.arange(count) * 360 / count
    return pulled(evenly, evenly).loss


def small_faces(count: int, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Invented faces of 8 numbers: two views (N, 8) that differ by noise, and whether an AU occurs (N,)."""
    faces = torch.randn(count, 8, generator=generator)
    views = [faces + noise * torch.randn(count, 8, generator=generator) for _ in range(2)]
    return *views, (faces[:, 0] > 0).float()


def train_small_encoder(
    loss: str | None,
    task: bool = False,
    seed: int = 0,
    steps: int = 400,
    count: int = FACES,
    noise: float = 0.1,
) -> SmallEncoder:
    """A network from 8 numbers to the circle, trained on two views of invented faces.

    Args:
        loss: one of LOSSES, or None for no training.
        task: a linear layer must also read from the circle whether the AU is present.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2))
        reader = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam([*network.parameters(), *reader.parameters()], lr=0.02)
    for _ in range(steps if loss else 0):
        *views, present = small_faces(count, noise, generator)
        first, second = (F.normalize(network(view), dim=-1) for view in views)
        total = loss_of(loss, first, second)
        if task:
            total = total + F.binary_cross_entropy_with_logits(reader(first)[:, 0], present)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    unseen = torch.Generator().manual_seed(seed + 1_000_003)
    *views, present = small_faces(BATCHES * count, noise, unseen)
    with torch.no_grad():
        first, second = (F.normalize(network(view), dim=-1).numpy() for view in views)
    return SmallEncoder(first, second, present.numpy().astype(bool), count)


def small_encoders(seed: int) -> dict[str, SmallEncoder]:
    """The four networks of the lesson."""
    return {
        "not trained": train_small_encoder(None, seed=seed),
        "pull only": train_small_encoder("pull only", seed=seed),
        "pull only, and a task": train_small_encoder("pull only", task=True, seed=seed),
        "InfoNCE": train_small_encoder("InfoNCE", seed=seed),
    }


# the six supervisors


def symbol(output: str) -> str:
    """The LaTeX symbol of a model output, such as "shape2_s"."""
    name, _, domain = output.rpartition("_")
    return f"${SYMBOLS[name]}^{domain}$"


def table_of_supervisors() -> str:
    """SUPERVISORS as a Markdown table: pair and rivals of each."""
    lines = ["| supervisor | pulled together | pushed away, of the same face |", "|---|---|---|"]
    for name, one in SUPERVISORS.items():
        rivals = ", ".join(map(symbol, one.rivals))
        lines.append(f"| `{name}` | {symbol(one.first)} and {symbol(one.second)} | {rivals} |")
    return "\n".join(lines)


def rounds_of(run: str | Path, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the supervisors of a run did: (curves, alignment), the tables of `lesson_6_circle.draw_six`.

    Args:
        count: the alignment is the mean over at most so many pairs of kept test faces.
    """
    chance = results.chance_of_supervisors(Run(run).settings)
    rows = curves_of(Run(run).history, list(chance))
    curves = pd.DataFrame(rows, columns=["supervisor", "step", "value"])
    curves["chance"] = curves["supervisor"].map(chance)
    opened = open_run(run)
    crops = [Run(run).samples(domain).images[:count] for domain in ("source", "target")]
    pairs = min(map(len, crops))
    crops = np.concatenate([some[:pairs] for some in crops])
    pictures, _ = centre_crop(crops, np.zeros((len(crops), 1, 2)), opened.model.config.image_size)
    with torch.inference_mode():
        alignment = alignment_of(opened, opened.model(pictures, pairs, separate=True))
    return curves, alignment


# checks of the exercises


@exercise("a number in nats, such as 1.5")
def check_collapsed_loss(answer, faces: int) -> Verdict:
    """InfoNCE of `faces` faces whose views are all at one point."""
    given, truth = number(answer), pulled(np.zeros(faces), np.zeros(faces)).loss
    if abs(given - truth) < 0.01:
        return right(f"log {faces} = {truth:.3f} nats at every temperature: collapse is as bad as guessing.")
    mistakes = (
        (0, "That is what *pull only* says. InfoNCE also compares with the other faces."),
        (np.log2(faces), "That is in bits; use the natural logarithm."),
        (np.log10(faces), "That is the logarithm to base 10; use the natural one."),
        (np.log(faces - 1), "The face's own second view is a candidate as well: count it."),
        (1 / faces, "That is the probability of the own view. The loss is minus its logarithm."),
        (-truth, "The loss is *minus* the logarithm of a probability, so it is not below zero."),
        (faces, "That is the number of candidates. What is -log of one chance in so many?"),
    )
    return hint_for(given, mistakes, "All candidates look alike: how probable is the own one? Take -log.")


@exercise("a list of 4 angles in degrees, such as [0, 10, 20, 30]")
def check_spread(answer, temperature: float) -> Verdict:
    """Four angles, both views of a face at each, with nearly the lowest possible InfoNCE."""
    angles = np.asarray(answer, float)
    if angles.shape != (4,):
        return wrong(f"Expected 4 angles, one per face; found shape {angles.shape}.")
    if not np.isfinite(angles).all():
        return wrong("An angle is not a finite number.")
    loss, best = (pulled(views, views, temperature).loss for views in (angles, [0, 90, 180, 270]))
    if loss < 1.15 * best + 1e-9:
        return right(f"The loss is {loss:.3f}: own views together, rivals as far away as the circle allows.")
    if np.ptp(angles) > 1 and np.abs(angles).max() < 2 * np.pi + 0.01:
        return wrong(f"All angles lie within {np.ptp(angles):.1f}°. Are these radians? Use degrees.")
    apart = np.abs((angles[:, None] - angles + 180) % 360 - 180)
    if apart.max() < 1:
        return wrong(f"Everything at one point is guessing, loss {loss:.2f}: own views are not enough.")
    apart[np.tril_indices(4)] = np.inf
    one, other = np.unravel_index(apart.argmin(), apart.shape)
    return wrong(f"Faces {one + 1} and {other + 1} are only {apart[one, other]:.0f}° apart: {loss:.3f} nats.")


@exercise("a temperature above 0, such as 1.5")
def check_temperature(answer, anchor: float, own: float, rivals: list[float]) -> Verdict:
    """A temperature at which the nearest rival has nearly the whole push, and there is still a push."""
    temperature = number(answer)
    if not (np.isfinite(temperature) and temperature > 0):
        return wrong("A temperature is above zero: cosines are divided by it.")
    cosines = torch.tensor(np.cos(np.deg2rad(np.array([own, *rivals]) - anchor))) / temperature
    nearest, certain = float(F.softmax(cosines[1:], 0).max()), float(F.softmax(cosines, 0)[0])
    if nearest < NEAREST:
        return wrong(f"The nearest rival has {nearest:.0%} of the push: too hot, far rivals still count.")
    if 1 - certain < STILL_PULLS:
        return wrong(f"The anchor is matched with its own view at {certain:.0%}: too cold, no push is left.")
    return right(f"The nearest rival has {nearest:.0%} of the push. Temperature decides who is a rival.")


@exercise("a number in nats, such as 1.5")
def check_pooled_shape(answer, faces: int, rivals: int) -> Verdict:
    """The loss of a shape supervisor whose projector reads only the mean of each landmark map."""
    given, truth = number(answer), np.log(faces + rivals)
    if abs(given - truth) < 0.01:
        return right(f"The mean of a map that sums to 1 is constant: {faces + rivals} equal candidates.")
    mistakes = (
        (np.log(faces), f"Close: {rivals} rival of the same face is a candidate too."),
        (0, "Agreement is perfect, but InfoNCE also compares with the other faces."),
        (np.log(2 * faces), "A rival belongs to the anchor's own face; those of other faces do not count."),
        (np.log2(faces + rivals), "That is in bits; use the natural logarithm."),
    )
    return hint_for(given, mistakes, "What is the mean of a map that sums to 1? Count equal candidates.")
