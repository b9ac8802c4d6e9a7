"""Features decoded to pictures, and how close each picture is to its original.

Three measures. PSNR counts squared errors of values, so a correct average without detail scores well. SSIM
compares local means and spreads, which blur changes little on smooth skin. GMSD is the spread of the
similarity of gradient magnitudes (Xue et al. 2014): it compares edges (lids, lips, folds), which show the
expression and which a decoder loses first. It has no learned weights.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from skimage.filters import prewitt
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import downscale_local_mean
from torch import Tensor

from aubench.inspection import swaps
from aubench.inspection.decoding import (
    FaceDecoder,
    about_decoder,
    decode,
    load_decoder,
    shown_input,
    side_alone,
    side_of,
)
from aubench.inspection.shown_faces import ShownFaces, as_pictures
from aulib.images import LUMINANCE
from aulib.model import AUModel
from aulib.run import Run

GMSD_CONSTANT = 170 / 255**2  # published for values 0-255
FLAT = (0.55, 0.42, 0.36)  # RGB, about the colour of skin
OCCLUDER = 0.5
COMPARED = ("rich", "self", "rich2")  # features that should give the input again


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
    ssim = structural_similarity(original, picture, data_range=1.0, channel_axis=channel)
    return {"psnr": float(psnr), "ssim": float(ssim), "gmsd": gmsd(picture, original)}


def gmsd(picture: np.ndarray, original: np.ndarray) -> float:
    """Gradient magnitude similarity deviation of the luminance: 0 for equal pictures, larger is worse."""
    ours, theirs = gradient_magnitude(picture), gradient_magnitude(original)
    similarity = (2 * ours * theirs + GMSD_CONSTANT) / (ours**2 + theirs**2 + GMSD_CONSTANT)
    return float(similarity.std())


def gradient_magnitude(picture: np.ndarray) -> np.ndarray:
    """Prewitt's, of the luminance at half the size: a ramp of slope s a (halved) pixel has magnitude 2 s."""
    grey = picture.astype(np.float64)
    grey = grey @ LUMINANCE if grey.ndim == 3 else grey
    height, width = (side // 2 * 2 for side in grey.shape)
    halved = downscale_local_mean(grey[:height, :width], (2, 2))
    return 2**0.5 * prewitt(halved)  # skimage takes the quadratic mean of both axes


@torch.no_grad()
def decode_rounds(
    model: AUModel, source: ShownFaces, target: ShownFaces, decoder: FaceDecoder | None = None
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Pairs of a source and a target face through both rounds, decoded.

    Args:
        decoder: the fitted one; without it the run's own R decodes, and the input is what the network sees.

    Returns:
        pictures: "source.input", "source.side alone" (only with a fitted decoder), "source.rich", ..., and
        the same for the target, each (n, H, H, 3), or (n, H, H) grey; "swapped" has no original, the others
        should give the input again.
        scores: one row per pair, domain and compared feature: pair, domain, name, feature, psnr, ssim, gmsd.
    """
    count = min(len(source), len(target))
    pairs = {"source": source[:count], "target": target[:count]}
    seen = [faces.pictures for faces in pairs.values()]
    if swaps.can_exchange(model):
        features = swaps.both_rounds(model, *seen)
    else:
        rich = [model.encoder(model.standardise(faces)) for faces in seen]
        features = dict(zip(("rich_s", "rich_t"), rich, strict=True))
    pictures, rows = {}, []
    for domain, faces in pairs.items():
        if decoder is None:
            original = shown_input(model, faces.pictures)
        else:
            original = as_pictures(faces.pictures)
            side = side_alone(side_of(faces.pictures), faces.pictures.shape[-1])
            pictures[f"{domain}.side alone"] = as_pictures(side)
        pictures[f"{domain}.input"] = original
        for step in ("rich", "self", "swapped", "rich2"):
            if (name := f"{step}_{domain[0]}") not in features:
                continue
            decoded = decode(model, features[name], faces.pictures, decoder)
            pictures[f"{domain}.{step}"] = decoded
            for pair, picture in enumerate(decoded if step in COMPARED else ()):
                about = {"pair": pair, "domain": domain, "name": faces.names[pair], "feature": step}
                rows.append(about | compare(picture, original[pair]))
    return pictures, pd.DataFrame(rows)


def decode_runs(
    runs: dict[str, str | Path], source: ShownFaces, target: ShownFaces, step: str = "swapped"
) -> tuple[dict[str, tuple[str, np.ndarray]], pd.DataFrame]:
    """The same target faces decoded from the features of several runs.

    Args:
        runs: name -> run folder; all with the same input size and decoders fitted alike.
        step: "swapped" or "rich2"; a run that does not separate gives "rich" in its place.

    Returns:
        name -> (the feature decoded, pictures (n, H, H, 3)); scores: one row per run, face and compared
        feature: run, name, feature, psnr, ssim, gmsd.

    Raises:
        ValueError: decoders fitted with different steps, seeds or datasets.
    """
    refuse_unlike_decoders(runs)
    decoded, tables = {}, []
    for name, run in runs.items():
        opened = Run(run)
        pictures, scores = decode_rounds(opened.model, source, target, load_decoder(opened))
        shown = step if f"target.{step}" in pictures else "rich"
        decoded[name] = shown, pictures[f"target.{shown}"]
        own = scores[scores["domain"] == "target"].sort_values("pair", kind="stable")
        own = own.drop(columns=["pair", "domain"])
        own.insert(0, "run", name)
        tables.append(own)
    return decoded, pd.concat(tables, ignore_index=True)


def refuse_unlike_decoders(runs: dict[str, str | Path]) -> None:
    """A longer fit draws better pictures from the same features, so all decoders must be fitted alike."""
    fits = {}
    for name, run in runs.items():
        fit = {key: value for key, value in (about_decoder(run) or {}).items() if key != "run"}
        fits.setdefault(str(fit or "no decoder"), []).append(name)
    if len(fits) > 1:
        raise ValueError(f"the decoders of these runs differ and their pictures cannot be compared: {fits}")


def ood_inputs(face: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """A face, (3, H, H) in [0, 1], and five inputs that hold no face or half of one, by name."""
    noise = torch.rand(face.shape, generator=torch.Generator().manual_seed(seed))
    half, side = face.clone(), face.clone()
    half[:, face.shape[1] // 2 :] = OCCLUDER
    side[:, :, face.shape[2] // 2 :] = OCCLUDER
    return {
        "as it is": face,
        "upside down": face.flip(1),
        "lower half occluded": half,
        "one side occluded": side,
        "flat colour": face.new_tensor(FLAT)[:, None, None].expand_as(face).clone(),
        "noise": noise.to(face),
    }


@torch.no_grad()
def read_ood_inputs(
    model: AUModel, decoder: FaceDecoder, read_from: str, faces: ShownFaces, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """`ood_inputs` of each face, read and decoded: from the self-reconstruction if there is one, else F.

    Returns:
        inputs and what is rebuilt from them, (n, m, H, H, 3) each; one row per face and input: face, input,
        psnr, ssim, gmsd, each AU's probability.
    """
    shown, rebuilt, rows = [], [], []
    for place, name in enumerate(faces.names):
        inputs = ood_inputs(faces.pictures[place], seed + place)
        pictures = torch.stack(list(inputs.values()))
        outputs = model.read(pictures, read_from)
        shown.append(as_pictures(pictures))
        rebuilt.append(decode(model, outputs["self" if "self" in outputs else "rich"], pictures, decoder))
        probability = outputs["au_logits"].sigmoid().numpy().round(4)
        for kind, found, picture, original in zip(inputs, probability, rebuilt[-1], shown[-1], strict=True):
            aus = dict(zip(model.config.aus, found, strict=True))
            rows.append({"face": name, "input": kind} | compare(picture, original) | aus)
    return np.stack(shown), np.stack(rebuilt), pd.DataFrame(rows)


def decode_texture_by_shape(
    model: AUModel, decoder: FaceDecoder, faces: ShownFaces
) -> tuple[np.ndarray, pd.DataFrame]:
    """Every texture with every shape of n faces, decoded in the light and colour of the texture's face.

    Returns:
        (n, n, H, H, 3), textures in rows, shapes in columns; `swaps.each_exchange` with the faces' names.
    """
    grid = swaps.grid_of(model, faces.pictures, faces.pictures)
    probability, points = swaps.read_grid(model, grid)
    rows = [
        decode(model, features, face.expand(len(faces), -1, -1, -1), decoder)
        for features, face in zip(grid, faces.pictures, strict=True)
    ]
    table = swaps.each_exchange(grid, points, probability)
    names = {part: faces.names[table[part]] for part in ("texture", "shape")}
    return np.stack(rows), table.assign(**names)
