"""Studio faces with chosen factors of wild: what each part of the domain shift costs a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aubench.inspection.playground import renderer_of
from aufaces.actions import AUS
from aufaces.domains import STUDIO, number_of_subjects
from aufaces.factors import FACTORS, face_with
from aulib.batches import Faces
from aulib.crops import CropSpec, crop_face, crop_matrix, crop_of
from aulib.evaluate import predict_batches
from aulib.labels import binarise
from aulib.metrics import au_scores, f1_frame, resampled_subjects
from aulib.run import Run

SEED = 4242  # no default set uses it
CONDITIONS = {"none": set(), **{name: {name} for name in FACTORS}, "all": set(FACTORS)}
RESAMPLES = 400


@dataclass(frozen=True)
class LabelledPredictions:
    """A run's answers about faces: probability (N, A) in [0, 1], occurrence (N, A) in {0, 1}, NaN unknown."""

    probability: np.ndarray
    occurrence: np.ndarray


def faces_with(factors: set[str], count: int, spec: CropSpec, aus=AUS, seed: int = SEED) -> Faces:
    """Studio faces 0 to count - 1, with these factors of the wild face of the same number.

    Args:
        factors: names of FACTORS.  spec: how they are cropped.  aus: columns of the labels, NaN where an AU
            is never rendered.
    """
    renderer = renderer_of(spec.size)
    crops, points = [], []
    labels = np.full((count, len(aus)), np.nan, np.float32)
    shown = [index for index, au in enumerate(aus) if au in AUS]
    for index in range(count):
        picture, landmarks, intensity = face_with(factors, seed, index, count, renderer)
        matrix = crop_matrix(landmarks, spec)
        crops.append(crop_face(Image.fromarray(picture), matrix, spec))
        points.append(landmarks @ matrix[:, :2].T + matrix[:, 2])
        labels[index, shown] = binarise(intensity)[[AUS.index(aus[column]) for column in shown]]
    return Faces(np.stack(crops), np.arange(count), np.stack(points).astype(np.float32), labels)


def people_of(count: int) -> np.ndarray:
    """(count,) int: who is on each of the faces that `faces_with` makes of studio people."""
    return np.arange(count) * number_of_subjects(STUDIO, count) // count


def answers_under(run: str | Path, factors: set[str], count: int, seed: int = SEED) -> LabelledPredictions:
    """A run's predictions on studio faces with these factors of wild, and their labels."""
    opened = Run(run)
    faces = faces_with(set(factors), count, crop_of(opened.config), opened.aus, seed)
    reading = predict_batches(opened.model, faces, opened.settings["read_target_from"])
    return LabelledPredictions(reading.probability, faces.occurrence)


def answers_by_factor(run: str | Path, count: int) -> dict[str, LabelledPredictions]:
    """The same faces under no factor, each by itself, and all: condition -> LabelledPredictions."""
    return {name: answers_under(run, factors, count) for name, factors in CONDITIONS.items()}


def mean_f1(answers: LabelledPredictions, weights: np.ndarray) -> np.ndarray:
    """(R,) F1-frame, mean over AUs that have one, of faces weighted by `weights` (R, N)."""
    predicted, occurrence = answers.probability >= 0.5, answers.occurrence
    present, absent = occurrence == 1, occurrence == 0
    hit, false_alarm = weights @ (predicted & present), weights @ (predicted & absent)
    scores = f1_frame(hit.astype(float), false_alarm, weights @ present - hit)
    defined = ~np.isnan(scores)
    return np.where(defined, scores, 0).sum(1) / np.maximum(defined.sum(1), 1)


def drop(plain: LabelledPredictions, changed: LabelledPredictions) -> tuple[float, float, float]:
    """F1 lost between two conditions of the same faces, with a 95 % interval over people."""
    draws, owner = resampled_subjects(people_of(len(plain.probability)), RESAMPLES)
    weights = draws[:, owner]
    lost = mean_f1(plain, weights) - mean_f1(changed, weights)
    low, high = np.quantile(lost[1:], [0.025, 0.975])
    return float(lost[0]), float(low), float(high)


def drops(answers: dict[str, LabelledPredictions]) -> pd.DataFrame:
    """One row a factor, and "all": F1 lost against "none" with its interval; factor, lost, low, high."""
    rows = [(name, *drop(answers["none"], changed)) for name, changed in answers.items() if name != "none"]
    return pd.DataFrame(rows, columns=["factor", "lost", "low", "high"])


def changes_per_au(answers: dict[str, LabelledPredictions], aus) -> pd.DataFrame:
    """One row a factor and AU: factor, au, change of auc, f1, base_rate against "none", NaN if undefined;
    support, on how many faces the AU is under this factor."""
    scores, rows = {name: scores_of(one, aus) for name, one in answers.items()}, []
    plain = scores.pop("none")
    for factor, changed in scores.items():
        for au in aus:
            row = {"factor": factor, "au": au}
            for measure in ("auc", "f1", "base_rate"):
                key = f"per_au.{au}.{measure}"
                row[measure] = changed[key] - plain[key]
            rows.append(row | {"support": changed[f"per_au.{au}.support"]})
    return pd.DataFrame(rows)


def scores_of(answers: LabelledPredictions, aus) -> dict[str, float]:
    """`metrics.au_scores` without intervals."""
    people = np.zeros(len(answers.probability))  # one person: no intervals are wanted
    return au_scores(answers.probability, answers.occurrence, people, list(aus), resamples=0)
