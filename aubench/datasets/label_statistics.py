"""What a dataset holds: some faces, and as tables its sizes, base rates and which AUs occur together."""

import numpy as np
import pandas as pd

from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import read_picture
from aulib.labels import AU_NAMES


def sizes(domains: dict[str, DatasetFolder]) -> pd.DataFrame:
    """One row a domain and split: frames, subjects, AUs labelled."""
    rows = []
    for domain, data in domains.items():
        for split in ("train", "val", "test"):
            chosen = data.rows(split)
            people = len(set(data.subjects[chosen]))
            rows.append(
                {
                    "domain": domain,
                    "split": split,
                    "frames": len(chosen),
                    "subjects": people,
                    "aus": len(data.aus),
                }
            )
    return pd.DataFrame(rows)


def base_rates(domains: dict[str, DatasetFolder], published: dict[str, float] | None = None) -> pd.DataFrame:
    """One row a domain and AU, in FACS order: base_rate, support (frames with it), frames (annotated).

    Args:
        published: AU -> rate to compare with; gives a column `published`, NaN where there is none.
    """
    rows = []
    for domain, data in domains.items():
        occurrence = data.occurrence if data.aus else np.empty((len(data), 0))
        for index, au in enumerate(data.aus):
            known = ~np.isnan(occurrence[:, index])
            present, annotated = int((occurrence[:, index] == 1).sum()), int(known.sum())
            rate = present / annotated if annotated else np.nan
            rows.append(
                {"domain": domain, "au": au, "base_rate": rate, "support": present, "frames": annotated}
            )
    table = pd.DataFrame(rows, columns=["domain", "au", "base_rate", "support", "frames"])
    if published:
        table["published"] = table["au"].map(published).astype(float)
    return table.sort_values(
        "au", key=lambda aus: aus.map(list(AU_NAMES).index), kind="stable", ignore_index=True
    )


def cooccurrence(data: DatasetFolder) -> pd.DataFrame:
    """How often AU `also` is present where `given` is: one row a pair, `rate` in [0, 1].

    NaN if the two were never annotated together.

    Ours: conditional rates, not correlations, as they read off directly: of the frames with AU12
    so many have AU06.
    """
    occurrence = data.occurrence if data.aus else np.empty((len(data), 0))
    present = (occurrence == 1).astype(float)
    known = (~np.isnan(occurrence)).astype(float)
    with np.errstate(invalid="ignore"):
        rate = (present.T @ present) / (present.T @ known)  # (given, also)
    pairs = [(given, also) for given in data.aus for also in data.aus]
    return pd.DataFrame({"given": [p[0] for p in pairs], "also": [p[1] for p in pairs], "rate": rate.ravel()})


def some_faces(data: DatasetFolder, n: int, seed: int = 0, among: np.ndarray | None = None) -> dict:
    """Up to n faces drawn by `seed` alone, cropped as training crops them; those without landmarks left out.

    Args:
        among: rows to draw from, by default all.

    Returns:
        images (n, S, S, 3) uint8, landmarks (n, K, 2) pixels of them, captions (the AUs present: "6 12 25"),
        names (as in the manifest).

    Raises:
        ValueError: no row has landmarks.
    """
    landmarks = data.landmarks
    usable = np.flatnonzero(~np.isnan(landmarks).any(axis=(1, 2))) if data.num_landmarks else np.empty(0, int)
    usable = usable if among is None else np.intersect1d(usable, among)
    if not len(usable):
        raise ValueError(f"{data.root} has no landmarks; `aulib prepare` finds them")
    rows = np.sort(np.random.default_rng(seed).permutation(usable)[:n])
    spec = CropSpec()
    matrices = np.stack([crop_matrix(landmarks[row], spec) for row in rows])
    paths, occurrence = data.image_paths, data.occurrence if data.aus else np.empty((len(data), 0))
    images = [
        crop_face(read_picture(paths[row]), matrix, spec.size)
        for row, matrix in zip(rows, matrices, strict=True)
    ]
    return {
        "images": np.stack(images),
        "landmarks": np.einsum("nij,nkj->nki", matrices[:, :, :2], landmarks[rows]) + matrices[:, None, :, 2],
        "captions": [_caption(occurrence[row], data.aus) for row in rows],
        "names": data.table["image"].to_numpy()[rows].tolist(),
    }


def listed(faces: dict) -> pd.DataFrame:
    """What `some_faces` drew, as a table: image, aus present."""
    return pd.DataFrame({"image": faces["names"], "aus": faces["captions"]})


def _caption(occurrence: np.ndarray, aus: list[str]) -> str:
    return " ".join(str(int(au[2:])) for au, there in zip(aus, occurrence, strict=True) if there == 1)
