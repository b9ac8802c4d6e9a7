"""Designs of the separation, by what Z holds and G rebuilds: `python benchmarks/separation_designs.py`.

Writes results/separation_designs.json, which docs/method.md shows: `full` for 400 steps on the tuning seeds.
No AU label of the target counts. What the file has already is kept, so an interrupted comparison goes on.
What was tried and is not in the library is here: changes of ADLD's design, each alone, and warped textures.
"""

import json
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from record import parser_of
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

from aulib import model as wiring
from aulib import objective, training
from aulib.batches import Faces, take_batch
from aulib.erasure import RunningCovariances, expected_points
from aulib.files import write_json
from aulib.linear_probes import crops_of, evenly_spaced
from aulib.losses import landmark_loss
from aulib.metrics import landmark_scores
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.networks import (
    DRAWING_SCALE,
    ConvBlock,
    LandmarkHead,
    Reconstruction,
    TextureEncoder,
    log_attention,
    reverse_gradient,
)
from aulib.run import Run
from aulib.run_config import RunConfig
from aulib.source_and_target import load_domains
from aulib.train_run import train_run

SEEDS = (100, 101)  # which no result uses
PIXELS, CELLS = 112, 28  # sides of the picture and of the maps in preset `fast`
STEPS, READER_STEPS, BATCH, RATE, READ_FACES = 400, 150, 16, 4e-3, 256
RUN = {"source": "synthetic:studio", "target": "synthetic:wild", "method": "full", "steps": STEPS}
KEPT = (
    "validation_f1", "seconds", "insides.reconstruction.self", "insides.reconstruction.second",
    "insides.moves.shape", "insides.moves.texture", "insides.au_probe.rich.source",
    "insides.au_probe.texture.source", *(
        f"insides.landmark_probe.{name}.{domain}"
        for name in ("rich", "texture", "mean_face") for domain in ("source", "target")
    ),
)  # fmt: skip


def without_aus():
    """The erasure takes out the shape alone."""
    renew = RunningCovariances.renew

    def shape_alone(self) -> None:
        renew(self)
        self.erasure.au_directions.zero_()

    return patch.object(RunningCovariances, "renew", shape_alone)


def nothing_erased():
    """T and G start near the identity, and nothing is taken out."""
    return patch.object(RunningCovariances, "renew", lambda self: None)


@contextmanager
def half_resolution():
    """T and G compute their changes on maps of half the size, at a quarter of the cost."""

    def texture(self, features: Tensor) -> Tensor:
        return features + enlarged(self.layers(avg_pool2d(features, 2)))

    def features(self, drawing: Tensor, texture: Tensor) -> Tensor:
        texture = texture + drawing[:, 1:]
        return texture + enlarged(self.layers(avg_pool2d(torch.cat([drawing[:, :1], texture], 1), 2)))

    def enlarged(change: Tensor) -> Tensor:
        return interpolate(change, scale_factor=2)

    with patch.object(TextureEncoder, "forward", texture), patch.object(Reconstruction, "forward", features):
        yield


def later_second_round():
    """What the second round is compared with begins at half of the steps, whenever the first round does."""
    weigh = training.weigh
    second = objective.ROUND_TERMS.keys() - objective.FIRST_ROUND_TERMS.keys()

    def weighed(terms: dict, weights: dict, ramp: float, step: int) -> dict:
        share = min(1.0, max(0.0, (step - STEPS / 2 + 1) / (0.1 * STEPS)))
        weighted = weigh(terms, weights, ramp, step)
        return {name: term * share if name in second else term for name, term in weighted.items()}

    return patch.object(training, "weigh", weighed)


def strong_adversary():
    """A_lm takes five steps where T takes one, four of them at the networks' rate."""
    plain, optimizers = training.adversary_loss, {}

    def after_four(model: AUModel, outputs: dict, source: dict, target: dict) -> Tensor:
        reader = model.landmark_adversary
        if reader not in optimizers:
            optimizers[reader] = torch.optim.Adam(reader.parameters(), lr=RATE)
        texture = torch.cat([outputs["texture_s"], outputs["texture_t"]]).detach()
        landmarks = torch.cat([source["landmarks"], target["landmarks"]])
        for _ in range(4):
            loss = landmark_loss(log_attention(reader(texture)), landmarks, source["image"].shape[-1])
            optimizers[reader].zero_grad()
            loss.backward()
            optimizers[reader].step()
        return plain(model, outputs, source, target)

    return patch.object(training, "adversary_loss", after_four)


def reversed_gradient():
    """T maximises what A_lm minimises, instead of making its maps flat."""

    def reversed_loss(step: objective.StepData) -> Tensor:
        texture = reverse_gradient(torch.cat([step.outputs["texture_s"], step.outputs["texture_t"]]))
        landmarks = torch.cat([step.source["landmarks"], step.target["landmarks"]])
        read = log_attention(step.model.landmark_adversary(texture))
        return landmark_loss(read, landmarks, step.source["image"].shape[-1])

    return patch.dict(objective.TERMS, {"texture_flatness": reversed_loss})


