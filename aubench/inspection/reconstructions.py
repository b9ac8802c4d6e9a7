"""Features decoded to pictures, and how close each picture is to its original.

Three measures. PSNR counts squared errors of values, so a correct average without detail scores well. SSIM
compares local means and spreads, which blur changes little on smooth skin. GMSD is the spread of the
similarity of gradient magnitudes (Xue et al. 2014): it compares edges (lids, lips, folds), which show the
expression and which a decoder loses first. It has no learned weights.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import convolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from aubench.inspection import swaps
from aubench.inspection.decoding import (
    FaceDecoder,
    Side,
    about_decoder,
    decode,
    decode_faces,
    load_decoder,
    shown_input,
    side_alone,
    side_of,
)
from aubench.inspection.shown_faces import ShownFaces
from aulib.images import LUMINANCE
from aulib.model import AUModel
from aulib.run import load_run

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


FLAT = (0.55, 0.42, 0.36)  # RGB, about the colour of skin
OCCLUDER = 0.5
COMPARED = ("rich", "self", "rich2")  # features that should give the input again


def decode_by_r(model: AUModel, source: Tensor, target: Tensor) -> dict[tuple[str, str], np.ndarray]:
    """Pairs of faces through both rounds, decoded by the run's own decoder R.

    Args:
        source, target: (n, 3, H, H) in [0, 1].

    Returns:
        (domain, name) -> (n, H, H) or (n, H, H, 3); the names are I, R(F), R(F~) and R(F^), the last two
        only for a run that separates.
    """
    names = {"rich": "R(F)", "swapped": "R(F~)\nother's shape", "rich2": "R(F^)\nsecond round"}
    features = features_of_rounds(model, source, target)
    decoded = {}
    for domain, faces in (("source", source), ("target", target)):
        decoded[domain, "I"] = shown_input(model, faces)
        for step, name in names.items():
            if f"{domain}.{step}" in features:
                decoded[domain, name] = decode(model, features[f"{domain}.{step}"], faces)
    return decoded


@torch.no_grad()
def features_of_rounds(model: AUModel, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """`swaps.exchange`, or only "source.rich" and "target.rich" for a run that does not separate."""
    if swaps.can_exchange(model):
        return swaps.exchange(model, source, target)
    rich = model.encoder(model.standardise(torch.cat([source, target]))).split([len(source), len(target)])
    return dict(zip(("source.rich", "target.rich"), rich, strict=True))


def decode_rounds(
    model: AUModel, decoder: FaceDecoder, source: ShownFaces, target: ShownFaces
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Pairs of a source and a target face through both rounds, decoded by the fitted decoder.

    Returns:
        pictures: "source.input", "source.side alone", "source.rich", ..., and the same for the target, each
        (n, H, H, 3); "swapped" has no original, the others should give the input again.
        scores: one row per pair, domain and compared feature: pair, domain, name, feature, psnr, ssim, gmsd.
    """
    count = min(len(source), len(target))
    pairs = {"source": source[:count], "target": target[:count]}
    features = features_of_rounds(model, *(faces.pictures for faces in pairs.values()))
    pictures, rows = {}, []
    for domain, faces in pairs.items():
        side = side_of(faces.pictures)
        pictures[f"{domain}.input"] = as_pictures(faces.pictures)
        pictures[f"{domain}.side alone"] = as_pictures(side_alone(side, faces.pictures.shape[-1]))
        for name in [name for name in features if name.startswith(domain)]:
            pictures[name] = as_pictures(decode_faces(decoder, features[name], side))
        for step in [step for step in COMPARED if f"{domain}.{step}" in features]:
            for pair, scores in enumerate(
                compare_each(pictures[f"{domain}.{step}"], pictures[f"{domain}.input"])
            ):
                about = {"pair": pair, "domain": domain, "name": faces.names[pair], "feature": step}
                rows.append(about | scores)
    return pictures, pd.DataFrame(rows)


