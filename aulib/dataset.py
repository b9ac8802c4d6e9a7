"""The dataset folder: a manifest and images, the one format that everything reads.

docs/dataset-folder.md describes the format; `manifest.py` reads and checks it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.files import atomic_file, digest_of, remembered_file
from aulib.labels import AU_NAMES, binarise
from aulib.landmarks import count_points, points_of
from aulib.manifest import SPLITS, inspect
from aulib.protocols import apply_protocol, split_name
from aulib.tables import refuse


@dataclass(frozen=True)
class DatasetFolder:
    """A checked dataset folder; the images stay on disk.

    Every property builds a new array of N rows: read it once, outside loops.

    table: the manifest, one row per image, index 0..N-1.
    version: short hash of the manifest's bytes, for run records; "" if it was not read from a file.
    """

    root: Path
    table: pd.DataFrame
    version: str = ""

    def __len__(self) -> int:
        return len(self.table)

    @property
    def aus(self) -> list[str]:
        """AUs with occurrence labels, in FACS order; those with intensity if the set has no occurrence."""
        return self._aus_with("_c") or self._aus_with("_r")

    @property
    def intensity_aus(self) -> list[str]:
        """AUs with intensity labels, in FACS order: the columns of `intensity`."""
        return self._aus_with("_r")

    @property
    def num_landmarks(self) -> int:
        """68, 49, or 0 if the set has no landmarks."""
        return count_points(self.table.columns)

    @property
    def image_paths(self) -> list[Path]:
        return [self.root / image for image in self.table["image"]]

    @property
    def subjects(self) -> np.ndarray:
        """(N,) str."""
        return self.table["subject"].to_numpy(dtype=str)

    @property
    def splits(self) -> np.ndarray:
        """(N,) str, each train, val or test."""
        return self.table["split"].to_numpy(dtype=str)

    @property
    def occurrence(self) -> np.ndarray:
        """(N, A) float32 in {0, 1}, NaN where unknown. Intensity >= 2 if the set has intensity only."""
        if self._aus_with("_c"):
            return self._numbers([f"{au}_c" for au in self.aus])
        return binarise(self.intensity, at_least=2)

    @property
    def intensity(self) -> np.ndarray:
        """(N, len(intensity_aus)) float32, 0-5, NaN where unknown."""
        return self._numbers([f"{au}_r" for au in self.intensity_aus])

    @property
    def landmarks(self) -> np.ndarray:
        """(N, K, 2) float32 pixels of the stored image, x then y; NaN in rows without."""
        return points_of(self.table)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split, for arrays of the whole set, such as crops."""
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
        return np.flatnonzero(self.splits == split)

    def _aus_with(self, suffix: str) -> list[str]:
        return [au for au in AU_NAMES if f"{au}{suffix}" in self.table.columns]

    def _numbers(self, columns: list[str]) -> np.ndarray:
        return self.table[columns].to_numpy(dtype=np.float32, na_value=np.nan, copy=True)


def read_dataset(folder_or_name: str | Path, exact: bool = False) -> DatasetFolder:
    """Read and check a dataset folder.

    Args:
        folder_or_name: a folder with manifest.csv or manifest.parquet, with a protocol's fold appended if
            wanted, `data/bp4d#bp4d-3fold/part1` (`aulib.protocols`); or `synthetic:studio`,
            `synthetic:wild?n=64&seed=3&size=112`, which is rendered into the user's cache on first use.
        exact: the table has numbers as float64 and columns of no meaning here as the text of the file.

    Raises:
        FileNotFoundError: no such folder, or no manifest in it.
        ValueError: faults in the manifest (see `manifest.inspect`), up to ten in one message, each with its
            row (the header is row 1).
    """
    root, protocol = folder_called(folder_or_name), ""
    if not root.is_dir():
        folder, protocol = split_name(str(folder_or_name))
        root = Path(folder)
    manifest = manifest_path(root)
    table, faults = inspect(manifest, np.float64 if exact else np.float32, keep_text=exact)
    refuse(faults, manifest, "row")
    table = table.reset_index(drop=True)
    version = digest_of(manifest)[:12]
    if protocol:
        table, version = apply_protocol(table, protocol), f"{version}#{protocol}"
    return DatasetFolder(root, table, version)


def folder_called(name: str | Path) -> Path:
    """The folder; a synthetic one is rendered first."""
    if not str(name).startswith("synthetic:"):
        return Path(name)
    from aufaces.sets import resolve

    return Path(resolve(str(name)))


def manifest_path(root: Path) -> Path:
    """manifest.csv or manifest.parquet in `root`; an error if none or both are there."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected a dataset folder with manifest.csv in it")
    found = [root / name for name in ("manifest.csv", "manifest.parquet") if (root / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{root} has no manifest.csv or manifest.parquet; "
            "for a folder of plain photographs run `aulib prepare PHOTOS OUT` first"
        )
    if len(found) > 1:
        raise ValueError(f"{root} has both manifest.csv and manifest.parquet; remove one of them")
    return found[0]


def write_manifest(folder: str | Path, table: pd.DataFrame, remember: bool = False) -> Path:
    """Write `folder`/manifest.csv atomically, and return its path.

    Args:
        remember: as a `remembered_file`, for a folder that may be written again.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    file = Path(folder) / "manifest.csv"
    with remembered_file(file.parent, file.name) if remember else atomic_file(file) as partial:
        arrow_csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), partial)
    return file
