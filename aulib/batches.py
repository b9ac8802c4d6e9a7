"""Batches of paired domains, and augmentation that moves picture and landmarks together.

A batch is a function of (seed, step), so a resumed run gets the batches of an uninterrupted one.
torchvision's v2 transforms draw one set of parameters per call; here each face has its own, and the warp is
one `grid_sample` over the batch.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aulib import distributed
from aulib.images import LUMINANCE, luminance
from aulib.landmarks import layout_of, move_to_au_centres, to_49

if TYPE_CHECKING:
    from aulib.crops import Crops
    from aulib.dataset import DatasetFolder
    from aulib.model import ModelConfig


@dataclass(frozen=True)
class Faces:
    """Crops of one domain's split.

    images: (N, S, S, 3) uint8 RGB of the whole set, possibly memory-mapped.
    rows: (M,) the rows of the split.
    landmarks: (N, K, 2) pixels of the S crop.
    occurrence: (N, A) in {0, 1}, NaN unknown; None for the unlabelled domain.
    """

    images: np.ndarray
    rows: np.ndarray
    landmarks: np.ndarray
    occurrence: np.ndarray | None

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Short hash of rows, landmarks and labels, and of the shape of the pictures."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        for array in (self.rows, self.landmarks, self.occurrence):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def without_labels(self) -> "Faces":
        """The same faces without AU labels."""
        return Faces(self.images, self.rows, self.landmarks, None)


def faces_of(data: "DatasetFolder", crops: "Crops", split: str, config: "ModelConfig") -> Faces:
    """One split of a cropped set, with the model's landmarks and AUs (NaN for AUs the set does not label)."""
    occurrence = np.full((len(data), len(config.aus)), np.nan, dtype=np.float32)
    labels = data.occurrence if data.aus else occurrence
    for index, au in enumerate(config.aus):
        if au in data.aus:
            occurrence[:, index] = labels[:, data.aus.index(au)]
    landmarks = with_landmarks(crops.landmarks, config.num_landmarks, config.au_centres)
    return Faces(crops.images, data.rows(split), landmarks, occurrence)


def with_landmarks(landmarks: np.ndarray, num_landmarks: int, au_centres: bool) -> np.ndarray:
    """(N, 68 or 49, 2) -> (N, num_landmarks, 2), moved to AU centres if asked [A].

    Raises:
        ValueError: 68 of 49 points.
    """
    if landmarks.shape[1] != num_landmarks:
        if num_landmarks != 49:
            raise ValueError(f"the set has {landmarks.shape[1]} landmarks, the model needs {num_landmarks}")
        landmarks = to_49(landmarks)
    return move_to_au_centres(landmarks) if au_centres else landmarks


