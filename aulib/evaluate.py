"""A model's predictions, batch by batch, and their scores."""

from dataclasses import dataclass

import numpy as np
import torch

from aulib.batches import Faces, centre_crops
from aulib.metrics import au_scores, landmark_scores
from aulib.model import AUModel, cells_to_pixels, expected_cells


@dataclass(frozen=True)
class Predictions:
    """probability: (M, A) in [0, 1]; landmarks: (M, K, 2) pixels of the margin crop, x then y.

    map_entropy: (M,) nats, mean entropy of a face's landmark maps; high where the crop shows no face (ours).
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
        entropies.append(torch.special.entr(outputs["shape"].float().flatten(2)).sum(-1).mean(1).cpu())
        points.append(cells_to_pixels(cells, outputs["shape"].shape[-1], config.image_size).cpu() + offset)
    return Predictions(*(torch.cat(each).numpy() for each in (probabilities, points, entropies)))


def predict_crops(model: AUModel, crops: np.ndarray, read_from: str) -> Predictions:
    """Predictions of margin crops (N, S, S, 3) uint8 of which nothing is known."""
    nowhere = np.full((len(crops), model.config.num_landmarks, 2), np.nan, dtype=np.float32)
    return predict_batches(model, Faces(crops, np.arange(len(crops)), nowhere, None), read_from)


def score_predictions(
    predictions: Predictions, faces: Faces, subjects: np.ndarray, aus, resamples: int = 500
) -> dict[str, float]:
    """AU and landmark scores against the labels of the faces; see `metrics.au_scores`.

    Args:
        subjects: (M,) of the same rows.
    """
    scores = landmark_scores(predictions.landmarks, faces.landmarks[faces.rows])
    if faces.occurrence is not None:
        occurrence = faces.occurrence[faces.rows]
        scores |= au_scores(predictions.probability, occurrence, subjects, list(aus), resamples)
    return scores
