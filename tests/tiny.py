"""The smallest model, faces and run that the tests of the core share."""

from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import save_file

from aulib.batches import Faces
from aulib.methods import METHODS, PRESETS, Method, Preset
from aulib.model import AUModel, ModelConfig
from aulib.networks import define_missing_operators
from conftest import face_outline

AUS = ("AU01", "AU04", "AU06", "AU12", "AU26")
SIZE, MARGIN = 32, 40
TINY_VALUES = {
    "image_size": SIZE, "margin_size": MARGIN, "channels": 8, "colour": "luminance", "num_landmarks": 68,
    "augment": "none", "au_centres": False, "average": 0.0, "separation_starts": 0.0, "ramp": 0.0,
}  # fmt: skip


def tiny_preset(**changes) -> Preset:
    """The `fast` preset with everything that costs time made small."""
    return replace(PRESETS["fast"], **(TINY_VALUES | changes))


def tiny_config(method: str | Method = "full", **changes) -> ModelConfig:
    rung = METHODS[method] if isinstance(method, str) else method
    values = {
        "aus": AUS, "num_landmarks": 68, "image_size": SIZE, "margin_size": MARGIN, "channels": 8,
        "separates": rung.separates, "separation": "adversary",
        "adapts_by_domain": rung.adapts_by_domain,
        "au_from_landmarks": rung.au_from_landmarks,
    }  # fmt: skip
    return ModelConfig(**(values | changes))


def tiny_model(method: str | Method = "full", seed: int = 0, **changes) -> AUModel:
    torch.manual_seed(seed)
    return AUModel(tiny_config(method, **changes))


def tiny_faces(num_faces: int = 12, seed: int = 0, labelled: bool = True) -> Faces:
    """Noise pictures with plausible landmarks and random labels, a few of them unknown."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (num_faces, MARGIN, MARGIN, 3), dtype=np.uint8)
    landmarks = face_outline(MARGIN) + rng.normal(0, 1, (num_faces, 68, 2))
    occurrence = (rng.random((num_faces, len(AUS))) < 0.5).astype(np.float32)
    occurrence[rng.random(occurrence.shape) < 0.1] = np.nan
    return Faces(images, np.arange(num_faces), landmarks.astype(np.float32), occurrence if labelled else None)


def lively_model(method: str | Method = "full", gain: float = 2.5, **changes) -> AUModel:
    """An untrained model whose answers differ from face to face: weights of convolutions times `gain`."""
    model = tiny_model(method, **changes).eval()
    for part in model.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.weight.data *= gain
    return model


def published_weights(backbone: str, file) -> dict[str, torch.Tensor]:
    """Random weights of a whole network of timm, written as learned ones are published."""
    define_missing_operators()
    import timm

    weights = timm.create_model(backbone).state_dict()
    save_file(weights, file)
    return weights
