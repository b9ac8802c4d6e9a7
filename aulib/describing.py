"""What a dataset's labels say, as tables: sizes, base rates, which AUs occur together."""

import numpy as np
import pandas as pd

from aulib.datasets import DatasetFolder
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


def base_rates(domains: dict[str, DatasetFolder]) -> pd.DataFrame:
    """One row a domain and AU, in FACS order: base_rate, support (frames with it), frames (annotated)."""
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
