"""Designs of the separation, by what Z holds and G rebuilds: `python benchmarks/separation_designs.py`.

Writes results/separation_designs.json, which docs/method.md shows: `full` for 400 steps on the tuning seeds.
No AU label of the target counts. What the file has already is kept, so an interrupted comparison goes on.
"""

import json
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from record import parser_of
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from aulib.batches import Faces, take_batch
from aulib.erasure import RunningCovariances
from aulib.files import write_json
from aulib.linear_probes import crops_of, evenly_spaced
from aulib.losses import landmark_loss
from aulib.metrics import landmark_scores
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.networks import LandmarkHead, Reconstruction, TextureEncoder, log_attention
from aulib.run import Run
from aulib.run_config import RunConfig
from aulib.source_and_target import load_domains
from aulib.train_run import train_run

SEEDS = (100, 101)  # which no result uses
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


DESIGNS: dict[str, tuple[Callable, dict]] = {
    "adversary [A]": (nullcontext, {"separation": "adversary"}),
    "adversary, rounds from 10 % of the steps, self_reconstruction 10": (
        nullcontext,
        {"separation": "adversary", "separation_starts": 0.1, "weights": {"self_reconstruction": 10.0}},
    ),
    "residual T and G alone": (nothing_erased, {}),
    "and the shape erased": (without_aus, {}),
    "and AUs erased: preset `fast`": (nullcontext, {}),
    "and T and G at half resolution": (half_resolution, {}),
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
            write_json(options.out, found)


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
