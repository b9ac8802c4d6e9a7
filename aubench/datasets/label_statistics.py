"""What a dataset holds: some faces, and tables of its sizes, base rates and which AUs occur together."""

import numpy as np
import pandas as pd

from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import read_picture
from aulib.labels import AU_NAMES
from aulib.manifest import SPLITS


def sizes(domains: dict[str, DatasetFolder]) -> pd.DataFrame:
    """One row per domain and split: frames, subjects, AUs labelled."""
    rows = []
    for domain, data in domains.items():
        for split in SPLITS:
            subjects = data.subjects[data.rows(split)]
            rows.append((domain, split, len(subjects), len(set(subjects)), len(data.aus)))
    return pd.DataFrame(rows, columns=["domain", "split", "frames", "subjects", "aus"])


def base_rates(domains: dict[str, DatasetFolder], published: dict[str, float] | None = None) -> pd.DataFrame:
    """One row per domain and AU, in FACS order: base_rate, support (frames with it), frames (annotated).

    Args:
        published: AU -> rate to compare with; gives a column `published`, NaN where there is none.
    """
    rows = []
    for domain, data in domains.items():
        for au, occurrence in zip(data.aus, data.occurrence.T, strict=True):
            support, frames = int((occurrence == 1).sum()), int((~np.isnan(occurrence)).sum())
            rows.append((domain, au, support / frames if frames else np.nan, support, frames))
    table = pd.DataFrame(rows, columns=["domain", "au", "base_rate", "support", "frames"])
    if published:
        table["published"] = table["au"].map(published).astype(float)
    return table.sort_values(
        "au", key=lambda aus: aus.map(list(AU_NAMES).index), kind="stable", ignore_index=True
    )


def cooccurrence(data: DatasetFolder) -> pd.DataFrame:
    """How often AU `also` is present where `given` is: one row per pair, `rate` in [0, 1].

    NaN if the two were never annotated together. Ours: conditional rates, not correlations, because they can
    be read directly: of the frames with AU12, so many have AU06.
    """
    present = (data.occurrence == 1).astype(float)  # (N, A)
    known = (~np.isnan(data.occurrence)).astype(float)
    with np.errstate(invalid="ignore"):
        rate = (present.T @ present) / (present.T @ known)  # (given, also)
    pairs = pd.MultiIndex.from_product([data.aus, data.aus], names=["given", "also"])
    return pd.DataFrame({"rate": rate.ravel()}, pairs).reset_index()


def some_faces(data: DatasetFolder, n: int, seed: int = 0, among: np.ndarray | None = None) -> dict:
    """Up to n faces drawn by `seed`, cropped as training crops them; those without landmarks left out.

    Args:
        among: rows to draw from, by default all.

    Returns:
        images (n, S, S, 3) uint8, landmarks (n, K, 2) pixels of them, captions (the AUs present: "6 12 25"),
        table (one row per face: image, aus).

    Raises:
        ValueError: no row has landmarks.
    """
    usable = np.flatnonzero(np.isfinite(data.landmarks).all(axis=(1, 2))) if data.num_landmarks else []
    usable = usable if among is None else np.intersect1d(usable, among)
    if not len(usable):
        raise ValueError(f"{data.root} has no landmarks; `aulib prepare` finds them")
    rows = np.sort(np.random.default_rng(seed).permutation(usable)[:n])
    images, landmarks = crop_rows(data, rows)
    present = data.occurrence[rows] == 1
    captions = [
        " ".join(str(int(au[2:])) for au, on in zip(data.aus, row, strict=True) if on) for row in present
    ]
    table = pd.DataFrame({"image": data.table["image"].iloc[rows].tolist(), "aus": captions})
    return {"images": images, "landmarks": landmarks, "captions": captions, "table": table}


def crop_rows(data: DatasetFolder, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, S, S, 3) uint8 crops of rows that have landmarks, and (n, K, 2) landmarks in pixels of them."""
    spec, paths, landmarks = CropSpec(), data.image_paths, data.landmarks
    images, points = [], []
    for row in rows:
        matrix = crop_matrix(landmarks[row], spec)
        images.append(crop_face(read_picture(paths[row]), matrix, spec))
        points.append(landmarks[row] @ matrix[:, :2].T + matrix[:, 2])
    return np.stack(images), np.stack(points)