def decode_runs(
    runs: dict[str, str | Path], source: ShownFaces, target: ShownFaces, step: str = "swapped"
) -> tuple[dict[str, tuple[str, np.ndarray]], pd.DataFrame]:
    """The same target faces decoded from the features of several runs.

    Args:
        runs: name -> run folder; all with the same input size and decoders fitted alike.
        step: "swapped", "self" or "rich2"; a run that does not separate gives "rich" in its place.

    Returns:
        name -> (the feature decoded, pictures (n, H, H, 3)); scores: one row per run, face and compared
        feature: run, name, feature, psnr, ssim, gmsd.

    Raises:
        ValueError: decoders fitted with different steps, seeds or datasets.
    """
    refuse_unlike_decoders(runs)
    decoded, tables = {}, []
    for name, run in runs.items():
        model, _ = load_run(run)
        pictures, scores = decode_rounds(model, load_decoder(run, model), source, target)
        shown = step if f"target.{step}" in pictures else "rich"
        decoded[name] = shown, pictures[f"target.{shown}"]
        own = scores[scores["domain"] == "target"].sort_values("pair", kind="stable")
        tables.append(own.drop(columns=["pair", "domain"]).assign(run=name))
    table = pd.concat(tables, ignore_index=True)
    return decoded, table[["run", *table.columns.drop("run")]]


def refuse_unlike_decoders(runs: dict[str, str | Path]) -> None:
    """A longer fit draws better pictures from the same features, so all decoders must be fitted alike."""
    fits = {}
    for name, run in runs.items():
        fit = {key: value for key, value in (about_decoder(run) or {}).items() if key != "run"}
        fits.setdefault(str(fit or "no decoder"), []).append(name)
    if len(fits) > 1:
        raise ValueError(f"these runs' decoders were not fitted alike and cannot be compared: {fits}")


@dataclass(frozen=True)
class OODReading:
    """Out-of-distribution inputs of one face, decoded. inputs, rebuilt: (m, H, H, 3); probability: (m, A)."""

    inputs: np.ndarray
    rebuilt: np.ndarray
    probability: np.ndarray


def ood_inputs(face: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """A face, (3, H, H) in [0, 1], and five inputs that hold no face or half of one, by name."""
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


def read_ood_inputs(
    model: AUModel, decoder: FaceDecoder, read_from: str, faces: ShownFaces, seed: int = 0
) -> tuple[list[OODReading], pd.DataFrame]:
    """`ood_inputs` of each face, read and decoded: from the self-reconstruction where there is one, else F.

    Returns:
        a reading per face; one row per face and input: face, input, psnr, ssim, gmsd, each AU's probability.
    """
    readings, rows = [], []
    for place, name in enumerate(faces.names):
        inputs = ood_inputs(faces.pictures[place], seed + place)
        pictures = torch.stack(list(inputs.values()))
        with torch.no_grad():
            outputs = model.read(pictures, read_from)
        rebuilt = decode_faces(decoder, outputs["self" if "self" in outputs else "rich"], side_of(pictures))
        probability = outputs["au_logits"].sigmoid().numpy()
        reading = OODReading(as_pictures(pictures), as_pictures(rebuilt), probability)
        readings.append(reading)
        each = zip(inputs, compare_each(reading.rebuilt, reading.inputs), probability.round(4), strict=True)
        for kind, scores, found in each:
            row = {"face": name, "input": kind.replace("\n", " ")} | scores
            rows.append(row | dict(zip(model.config.aus, found, strict=True)))
    return readings, pd.DataFrame(rows)


def decode_texture_by_shape(
    model: AUModel, decoder: FaceDecoder, faces: ShownFaces
) -> tuple[np.ndarray, pd.DataFrame]:
    """Every texture with every shape of n faces, decoded in the light and colour of the texture's face.

    Returns:
        (n, n, H, H, 3), textures in rows, shapes in columns; `swaps.each_exchange` with the faces' names.
    """
    grid = swaps.grid_of(model, faces.pictures, faces.pictures)
    probability, points = swaps.read_grid(model, grid)
    side, rows = side_of(faces.pictures), []
    for place in range(len(faces)):
        own = Side(*(part[[place] * len(faces)] for part in (side.mean, side.spread, side.colour)))
        rows.append(as_pictures(decode_faces(decoder, grid[place], own)))
    table = swaps.each_exchange(grid, points, probability)
    names = {part: faces.names[table[part]] for part in ("texture", "shape")}
    return np.stack(rows), table.assign(**names)


def compare_each(pictures: np.ndarray, originals: np.ndarray) -> list[dict[str, float]]:
    """`compare`, picture by picture."""
    return [compare(*pair) for pair in zip(pictures, originals, strict=True)]


def as_pictures(pictures: Tensor) -> np.ndarray:
    """(n, 3, H, W) -> (n, H, W, 3)."""
    return pictures.permute(0, 2, 3, 1).numpy()
