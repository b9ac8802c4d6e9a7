"""How like its original a picture is: PSNR, SSIM, and one measure of what these two forgive.

PSNR counts squared errors of values, so a correct average with no detail scores well; SSIM compares local
means and spreads, which blur changes little where the skin is smooth. What tells an expression are edges
(lids, lips, folds), and they are what a decoder loses first. So the third is GMSD, the spread of the
similarity of gradient magnitudes (Xue et al. 2014): it has no learnt weights, which would bring their own
idea of a face, and no parameters beside the published ones.
"""

import numpy as np
import torch
from scipy.ndimage import convolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from aulib.images import LUMINANCE

GMSD_CONSTANT = 170 / 255**2  # published for values 0-255


def compare(picture: np.ndarray, original: np.ndarray) -> dict[str, float]:
    """PSNR (dB, more is better), SSIM (at most 1, more is better), GMSD (at least 0, less is better).

    Args:
        picture, original: (H, W, 3), or (H, W) for grey, in [0, 1].

    Raises:
        ValueError: the shapes differ.
    """
    if picture.shape != original.shape:
        raise ValueError(f"picture {picture.shape} and original {original.shape} differ")
    channel = -1 if picture.ndim == 3 else None
    with np.errstate(divide="ignore"):  # equal pictures: infinite
        psnr = peak_signal_noise_ratio(original, picture, data_range=1.0)
    return {
        "psnr": float(psnr),
        "ssim": float(structural_similarity(original, picture, data_range=1.0, channel_axis=channel)),
        "gmsd": gmsd(picture, original),
    }


def gmsd(picture: np.ndarray, original: np.ndarray) -> float:
    """Gradient magnitude similarity deviation of the luminance: 0 for equal pictures, larger is worse."""
    ours, theirs = (gradient_magnitude(_halved(_grey(one))) for one in (picture, original))
    similarity = (2 * ours * theirs + GMSD_CONSTANT) / (ours**2 + theirs**2 + GMSD_CONSTANT)
    return float(similarity.std())


def gradient_magnitude(grey: np.ndarray) -> np.ndarray:
    """Prewitt's, divided by 3 as published: a ramp of slope s a pixel has magnitude 2 s."""
    kernel = np.array([[1, 0, -1]] * 3) / 3
    return np.hypot(convolve(grey, kernel, mode="nearest"), convolve(grey, kernel.T, mode="nearest"))


def _grey(picture: np.ndarray) -> np.ndarray:
    picture = picture.astype(np.float64)
    return picture @ LUMINANCE if picture.ndim == 3 else picture


def _halved(grey: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in grey.shape)
    return grey[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))


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