@contextmanager
def strong_and_reversed():
    with strong_adversary(), reversed_gradient():
        yield


def coarse_texture():
    """Z at 14 x 14."""
    plain = TextureEncoder.forward

    def coarse(self, features: Tensor) -> Tensor:
        return interpolate(avg_pool2d(plain(self, features), 2), scale_factor=2)

    return patch.object(TextureEncoder, "forward", coarse)


@contextmanager
def mean_shape():
    """Z lies in the mean shape, and G gets it in the shape that it is given (Cootes et al. 2001).

    Both by a thin-plate spline between the landmarks of S and the mean ones; the drawing carries the warp.
    """
    faces = load_domains(RunConfig.of(RUN["source"], RUN["target"])).faces["source", "train"]
    offset = (faces.images.shape[1] - PIXELS) // 2
    pixels = torch.from_numpy(np.nanmean(faces.landmarks[faces.rows], 0)).float() - offset
    mean = ((pixels + 0.5) * (CELLS / PIXELS) - 0.5) / (CELLS - 1) * 2 - 1
    draw, features, erased, update = (
        AUModel.draw, Reconstruction.forward, AUModel.erased, RunningCovariances.update
    )  # fmt: skip

    def to_mean(features: Tensor, shape: Tensor) -> Tensor:
        points = expected_points(shape.detach().float())
        return warp(features, spline(mean.expand_as(points), points))

    def drawing_and_places(self, shape: Tensor) -> Tensor:
        points = expected_points(shape.detach().float())
        places = spline(points, mean.expand_as(points)).permute(0, 3, 1, 2)
        return torch.cat([places, draw(self, shape)], 1)

    def in_given_shape(self, drawing: Tensor, texture: Tensor) -> Tensor:
        places, drawing, expected = drawing.split([2, 1, drawing.shape[1] - 3], 1)
        if self.residual:
            texture, drawing = texture + expected, torch.cat([drawing, torch.zeros_like(expected)], 1)
        return features(self, drawing, warp(texture, places.permute(0, 2, 3, 1)))

    with (
        patch.object(AUModel, "draw", drawing_and_places),
        patch.object(AUModel, "erased", lambda self, texture, s: erased(self, to_mean(texture, s), s)),
        patch.object(Reconstruction, "forward", in_given_shape),
        patch.object(
            RunningCovariances,
            "update",
            lambda self, s, texture, aus: update(self, s, to_mean(texture, s), aus),
        ),
    ):
        yield


