"""Scores as the field reports them; imports no model.

N frames of a split, A AUs, K landmarks. Counts are pooled over all frames of the split, not averaged over
batches.
"""

from dataclasses import dataclass

import numpy as np

from aulib.landmarks import layout_of


@dataclass(frozen=True)
class Measure:
    """title, short: in tables and figures.  key: in `metrics.json`, after `source.` or `target.`.

    unit: of 100 times the value, on an axis.
    """

    title: str
    short: str
    key: str
    lower_is_better: bool = False
    unit: str = "x 100"


MEASURES = {
    "f1": Measure("F1-frame", "F1", "mean.f1"),
    "auc": Measure("ROC AUC", "AUC", "mean.auc"),
    "f1_norm": Measure("F1, skew-normalised", "skew-normalised F1", "mean.f1_norm"),
    "nme": Measure("landmark NME", "NME", "landmarks.nme", True, "% of the eye distance"),
    "failure_rate": Measure(
        "landmark failure rate", "failures", "landmarks.failure_rate", True, "% of the faces"
    ),
}
AU_MEASURES = ("f1", "auc", "f1_norm")  # scored for each AU
REPORTED = (*AU_MEASURES, "nme")  # the columns of tables
CHUNK = 10_000_000  # resamples x frames weighted at once: 80 MB an array