def batch_rows(num_faces: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Which faces make batch `step`: every face once per epoch, in an order drawn from (seed, epoch).

    A batch may cross the end of an epoch, so every batch is full, even if the set is smaller than a batch.
    """
    first = step * batch_size
    positions = np.arange(first, first + batch_size)
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(positions // num_faces):
        here = positions // num_faces == epoch
        rows[here] = _order(num_faces, seed, int(epoch))[positions[here] % num_faces]
    return rows


@lru_cache(maxsize=4)  # two domains at the end of an epoch; shuffling 200,000 faces takes long
def _order(num_faces: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_faces)


def take_batch(
    faces: Faces, image_size: int, batch_size: int, seed: int, step: int, augment: str, grey: bool = False
) -> dict[str, Tensor]:
    """This process's share of batch `step` of a domain, augmented.

    Args:
        grey: luminance only, for a network that reads nothing else: a third of the work.

    Returns:
        image (B, 3, H, H) in [0, 1], (B, 1, H, H) if grey; landmarks (B, K, 2) pixels of it; occurrence
        (B, A), a key that is absent when the domain is unlabelled.
    """
    draws = Draws((seed, step), batch_size)
    rows = faces.rows[batch_rows(len(faces), batch_size, seed, step)][draws.share]
    pixels = torch.from_numpy(faces.images[rows]).permute(0, 3, 1, 2)
    image = (luminance(pixels) if grey else pixels.float()).div_(255)
    landmarks = torch.from_numpy(faces.landmarks[rows]).float()
    image, landmarks = warp(image, landmarks, image_size, augment, draws)
    if augment == "slight":
        image = change_light(image, draws)
    batch = {"image": image, "landmarks": landmarks}
    if faces.occurrence is not None:
        batch["occurrence"] = torch.from_numpy(faces.occurrence[rows]).float()
    return batch


def centre_crop(images: np.ndarray, landmarks: np.ndarray, image_size: int) -> tuple[Tensor, Tensor]:
    """The test-time crop: (B, S, S, 3) uint8 -> (B, 3, H, H) in [0, 1], with its landmarks."""
    offset = (images.shape[1] - image_size) // 2
    cut = images[:, offset : offset + image_size, offset : offset + image_size]
    image = torch.from_numpy(np.ascontiguousarray(cut)).permute(0, 3, 1, 2).float().div_(255)
    return image, torch.from_numpy(landmarks).float() - offset


def centre_crops(faces: Faces, image_size: int, batch_size: int) -> Iterator[Tensor]:
    """The test-time crops of a split in batches, (B, 3, H, H) each."""
    for first in range(0, len(faces), batch_size):
        rows = faces.rows[first : first + batch_size]
        yield centre_crop(faces.images[rows], faces.landmarks[rows], image_size)[0]


class Draws:
    """Random numbers, a function of `key`, for every face of a batch; a process takes its share of them."""

    def __init__(self, key: tuple[int, ...], batch: int):
        self.generator = torch.Generator().manual_seed(hash(key) % 2**63)
        self.batch, self.share = batch, distributed.share_of(batch)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """As many of `shape` as the share has faces, from `low` to `high`."""
        return low + (high - low) * torch.rand(self.batch, *shape, generator=self.generator)[self.share]

    def normal(self, *shape: int) -> Tensor:
        """The same, of mean 0 and variance 1."""
        return torch.randn(self.batch, *shape, generator=self.generator)[self.share]


def warp(
    image: Tensor, landmarks: Tensor, image_size: int, augment: str, draws: Draws
) -> tuple[Tensor, Tensor]:
    """A crop of `image_size` per face: shifted and mirrored, and turned and scaled if augment is "slight".

    Args:
        image: (B, 3 or 1, S, S); landmarks: (B, K, 2) pixels of it, NaN kept.
        augment: "none" (centre crop), "crop-flip" (ADLD's: uniform shift within the margin, mirror with
            probability 1/2) or "slight" (shift at most 3 pixels, rotate up to 4 degrees, scale 0.95 to 1.05,
            mirror [C]).

    Raises:
        ValueError: unknown `augment`.
    """
    if augment not in ("none", "crop-flip", "slight"):
        raise ValueError(f"unknown augment {augment!r}; choose none, crop-flip or slight")
    size = image.shape[-1]
    batch = len(image)
    margin = (size - image_size) / 2 if augment == "crop-flip" else min(3.0, (size - image_size) / 2)
    angle, scale, mirror = torch.zeros(batch), torch.ones(batch), torch.zeros(batch, dtype=torch.bool)
    shift = torch.zeros(batch, 2)
    if augment != "none":
        shift = torch.stack([draws.uniform(-margin, margin), draws.uniform(-margin, margin)], 1)
        if augment == "crop-flip":
            shift = (shift + margin).round() - margin  # whole pixels, as ADLD crops
        mirror = draws.uniform(0, 1) < 0.5
    if augment == "slight":
        angle, scale = draws.uniform(-0.07, 0.07), draws.uniform(0.95, 1.05)
    # output pixel p -> input pixel: centre + shift + R(angle) (p - output centre) / scale, x mirrored first
    sign = torch.where(mirror, -1.0, 1.0)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    linear = torch.stack([cos * sign, -sin, sin * sign, cos], 1).view(batch, 2, 2)
    middle = (size - 1) / 2
    theta = torch.cat([linear * (image_size / size), (shift * 2 / size)[..., None]], 2)
    grid = affine_grid(theta, image_size)
    warped = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)

    back = torch.linalg.inv(linear)  # input -> output
    moved = torch.einsum("bij,bkj->bki", back, landmarks - middle - shift[:, None]) + (image_size - 1) / 2
    flip = list(layout_of(landmarks.shape[1]).flip_index)
    return warped, torch.where(mirror[:, None, None], moved[:, flip], moved)


def affine_grid(theta: Tensor, size: int) -> Tensor:
    """`F.affine_grid` of (B, 2, 3) for square pictures, as sums of a row and a column: (B, size, size, 2).

    PyTorch's multiplies matrices with two columns, which is slow on a CPU.
    """
    centres = (2 * torch.arange(size) + 1) / size - 1
    of_x, of_y, shift = theta[:, None, None].unbind(-1)  # (B, 1, 1, 2) each
    return of_x * centres[:, None] + (of_y * centres[:, None, None] + shift)


def disturb(image: Tensor, draws: Draws) -> Tensor:
    """The strong augmentation of a mean teacher's student: smooth light, blur, noise and a grey box [C].

    Drawn per face; nothing moves, so landmarks and AUs stay.  Shapes: (B, 3 or 1, H, H) in [0, 1].
    """
    size, face = image.shape[-1], (1, 1, 1)
    light = F.interpolate(draws.uniform(-0.3, 0.3, 1, 3, 3), size=(size, size), mode="bicubic")
    blurred = F.avg_pool2d(image, 5, stride=1, padding=2, count_include_pad=False)
    image = torch.lerp(image, blurred, draws.uniform(0, 1, *face)) * light.exp()
    image = (image + draws.normal(*image.shape[1:]) * draws.uniform(0, 0.04, *face)).clamp(0, 1)
    cells = (torch.arange(size) + 0.5) / size
    inside_x = (cells - draws.uniform(0, 1, *face)).abs() < draws.uniform(0.05, 0.2, *face)
    inside_y = (cells[:, None] - draws.uniform(0, 1, *face)).abs() < draws.uniform(0.05, 0.2, *face)
    return torch.where(inside_x & inside_y, draws.uniform(0, 1, *face), image)


def change_light(image: Tensor, draws: Draws) -> Tensor:
    """Gamma, contrast, a light gradient and noise, drawn per face: (B, 3 or 1, H, H) in [0, 1] [C].

    Noise of a grey picture is as strong as the luminance of three colours' noise.
    """
    face = (1, 1, 1)
    # in place: on a CPU, allocating a batch costs more than the arithmetic
    image = image.clamp(1e-3, 1).pow_(torch.exp(draws.uniform(-0.3, 0.3, *face)))
    image.sub_(0.5).mul_(draws.uniform(0.7, 1.2, *face)).add_(0.5)
    ramp = torch.linspace(-1, 1, image.shape[-1])
    angle = draws.uniform(0, 2 * torch.pi, *face)
    slant = ramp.view(1, 1, 1, -1) * angle.cos() + ramp.view(1, 1, -1, 1) * angle.sin()
    image.mul_((slant * draws.uniform(0, 0.4, *face)).add_(1))
    strength = draws.uniform(0, 0.02, *face)
    if image.shape[1] == 1:
        strength = strength * torch.tensor(LUMINANCE).norm()
    return image.add_(draws.normal(*image.shape[1:]).mul_(strength)).clamp_(0, 1)
