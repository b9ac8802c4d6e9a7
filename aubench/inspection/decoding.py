"""A decoder fitted to a finished run, to look at what its features hold: features -> a colour picture.

The decoder is fitted after training, to the features that the frozen encoder makes of training faces. The
run's weights do not change; the decoder is saved next to them as `decoder.safetensors`. A decoded picture
shows two things, which `FaceDecoder` keeps apart:

- the features: every edge, so pose, shape and expression;
- side information (`Side`), which a network that reads standardised luminance never sees: the mean and the
  spread of the face's luminance, and its colour on a grid of 7 x 7 cells (16 pixels wide at 112 pixels).

It is fitted to features of faces as they are (F and the self-reconstruction), never to exchanged ones. Where
a feature has lost a detail, the decoder draws what is usual there, or nothing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from aubench.inspection.attention import enlarged
from aubench.inspection.shown_faces import as_pictures, grey_pictures
from aulib.batches import Faces, take_batch
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import read_dataset
from aulib.files import atomic_file, read_json, reading, write_json
from aulib.images import LUMINANCE, luminance
from aulib.model import AUModel
from aulib.networks import ConvBlock
from aulib.run import WEIGHTS, Run

DECODER = "decoder.safetensors"
ABOUT = "decoder.json"
STEPS, BATCH, PEAK_RATE = 300, 16, 4e-3
CELLS = 7  # the side's colour is known on CELLS x CELLS cells
EDGE_WEIGHT = 1.0  # of the difference of gradients against the difference of values
LEAST_SPREAD = 0.02  # of a picture's luminance, as in AUModel.standardise


@dataclass(frozen=True)
class Side:
    """What a decoder is given of a face besides its features.

    mean, spread: (B, 1, 1, 1) of its luminance, in [0, 1].  colour: (B, 2, CELLS, CELLS), blue and red minus
    luminance, the mean of each cell.
    """

    mean: Tensor
    spread: Tensor
    colour: Tensor


def side_of(pictures: Tensor) -> Side:
    """(B, 3, H, W) RGB in [0, 1] -> what the features of a face leave out."""
    split = split_colour(pictures)
    mean = split[:, :1].mean((2, 3), keepdim=True)
    spread = split[:, :1].std((2, 3), keepdim=True).clamp(min=LEAST_SPREAD)
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
        self.coarse = nn.Sequential(ConvBlock(channels + 2, width), ConvBlock(width, width))  # h x w
        self.middle = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.PixelShuffle(2), ConvBlock(width // 2, width // 2)
        )  # 2h x 2w
        self.fine = nn.Sequential(
            nn.Conv2d(width // 2, width, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1),
            nn.Conv2d(width // 4, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, features: Tensor, side: Side) -> Tensor:
        tint = enlarged(side.colour, features.shape[-1])
        drawn = self.fine(self.middle(self.coarse(torch.cat([features, 10 * tint], 1)))).float()
        light = drawn[:, :1] * side.spread + side.mean
        colour = enlarged(side.colour, drawn.shape[-1]) + 0.1 * drawn[:, 1:]
        return join_colour(torch.cat([light, colour], 1))


def side_alone(side: Side, size: int) -> Tensor:
    """What the side would give without any feature: (B, 3, size, size), flat luminance, blurred tint."""
    light = side.mean.expand(-1, -1, size, size)
    return join_colour(torch.cat([light, enlarged(side.colour, size)], 1)).clamp(0, 1)


def picture_loss(decoded: Tensor, pictures: Tensor) -> Tensor:
    """L1 of values and of the differences between neighbouring pixels, which rewards sharp edges (ours)."""
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
    on_step: Callable[[int], None] | None = None,
) -> FaceDecoder:
    """The decoder of a run: loaded if there is one for these arguments, else fitted and saved in the run.

    It learns on the training split. Half of each batch comes from F, the other half from the
    self-reconstruction G(S, Z) if the run has one.

    Args:
        datasets: dataset folders or `synthetic:...`; by default the run's source and target.
        on_step: called before every step with its number.

    Raises:
        FileNotFoundError: no finished run, or no such dataset.
        ValueError: a dataset without training split.
    """
    opened = Run(run)
    folder, model = opened.path, opened.model
    datasets = datasets or [opened.settings[domain] for domain in ("source", "target")]
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]
    about = {"run": digest, "datasets": list(map(str, datasets)), "steps": steps, "seed": seed}
    if about_decoder(folder) == about:
        return load_decoder(opened)
    faces = [_training_faces(name, model) for name in about["datasets"]]
    batch = {"seed": seed, "batch_size": max(1, BATCH // len(faces)), "image_size": model.config.image_size}
    torch.manual_seed(seed)
    decoder = FaceDecoder(model.config.channels)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99))
    total = max(steps, 2)
    warm_up = 0.2 if total == 10 else 0.1  # OneCycleLR divides a warm-up of one step by zero
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=total, pct_start=warm_up)
    for step in tqdm(range(steps), "fitting the decoder", unit="step", disable=not progress):
        if on_step:
            on_step(step)
        parts = [take_batch(train, step=step, augment="crop-flip", **batch)["image"] for train in faces]
        pictures = torch.cat(parts)
        loss = picture_loss(decoder(_features(model, pictures), side_of(pictures)), pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    (folder / ABOUT).unlink(missing_ok=True)  # written last: weights without it are no decoder
    with atomic_file(folder / DECODER) as partial:
        save_file({name: value.contiguous() for name, value in decoder.state_dict().items()}, partial)
    write_json(folder / ABOUT, about)
    return decoder.eval()


def load_decoder(run: Run) -> FaceDecoder | None:
    """The decoder that `fit_decoder` saved in the run folder, in evaluation mode; None if there is none."""
    if about_decoder(run.path) is None:
        return None
    decoder = FaceDecoder(run.config.channels)
    with reading(run.path / DECODER, "weights as safetensors"):
        decoder.load_state_dict(load_file(run.path / DECODER))
    return decoder.eval()


def about_decoder(run: str | Path) -> dict | None:
    """What a decoder was fitted to: digest of the weights, datasets, steps, seed. None if there is none."""
    about = Path(run) / ABOUT
    if not about.is_file() or not (Path(run) / DECODER).is_file():
        return None
    return read_json(about)


@torch.no_grad()
def decode_faces(decoder: FaceDecoder, features: Tensor, side: Side) -> Tensor:
    """Features (n, C, h, w) as pictures (n, 3, 4h, 4w) in [0, 1], in the light and colour of `side`."""
    return decoder(features, side).clamp(0, 1)


@torch.no_grad()
def decode(model: AUModel, features: Tensor, faces: Tensor, decoder: FaceDecoder | None = None) -> np.ndarray:
    """Features as pictures, by the fitted decoder or else by the run's own R, in the light of `faces`.

    R gives standardised values; they get the mean and the spread of `faces`.

    Args:
        features: (n, C, h, w).  faces: (n, 3, H, H) in [0, 1].

    Returns:
        (n, H, H, 3) in [0, 1]; (n, H, H) grey from the R of a model that reads luminance.
    """
    if decoder is not None:
        return as_pictures(decode_faces(decoder, features, side_of(faces)))
    seen = torch.from_numpy(shown_input(model, faces)).flatten(1)  # (n, pixels)
    mean, spread = (value[:, None, None, None] for value in (seen.mean(1), seen.std(1).clamp(LEAST_SPREAD)))
    pictures = (model.decoder(features).float() * spread + mean).clamp(0, 1)
    return pictures[:, 0].numpy() if pictures.shape[1] == 1 else as_pictures(pictures)


def shown_input(model: AUModel, pictures: Tensor) -> np.ndarray:
    """What the network sees of (n, 3, H, H) pictures: (n, H, H) luminance or (n, H, H, 3), in [0, 1]."""
    if model.config.colour == "luminance":
        return grey_pictures(pictures)
    return as_pictures(pictures)


@torch.no_grad()
def _features(model: AUModel, pictures: Tensor) -> Tensor:
    features = model.encoder(model.standardise(pictures))
    if model.config.separates:
        _, shape, texture = model.separate(features[::2])
        features[::2] = model.reconstruction(shape, texture)
    return features


def _training_faces(name: str, model: AUModel) -> Faces:
    data = read_dataset(name)
    rows = data.rows("train")
    if not len(rows):
        raise ValueError(f"{data.root} has no row of split 'train', so no decoder can be fitted to it")
    crops = crop_dataset(data, crop_of(model.config))
    return Faces(crops.images, rows, crops.landmarks, None)
