"""The faces that figures show: a few that a run keeps, or some of a dataset, cut as the model reads them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from aulib import images
from aulib.batches import centre_crop, faces_of
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import DatasetFolder, read_dataset
from aulib.model import ModelConfig
from aulib.run import Run


@dataclass(frozen=True)
class ShownFaces:
    """n faces as a model is shown them at test time.

    pictures: (n, 3, H, H) RGB in [0, 1].  landmarks: (n, K, 2) pixels of them.  occurrence: (n, A) in {0,
    1} of the model's AUs, NaN unknown.  names: (n,) as in the dataset.  data, rows, matrices: the dataset,
    the n rows of it, and (n, 2, 3) from pixels of the stored picture to pixels of `pictures`; None for
    faces a run keeps.
    """

    pictures: Tensor
    landmarks: Tensor
    occurrence: np.ndarray
    names: np.ndarray
    data: DatasetFolder | None = None
    rows: np.ndarray | None = None
    matrices: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, chosen) -> "ShownFaces":
        """Some of the faces: a slice, a mask or a list of places."""
        chosen = np.arange(len(self))[chosen]
        parts = {name: part for name, part in vars(self).items() if name != "data" and part is not None}
        return replace(self, **{name: part[chosen] for name, part in parts.items()})


def kept_faces(run: Run, domain: str = "target", count: int | None = 6) -> ShownFaces:
    """Evenly spaced ones of the faces that a run keeps, None for all; the dataset is not needed."""
    samples = run.samples(domain)
    places = evenly(len(samples), count)
    size = run.config.image_size
    pictures, landmarks = centre_crop(samples.images[places], samples.landmarks[places], size)
    return ShownFaces(pictures, landmarks, samples.occurrence[places], samples.names[places])


def faces_from(
    dataset: str | Path, config: ModelConfig, count: int = 6, rows: np.ndarray | None = None
) -> ShownFaces:
    """Evenly spaced faces of a dataset's test split, or those of the rows given.

    Args:
        dataset: dataset folder or `synthetic:...`.

    Raises:
        ValueError: the split is empty.
    """
    data = read_dataset(dataset)
    if rows is None:
        rows = data.rows("test")
        if not len(rows):
            raise ValueError(f"{data.root} has no row of split 'test', so there is no face to show")
        rows = rows[evenly(len(rows), count)]
    crops = crop_dataset(data, crop_of(config))
    points = min(data.num_landmarks, config.num_landmarks)
    faces = faces_of(data, crops, "test", replace(config, num_landmarks=points))
    pictures, landmarks = centre_crop(faces.images[rows], faces.landmarks[rows], config.image_size)
    names = data.table["image"].to_numpy(str)[rows]
    matrices = crops.matrices[rows].copy()
    matrices[:, :, 2] -= (config.margin_size - config.image_size) // 2
    return ShownFaces(pictures, landmarks, faces.occurrence[rows], names, data, rows, matrices)


def faces_to_show(run: Run, faces: str, domain: str, count: int) -> ShownFaces:
    """Test faces of the dataset `faces`, or if that is "" of those that the run keeps of `domain`."""
    return faces_from(faces, run.config, count) if faces else kept_faces(run, domain, count)


def evenly(available: int, count: int | None) -> np.ndarray:
    """`count` places, or all, evenly spaced over 0 .. available - 1."""
    count = available if count is None else min(count, available)
    return np.linspace(0, available - 1, count).astype(int)


def as_pictures(pictures: Tensor) -> np.ndarray:
    """(n, 3, H, W) -> (n, H, W, 3)."""
    return pictures.permute(0, 2, 3, 1).numpy()


def grey_pictures(pictures: Tensor) -> np.ndarray:
    """(n, 3, H, W) -> (n, H, W) in [0, 1]."""
    return images.luminance(pictures)[:, 0].numpy()