def f1_frame(hit: np.ndarray, false_alarm: np.ndarray, miss: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN); NaN where the AU is neither present nor predicted. Any shape, counts >= 0."""
    with np.errstate(invalid="ignore"):
        return 2 * hit / (2 * hit + false_alarm + miss)


def f1_normalised(true_positive_rate: np.ndarray, false_positive_rate: np.ndarray) -> np.ndarray:
    """F1 for as many present as absent frames: 2 TPR / (1 + TPR + FPR) (Jeni et al. 2013); NaN stays NaN."""
    return 2 * true_positive_rate / (1 + true_positive_rate + false_positive_rate)


def auc_weighted(score: np.ndarray, present: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve for many weightings of the frames (for the bootstrap).

    Args:
        score: (N,) any real.  present: (N,) bool.  weights: (R, N) >= 0, R resamples.

    Returns:
        (R,) in [0, 1]: the weighted share of (present, absent) pairs in the right order, ties counting half;
        NaN where a resample lacks a class.
    """
    order = np.argsort(score, kind="stable")
    score, present, weights = score[order], present[order], weights[:, order]
    absent_weight = np.where(present, 0.0, weights)
    _, group = np.unique(score, return_inverse=True)  # equal scores form one group
    starts = np.flatnonzero(np.r_[True, np.diff(group) > 0])
    per_group = np.add.reduceat(absent_weight, starts, axis=1)  # (R, groups)
    below = np.cumsum(per_group, 1) - 0.5 * per_group
    present_weight = np.where(present, weights, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (present_weight * below[:, group]).sum(1) / (present_weight.sum(1) * absent_weight.sum(1))


def resampled_subjects(subjects: np.ndarray, resamples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap over subjects: how often each of P subjects is drawn, and whose each of N frames is.

    Args:
        subjects: (N,) of the frames.

    Returns:
        draws (1 + resamples, P), row 0 being ones, the data as it is; owner (N,) int. Frames are weighted by
        `draws[:, owner]`.
    """
    people, owner = np.unique(subjects, return_inverse=True)
    count = len(people)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    return np.concatenate([np.ones((1, count)), draws]), owner


def _scores(probability: np.ndarray, occurrence: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure per resample and AU, (R, A), of frames weighted by `weights` (R, N)."""
    known = ~np.isnan(occurrence)
    present, absent = (occurrence == 1).astype(float), (occurrence == 0).astype(float)
    predicted = (probability >= 0.5).astype(float)
    hit, false_alarm = weights @ (predicted * present), weights @ (predicted * absent)
    num_present, num_absent = weights @ present, weights @ absent
    with np.errstate(invalid="ignore", divide="ignore"):
        f1_norm = f1_normalised(hit / num_present, false_alarm / num_absent)
    auc = np.full_like(hit, np.nan)
    for au in range(occurrence.shape[1]):
        frames = known[:, au]
        if frames.any():
            auc[:, au] = auc_weighted(probability[frames, au], present[frames, au] == 1, weights[:, frames])
    return {"f1": f1_frame(hit, false_alarm, num_present - hit), "auc": auc, "f1_norm": f1_norm}


def au_scores(
    probability: np.ndarray,
    occurrence: np.ndarray,
    subjects: np.ndarray,
    aus: list[str],
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, float]:
    """F1-frame at 0.5, ROC AUC and skew-normalised F1, per AU and mean, with 95 % intervals over subjects.

    Args:
        probability: (N, A) in [0, 1].  occurrence: (N, A) in {0, 1}, NaN unknown (left out).
        subjects: (N,) of the frames; the bootstrap draws subjects, not frames.
        aus: the A names.

    Returns:
        flat keys `mean.f1`, `mean.f1_low`, `mean.f1_high`, ..., `per_au.AU01.f1`, `per_au.AU01.base_rate`,
        `per_au.AU01.support` (frames with the AU), `n`. NaN where a measure is undefined, as the interval of
        one subject is. The mean is over AUs that have a value; `mean.aus` is their number for F1.

    Raises:
        ValueError: shapes differ or there is no frame.
    """
    if probability.shape != occurrence.shape or probability.shape[1] != len(aus) or not len(probability):
        raise ValueError(
            f"probability {probability.shape}, occurrence {occurrence.shape} and {len(aus)} AUs do not fit"
        )
    subjects = np.asarray(subjects).astype(str)
    if len(np.unique(subjects)) < 2:
        resamples = 0  # one subject has no spread: no interval instead of one of width 0
    draws, owner = resampled_subjects(subjects, resamples, seed)
    chunks = [
        _scores(probability.astype(float), occurrence, some[:, owner])
        for some in np.array_split(draws, -(-len(draws) * len(owner) // CHUNK))
    ]
    scores = {measure: np.concatenate([chunk[measure] for chunk in chunks]) for measure in AU_MEASURES}
    result: dict[str, float] = {"n": len(probability), "mean.aus": int((~np.isnan(scores["f1"][0])).sum())}
    for measure in AU_MEASURES:
        values = scores[measure]
        defined = (~np.isnan(values)).sum(1)  # AUs of each resample
        mean = np.nansum(values, 1) / np.where(defined > 0, defined, np.nan)
        result |= with_interval(f"mean.{measure}", mean)
        for au, of_au in zip(aus, values.T, strict=True):
            result |= with_interval(f"per_au.{au}.{measure}", of_au)
    for index, au in enumerate(aus):
        known = ~np.isnan(occurrence[:, index])
        support = int((occurrence[:, index] == 1).sum())
        result[f"per_au.{au}.support"] = support
        result[f"per_au.{au}.base_rate"] = support / known.sum() if known.any() else float("nan")
    return result


def with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """The first of (1 + R,) values as `name`; as `name_low` and `name_high` the 2.5 % and 97.5 % quantiles of
    the R resamples, of those that have a value."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def landmark_nme(predicted: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Mean landmark error of each face in units of its inter-ocular distance (outer eye corners).

    Args:
        predicted, landmarks: (N, K, 2) pixels, x then y, K = 68 or 49.

    Returns:
        (N,) dimensionless; papers print it x 100. NaN where the face has no landmarks.
    """
    right, left = layout_of(landmarks.shape[1]).outer_eye_corners
    inter_ocular = np.linalg.norm(landmarks[:, right] - landmarks[:, left], axis=-1)
    return np.linalg.norm(predicted - landmarks, axis=-1).mean(1) / inter_ocular


def landmark_scores(predicted: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
    """`landmarks.nme` (mean over faces, x 1) and `landmarks.failure_rate` (share of faces above 0.10)."""
    nme = landmark_nme(predicted, landmarks)
    nme = nme[~np.isnan(nme)]
    if not len(nme):
        return {"landmarks.nme": float("nan"), "landmarks.failure_rate": float("nan")}
    return {"landmarks.nme": float(nme.mean()), "landmarks.failure_rate": float((nme > 0.10).mean())}


def icc(a: np.ndarray, b: np.ndarray) -> float:
    """ICC(3,1) of two readings (N,) on one scale: consistency of single raters (Shrout & Fleiss 1979); as in
    FERA's challenges. NaN if nothing varies. (Ours, since pingouin is under the GPL.)"""
    values = np.column_stack([a, b]).astype(float)
    faces, raters = values.shape
    if faces < 2 or not np.ptp(values, axis=0).any():
        return float("nan")
    between = raters * ((values.mean(1) - values.mean()) ** 2).sum() / (faces - 1)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    within = (rest**2).sum() / ((faces - 1) * (raters - 1))
    total = between + (raters - 1) * within
    return float((between - within) / total) if total > 0 else float("nan")
