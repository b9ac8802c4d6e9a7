"""Heads cut from the pictures of a dataset: the strongest faces of each AU, the best and worst of a run.

A viewer needs the whole head to judge an expression; a model reads a smaller square.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import read_dataset
from aulib.images import read_picture
from aulib.run import Run

WIDE = CropSpec(size=160, box_enlarge=3.0)  # the whole head
HEAD = 1.05  # the same, as a multiple of the square a model reads

HeadRows = dict[str, list[tuple[np.ndarray, str]]]  # row -> pictures (H, W, 3) uint8, each with a text


def strongest_faces(
    predictions: pd.DataFrame, folder: str | Path, count: int = 8, aus: list[str] | None = None
) -> HeadRows:
    """For each AU the faces with the highest probability, strongest first, and that probability.

    Args:
        predictions: the table of `predict.predict`.  folder: dataset folder, `synthetic:...` or folder of
            pictures that its `image` column is relative to.  aus: by default all of the table.

    Raises:
        ValueError: the table has no AU or no face.
    """
    table = predictions[predictions["status"] == "ok"]
    aus = aus or [name.removesuffix("_p") for name in table.filter(regex=r"^AU\d+_p$")]
    if not aus or table.empty:
        raise ValueError(f"the predictions have {len(aus)} AUs and {len(table)} faces, nothing to show")
    folder = read_dataset(folder).root if str(folder).startswith("synthetic:") else Path(folder)
    return {
        au: [
            (face_thumbnail(folder / face["image"], head_matrix(face)), f"{face[f'{au}_p']:.2f}")
            for _, face in table.nlargest(count, f"{au}_p").iterrows()
        ]
        for au in aus
    }


def best_and_worst(predictions: pd.DataFrame, run: Run, dataset: str = "", count: int = 3) -> HeadRows:
    """The target test faces a run reads best and worst, with their missed AUs (-) and false alarms (+).

    Args:
        predictions: `results.faces_by_loss` of the run, best first.
        dataset: the run's target, to choose from its whole test split; "" takes the faces that the run keeps.

    Raises:
        ValueError: the target's faces have no AU labels, or the dataset is not the run's target.
    """
    if not dataset:
        samples = run.samples("target")
        kept = dict(zip(samples.names, samples.images, strict=True))
        predictions = predictions[predictions["image"].isin(kept)]
    else:
        data = read_dataset(dataset)
        known, found = (
            version.partition("#")[0] for version in (run.settings["data_versions"]["target"], data.version)
        )
        if found != known:
            raise ValueError(
                f"{dataset} is not the target that {run.path} was tested on, {run.settings['target']} "
                f"(version {known}, found {found}), so its best and worst faces are not there"
            )
        landmarks = dict(zip(data.table["image"], data.landmarks, strict=True))
    if predictions.empty:
        raise ValueError("the target's test faces have no AU labels: best and worst are unknown")
    aus = [name.removesuffix("_true") for name in predictions if name.endswith("_true")]
    count = min(count, len(predictions) // 2)

    def head(image: str) -> np.ndarray:
        if not dataset:
            return kept[image]
        return face_thumbnail(data.root / image, crop_matrix(landmarks[image], WIDE))

    return {
        name: [(head(face["image"]), mistakes(face, aus)) for _, face in chosen.iterrows()]
        for name, chosen in (("best", predictions[:count]), ("worst", predictions[::-1][:count]))
    }


def face_thumbnail(picture: Path, matrix: np.ndarray) -> np.ndarray:
    """The head in a picture file, upright, (WIDE.size, WIDE.size, 3) uint8.

    Args:
        matrix: (2, 3) from the picture to that crop.
    """
    return crop_face(read_picture(picture), matrix, WIDE)


def head_matrix(face: pd.Series) -> np.ndarray:
    """From the picture to a crop of the head, (2, 3), given the square in a row of predictions."""
    scale = (WIDE.size - 1) / (HEAD * face["face_size"])
    roll = np.radians(face["face_roll"])
    rotation = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    offset = (WIDE.size - 1) / 2 - scale * rotation @ [face["face_x"], face["face_y"]]
    return np.concatenate([scale * rotation, offset[:, None]], axis=1)


def mistakes(face: pd.Series, aus: list[str]) -> str:
    """The missed AUs (-) and false alarms (+) of a row of predictions, by number: "-10 -17", then "+1 +2"."""
    missed = [f"-{int(au[2:])}" for au in aus if face[f"{au}_true"] == 1 and face[f"{au}_c"] == 0]
    wrong = [f"+{int(au[2:])}" for au in aus if face[f"{au}_true"] == 0 and face[f"{au}_c"] == 1]
    return "\n".join(" ".join(words) for words in (missed, wrong) if words) or "all right"