def warp(features: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w) read at `places` (B, h, w, 2) in [-1, 1]."""
    return grid_sample(features, places.to(features), padding_mode="border", align_corners=True)


def spline(at: Tensor, there: Tensor, stiffness: float = 0.01) -> Tensor:
    """Where each cell of a map with landmarks `at` (B, K, 2) lies on one with landmarks `there`."""
    ends = torch.linspace(-1, 1, CELLS)
    cells = torch.stack(torch.meshgrid(ends, ends, indexing="xy"), -1).flatten(0, 1).expand(len(at), -1, 2)
    count = at.shape[1]
    affine = torch.cat([torch.ones_like(at[..., :1]), at], -1)
    system = at.new_zeros(len(at), count + 3, count + 3)
    system[:, :count, :count] = bending(at, at) + stiffness * torch.eye(count)
    system[:, :count, count:], system[:, count:, :count] = affine, affine.transpose(1, 2)
    moved = torch.cat([there - at, at.new_zeros(len(at), 3, 2)], 1)
    weights = torch.linalg.solve(system, moved)
    basis = torch.cat([bending(cells, at), torch.ones_like(cells[..., :1]), cells], -1)
    return (cells + basis @ weights).unflatten(1, (CELLS, CELLS))


def bending(first: Tensor, second: Tensor) -> Tensor:
    """r^2 log r between (B, M, 2) and (B, N, 2)."""
    square = (first[:, :, None] - second[:, None]).square().sum(-1)
    return 0.5 * square * square.clamp(min=1e-9).log()


@contextmanager
def five_maps():
    """S is drawn as jaw, brows, nose, eyes and mouth instead of one sum."""

    def draw(self, shape: Tensor) -> Tensor:
        parts = (slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 68))
        return DRAWING_SCALE * torch.cat([shape[:, part].sum(1, keepdim=True) for part in parts], 1)

    class OfFive(Reconstruction):
        def __init__(self, channels: int, residual: bool = False):
            super().__init__(channels, residual)
            self.layers[0] = ConvBlock(channels + 5, channels)

    with patch.object(AUModel, "draw", draw), patch.object(wiring, "Reconstruction", OfFive):
        yield


def deep():
    """G has four convolutions."""

    class Deep(Reconstruction):
        def __init__(self, channels: int, residual: bool = False):
            super().__init__(channels, residual)
            first, last = self.layers
            more = (ConvBlock(channels, channels), ConvBlock(channels, channels))
            self.layers = nn.Sequential(first, *more, last)

    return patch.object(wiring, "Reconstruction", Deep)


ADLD, EARLY, STRONG = (
    {"separation": "adversary"},
    {"separation_starts": 0.1},
    {"weights": {"self_reconstruction": 10.0}},
)
DESIGNS: dict[str, tuple[Callable, dict]] = {
    "adversary [A]": (nullcontext, ADLD),
    "adversary, rounds from 10 % of the steps": (nullcontext, ADLD | EARLY),
    "adversary, first round from 10 %, second from 50 %": (later_second_round, ADLD | EARLY),
    "adversary, self_reconstruction 10": (nullcontext, ADLD | STRONG),
    "adversary, rounds from 10 % of the steps, self_reconstruction 10": (nullcontext, ADLD | EARLY | STRONG),
    "adversary, five steps of A_lm for one of T": (strong_adversary, ADLD),
    "adversary, its gradient reversed": (reversed_gradient, ADLD),
    "adversary, five steps, gradient reversed": (strong_and_reversed, ADLD),
    "adversary, Z at 14 x 14": (coarse_texture, ADLD),
    "adversary, Z in the mean shape": (mean_shape, ADLD),
    "adversary, S drawn as five maps": (five_maps, ADLD),
    "adversary, G of four convolutions": (deep, ADLD),
    "residual T and G alone": (nothing_erased, {}),
    "and the shape erased": (without_aus, {}),
    "and AUs erased: preset `fast`": (nullcontext, {}),
    "and T and G at half resolution": (half_resolution, {}),
    "`fast`, Z in the mean shape": (mean_shape, {}),
    "`fast`, G of four convolutions": (deep, {}),
}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=Path, default=Path("results/separation_designs"))
    parser.add_argument("--out", type=Path, default=Path("results/separation_designs.json"))
    options = parser.parse_args()
    found = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    for seed in SEEDS:
        for number, (name, (change, settings)) in enumerate(DESIGNS.items()):
            if str(seed) in found.get(name, {}):
                continue
            folder = options.runs / f"{number}_seed{seed}"
            faces = load_domains(RunConfig.of(RUN["source"], RUN["target"], **settings)).faces
            with change():
                metrics = train_run(**RUN, **settings, seed=seed, out_dir=str(folder))
                kept = {key: metrics[key] for key in KEPT}
                for feature in ("rich", "texture"):
                    nme = fresh_reader(folder, feature, faces)
                    kept |= {f"reader.{feature}.{d}": value for d, value in nme.items()}
            found.setdefault(name, {})[str(seed)] = kept
            write_json(options.out, {design: found[design] for design in DESIGNS if design in found})


def fresh_reader(folder: Path, feature: str, faces: dict[tuple[str, str], Faces]) -> dict[str, float]:
    """NME on test faces of a new convolutional landmark head, trained on F or Z of training faces."""
    model = Run(folder).model
    config = model.config
    torch.manual_seed(0)
    reader = LandmarkHead(config.channels, config.num_landmarks).train()
    optimizer = torch.optim.Adam(reader.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=READER_STEPS)
    for step in range(READER_STEPS):
        batches = [
            take_batch(faces[domain, "train"], config.image_size, BATCH, salt, step, "slight", True)
            for salt, domain in enumerate(("source", "target"))
        ]
        features = feature_of(model, feature, torch.cat([batch["image"] for batch in batches]))
        landmarks = torch.cat([batch["landmarks"] for batch in batches])
        loss = landmark_loss(log_attention(reader(features)), landmarks, config.image_size)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    reader.eval()
    found = {}
    for domain in ("source", "target"):
        test = evenly_spaced(faces[domain, "test"], READ_FACES)
        offset = (test.images.shape[1] - config.image_size) // 2
        points = []
        for image in crops_of(model, test):
            with torch.no_grad():
                cells = expected_cells(log_attention(reader(feature_of(model, feature, image))).exp())
            points.append(cells_to_pixels(cells, config.image_size // 4, config.image_size) + offset)
        true = test.landmarks[test.rows]
        found[domain] = landmark_scores(torch.cat(points).numpy().astype(np.float64), true)["landmarks.nme"]
    return found


@torch.no_grad()
def feature_of(model: AUModel, feature: str, image: Tensor) -> Tensor:
    """F or Z of pictures (B, 3 or 1, H, W)."""
    rich = model.encoder(model.standardise(image))
    return rich if feature == "rich" else model.separate(rich)[2]


if __name__ == "__main__":
    main()
