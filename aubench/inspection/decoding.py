"""A decoder fitted to a finished run, to look at what its features hold: features -> a colour picture.

The run itself is not changed: the decoder learns afterwards, from the features that the frozen encoder
makes of training faces, and lies beside the weights as `decoder.safetensors`. What a picture shows comes
from two places, and `FaceDecoder` keeps them apart:

- from the features: every edge, hence pose, shape and expression;
- from the side (`Side`), because a network that reads standardised luminance was never shown it: the mean
  and the spread of the face's luminance, and its colour on a grid of 7 x 7 cells, 16 pixels wide at 112
  pixels.

It learns from features of faces as they are (F and the self-reconstruction), never from exchanged ones.
Detail that a feature has lost is not returned: at best it is replaced by what is usual there.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from aulib.batches import Faces, take_batch
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import read_dataset
from aulib.images import LUMINANCE, luminance
from aulib.model import AUModel
from aulib.networks import ConvBlock
from aulib.run import WEIGHTS, load_run

DECODER = "decoder.safetensors"
ABOUT = "decoder.json"
STEPS, BATCH, PEAK_RATE = 300, 16, 4e-3
CELLS = 7  # the side's colour is known on CELLS x CELLS cells
EDGE_WEIGHT = 1.0  # of the difference of gradients beside the difference of values


@dataclass(frozen=True)
class Side:
    """What a decoder is told of a face beside its features.

    mean, spread: (B, 1, 1, 1) of its luminance, in [0, 1].  colour: (B, 2, CELLS, CELLS), blue and red minus
    luminance, the mean of each cell.
    """

    mean: Tensor
    spread: Tensor
    colour: Tensor

    def __getitem__(self, rows) -> "Side":
        return Side(self.mean[rows], self.spread[rows], self.colour[rows])


def side_of(pictures: Tensor) -> Side:
    """(B, 3, H, W) RGB in [0, 1] -> what the features of a face leave out."""
    split = split_colour(pictures)
    mean = split[:, :1].mean((2, 3), keepdim=True)
    spread = split[:, :1].std((2, 3), keepdim=True).clamp(min=0.02)  # as AUModel.standardise
    return Side(mean, spread, F.adaptive_avg_pool2d(split[:, 1:], CELLS))


def split_colour(pictures: Tensor) -> Tensor:
    """RGB (B, 3, H, W) -> luminance, blue - luminance, red - luminance."""
    grey = luminance(pictures)[:, 0]
    return torch.stack([grey, pictures[:, 2] - grey, pictures[:, 0] - grey], 1)


def join_colour(split: Tensor) -> Tensor:
    """The inverse of `split_colour`."""
    grey, blue, red = split[:, 0], split[:, 1] + split[:, 0], split[:, 2] + split[:, 0]
    green = (grey - LUMINANCE[0] * red - LUMINANCE[2] * blue) / LUMINANCE[1]
    return torch.stack([red, green, blue], 1)


class FaceDecoder(nn.Module):
    """Features and side -> RGB.

    Shapes: features (B, C, h, w), side of B faces -> (B, 3, 4h, 4w), in [0, 1] after a clamp.
    """

    def __init__(self, channels: int, width: int = 64):
        super().__init__()
        self.width = width
        self.coarse = nn.Sequential(ConvBlock(channels + 2, width), ConvBlock(width, width))  # h x w
        self.middle = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.PixelShuffle(2), ConvBlock(width // 2, width // 2)
        )  # 2h x 2w
        self.fine = nn.Sequential(
            nn.Conv2d(width // 2, width, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1),
            nn.Conv2d(width // 4, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, features: Tensor, side: Side) -> Tensor:
        size = features.shape[-1]
        tint = F.interpolate(side.colour, (size, size), mode="bilinear", align_corners=False)
        drawn = self.fine(self.middle(self.coarse(torch.cat([features, 10 * tint], 1)))).float()
        colour = F.interpolate(side.colour, drawn.shape[-2:], mode="bilinear", align_corners=False)
        luminance = drawn[:, :1] * side.spread + side.mean
        return join_colour(torch.cat([luminance, colour + 0.1 * drawn[:, 1:]], 1))


def side_alone(side: Side, size: int) -> Tensor:
    """What the side would give without any feature: (B, 3, size, size), flat luminance, blurred tint."""
    colour = F.interpolate(side.colour, (size, size), mode="bilinear", align_corners=False)
    return join_colour(torch.cat([side.mean.expand(-1, -1, size, size), colour], 1)).clamp(0, 1)


def picture_loss(decoded: Tensor, pictures: Tensor) -> Tensor:
    """L1 of the values, and of the differences between neighbours, so that sharp edges pay [C]."""
    loss = (decoded - pictures).abs().mean()
    for axis in (2, 3):
        loss = loss + EDGE_WEIGHT * (decoded.diff(dim=axis) - pictures.diff(dim=axis)).abs().mean()
    return loss


def fit_decoder(
    run: str | Path,
    datasets: list[str] | None = None,
    steps: int = STEPS,
    seed: int = 0,
    progress: bool = True,
    told: Callable[[int], None] | None = None,
) -> FaceDecoder:
    """The decoder of a run: opened if it is there, else fitted and left in the run folder.

    It learns on the training split, half of each batch from F, half from the self-reconstruction G(S, Z)
    where the run has one; never from exchanged features, which no picture belongs to. The run's own weights
    stay as they are.

    Args:
        datasets: dataset folders or `synthetic:...`; by default what the run was trained on, source and
        target.
        told: called before every step with its number.

    Raises:
        FileNotFoundError: no finished run there, or its datasets are gone: give others.
        ValueError: a dataset without training split.
    """
    run = Path(run)
    model, settings = load_run(run)
    datasets = datasets or [settings["source"], settings["target"]]
    about = {
        "run": _digest(run / WEIGHTS),
        "datasets": list(map(str, datasets)),
        "steps": steps,
        "seed": seed,
    }
    if (known := about_decoder(run)) and {key: known.get(key) for key in about} == about:
        return load_decoder(run, model)
    faces = {name: _faces(name, model) for name in about["datasets"]}
    share, size = max(1, BATCH // len(faces)), model.config.image_size
    torch.manual_seed(seed)
    decoder = FaceDecoder(model.config.channels)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99))
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=max(steps, 2), pct_start=0.1)
    for step in tqdm(range(steps), "fitting the decoder", unit="step", disable=not progress):
        if told:
            told(step)
        parts = [
            take_batch(train, step=step, seed=seed, batch_size=share, image_size=size, augment="crop-flip")[
                "image"
            ]
            for train in faces.values()
        ]
        pictures = torch.cat(parts)
        loss = picture_loss(decoder(_features(model, pictures), side_of(pictures)), pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    decoder.eval()
    _publish(run, decoder, about)
    return decoder


def load_decoder(run: str | Path, model: AUModel) -> FaceDecoder:
    """The decoder that `fit_decoder` left in the run folder, in evaluation mode."""
    decoder = FaceDecoder(model.config.channels)
    decoder.load_state_dict(load_file(Path(run) / DECODER))
    return decoder.eval()


def about_decoder(run: str | Path) -> dict | None:
    """What a decoder was fitted to: digest of the weights, datasets, steps, seed. None if there is none."""
    about = Path(run) / ABOUT
    if not about.is_file() or not (Path(run) / DECODER).is_file():
        return None
    return json.loads(about.read_text(encoding="utf-8"))


@torch.no_grad()
def decode_faces(decoder: FaceDecoder, features: Tensor, side: Side) -> Tensor:
    """Features (n, C, h, w) as pictures (n, 3, 4h, 4w) in [0, 1], in the light and colour of `side`."""
    return decoder(features, side).clamp(0, 1)


def decode(model: AUModel, features: Tensor, faces: Tensor) -> np.ndarray:
    """R(features) for the eye: standardised values are given the mean and the spread of `faces` again.

    Args:
        features: (n, C, h, w).  faces: (n, 3, H, H) in [0, 1], the faces whose light they should be shown in.

    Returns:
        (n, H, H) grey if the model reads luminance, else (n, H, H, 3); in [0, 1].
    """
    seen = torch.from_numpy(shown_input(model, faces)).flatten(1)  # (n, pixels)
    mean, spread = seen.mean(1), seen.std(1).clamp(min=0.02)
    with torch.no_grad():
        pictures = model.decoder(features).float()
    pictures = (pictures * spread[:, None, None, None] + mean[:, None, None, None]).clamp(0, 1)
    return pictures[:, 0].numpy() if pictures.shape[1] == 1 else pictures.permute(0, 2, 3, 1).numpy()


def shown_input(model: AUModel, pictures: Tensor) -> np.ndarray:
    """What the network sees of (n, 3, H, H) pictures: (n, H, H) luminance or (n, H, H, 3), in [0, 1]."""
    if model.config.colour == "luminance":
        return luminance(pictures)[:, 0].numpy()
    return pictures.permute(0, 2, 3, 1).numpy()


@torch.no_grad()
def _features(model: AUModel, pictures: Tensor) -> Tensor:
    features = model.encoder(model.standardise(pictures))
    if model.config.separates:
        _, shape, texture = model.separate(features[::2])
        features[::2] = model.reconstruction(shape, texture)
    return features


def _faces(name: str, model: AUModel) -> Faces:
    data = read_dataset(name)
    rows = data.rows("train")
    if not len(rows):
        raise ValueError(f"{data.root} has no row of split 'train', so no decoder can be fitted to it")
    crops = crop_dataset(data, crop_of(model.config))
    return Faces(crops.images, rows, crops.landmarks, None)


def _publish(run: Path, decoder: FaceDecoder, about: dict) -> None:
    """Weights first, what they are last: a half-written pair is no decoder."""
    (run / ABOUT).unlink(missing_ok=True)
    partial = run / f".decoder-{uuid.uuid4().hex}"
    try:
        save_file({name: value.contiguous() for name, value in decoder.state_dict().items()}, partial)
        os.replace(partial, run / DECODER)
    finally:
        partial.unlink(missing_ok=True)
    partial.write_text(json.dumps(about, indent=2))
    os.replace(partial, run / ABOUT)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
