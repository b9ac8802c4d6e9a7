"""Inputs built to fail: what a model makes of pictures that hold no face, or half of one."""

import torch
from torch import Tensor

FLAT = (0.55, 0.42, 0.36)  # about skin
OCCLUDER = 0.5


def probes_of(face: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """A face, (3, H, H) in [0, 1], and its spoilt forms, each of the same shape, by name."""
    noise = torch.rand(face.shape, generator=torch.Generator().manual_seed(seed))
    half = face.clone()
    half[:, face.shape[1] // 2 :] = OCCLUDER
    side = face.clone()
    side[:, :, face.shape[2] // 2 :] = OCCLUDER
    return {
        "as it is": face,
        "upside down": face.flip(1),
        "lower half\noccluded": half,
        "one side\noccluded": side,
        "flat colour": face.new_tensor(FLAT)[:, None, None].expand_as(face).clone(),
        "noise": noise.to(face),
    }
