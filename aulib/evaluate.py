"""A model's predictions, batch by batch, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aulib.batches import Faces, centre_crops
from aulib.expressions import log_odds
from aulib.metrics import au_scores, landmark_scores
from aulib.model import AUModel, cells_to_pixels, expected_cells

LOG_ODDS = np.linspace(-6, 6, 25)  # of probabilities for which an intensity curve has values


@dataclass(frozen=True)
class Predictions:
    """probability: (M, A) in [0, 1]; landmarks: (M, K, 2) pixels of the margin crop, x then y.

    map_entropy: (M,) nats, see the function; high where the crop shows no face.
    """

    probability: np.ndarray
    landmarks: np.ndarray
    map_entropy: np.ndarray | None = None


@torch.no_grad()
def predict_batches(model: AUModel, faces: Faces, read_from: str, batch_size: int = 64) -> Predictions:
    """AU probabilities and landmarks of every face of the split, in its order; labels are not read."""
    config = model.config
    device = next(model.parameters()).device
    offset = (faces.images.shape[1] - config.image_size) // 2
    probabilities, points, entropies = [], [], []
    for image in centre_crops(faces, config.image_size, batch_size):
        outputs = model.read(image.to(device), read_from)
        probabilities.append(outputs["au_logits"].sigmoid().float().cpu())
        cells = expected_cells(outputs["shape"])
        entropies.append(map_entropy(outputs["shape"]).cpu())
        points.append(cells_to_pixels(cells, outputs["shape"].shape[-1], config.image_size).cpu() + offset)
    return Predictions(*(torch.cat(each).numpy() for each in (probabilities, points, entropies)))


def map_entropy(shape: torch.Tensor) -> torch.Tensor:
    """S (B, K, h, w) -> (B,) nats: how spread a face's landmark maps are, their mean entropy (ours)."""
    return torch.special.entr(shape.float().flatten(2)).sum(-1).mean(1)


def predict_crops(model: AUModel, crops: np.ndarray, read_from: str) -> Predictions:
    """Predictions of margin crops (N, S, S, 3) uint8 of which nothing is known."""
    nowhere = np.full((len(crops), model.config.num_landmarks, 2), np.nan, dtype=np.float32)
    return predict_batches(model, Faces(crops, np.arange(len(crops)), nowhere, None), read_from)


@torch.no_grad()
def side_evidence(model: AUModel, crops: np.ndarray) -> np.ndarray:
    """What a face's evidence maps have that its mirror image's have not (ours): half the difference of
    D_au(F)'s maps, (N, A, h, w).

    From it the side is read that shows more of an AU. A mirrored face has exactly the opposite values, so
    nothing that the networks prefer of a side is left.

    Args:
        crops: (N, S, S, 3) uint8 margin crops.

    Raises:
        ValueError: a model that reads AUs from landmark positions has no map of evidence.
    """
    if model.config.au_from_landmarks:
        raise ValueError("a run that reads AUs from landmark positions has no evidence of a side")
    nowhere = np.full((len(crops), 1, 2), np.nan, dtype=np.float32)
    faces = Faces(crops, np.arange(len(crops)), nowhere, None)
    device, found = next(model.parameters()).device, []
    for image in centre_crops(faces, model.config.image_size, 64):
        own, mirrored = (model.read(x.to(device), "features")["evidence"] for x in (image, image.flip(-1)))
        found.append((own - mirrored).float().cpu() / 2)
    return torch.cat(found).numpy()


def score_predictions(
    predictions: Predictions, faces: Faces, subjects: np.ndarray, aus, resamples: int = 500
) -> dict[str, float]:
    """AU and landmark scores against the labels of the faces; see `metrics.au_scores`.

    Args:
        subjects: (M,) of the same rows.
    """
    occurrence = faces.occurrence[faces.rows]
    scores = landmark_scores(predictions.landmarks, faces.landmarks[faces.rows])
    return scores | au_scores(predictions.probability, occurrence, subjects, list(aus), resamples)


def intensity_curves(
    probability: np.ndarray, intensity: np.ndarray, aus: Sequence[str]
) -> dict[str, list[float]]:
    """How intense an AU is, on average, on faces that get a probability: isotonic regression (ours).

    An intensity from 0 to 5 then needs no head of its own: on rendered faces one that was trained beside the
    occurrence, on the same features, was no closer (docs/limits.md).

    Args:
        probability: (M, A) in [0, 1].  intensity: (M, A) from 0 to 5, NaN where unknown.

    Returns:
        AU -> (25,) intensities at LOG_ODDS, never falling; without AUs whose intensity is unknown or
        always the same.
    """
    from sklearn.isotonic import IsotonicRegression  # takes a second to import

    curves = {}
    for au, read, shown in zip(aus, log_odds(probability).T, intensity.T, strict=True):
        known = ~np.isnan(shown)
        if len(np.unique(shown[known])) > 1:
            curve = IsotonicRegression(out_of_bounds="clip").fit(read[known], shown[known])
            curves[au] = curve.predict(LOG_ODDS).round(3).tolist()
    return curves


def intensity_of(probability: np.ndarray, curve: Sequence[float]) -> np.ndarray:
    """Intensity, 0 to 5, of an AU's probabilities (any shape) by its curve; NaN stays NaN."""
    return np.interp(log_odds(np.asarray(probability)), LOG_ODDS, curve)
