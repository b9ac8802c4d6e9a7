"""Figures of faces: contact sheets, the strongest faces of each AU, best and worst readings."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.style import (
    DOMAIN_COLOURS,
    au_label,
    face_grid,
    head,
    in_house_style,
    name_row,
    show_face,
    write_on,
)
from aubench.report.results import faces_by_loss, read_samples, read_settings
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.images import read_picture

WIDE = CropSpec(size=160, box_enlarge=3.0)  # the whole head: what a viewer needs to judge an expression
HEAD = 1.05  # the same, as a multiple of the square a model reads


@in_house_style
def draw_faces(
    images: list[np.ndarray] | np.ndarray,
    landmarks: np.ndarray | None = None,
    captions: list[str] | None = None,
    columns: int = 8,
    title: str = "",
    domain: str = "",
) -> Figure:
    """A contact sheet, with landmarks over the faces if given.

    Args:
        images: pictures (H, W, 3) uint8.  landmarks: (n, K, 2) pixels of them.  captions: n short texts.
        domain: "source" or "target" sets the title in the domain's colour.
    """
    if not len(images):
        raise ValueError("no faces to draw")
    columns = min(columns, len(images))
    figure, axes = face_grid(-(-len(images) // columns), columns, side=1.15, top=0.3 if title else 0.0)
    for index, image in enumerate(images):
        axis = axes.flat[index]
        show_face(axis, image, None if landmarks is None else landmarks[index])
        if captions:
            write_on(axis, captions[index])
    if title:
        head(figure, title, DOMAIN_COLOURS.get(domain, "black"))
    return figure


@in_house_style
def draw_strongest_faces(
    predictions_csv: str | Path, dataset_or_folder: str | Path, per_au: int = 8, aus: list[str] | None = None
) -> Figure:
    """For each AU the faces with the highest probability, strongest first: a row an AU, to be judged by eye.

    Args:
        predictions_csv: what `predicting.predict` wrote.
        dataset_or_folder: the folder its `image` column is relative to.
        aus: which AUs; all of the table if not given.

    Raises:
        ValueError: the table has no AU or no face.
    """
    table = pd.read_csv(predictions_csv)
    if "status" in table:
        table = table[table["status"] == "ok"]
    aus = aus or [
        column.removesuffix("_p") for column in table if column.startswith("AU") and column.endswith("_p")
    ]
    if not aus or table.empty:
        raise ValueError(f"{predictions_csv} has {len(aus)} AUs and {len(table)} faces, nothing to draw")
    folder = _folder_of(dataset_or_folder)
    columns = min(per_au, len(table))
    figure, axes = face_grid(len(aus), columns, side=1.0, left=1.35, top=0.3)
    for row, au in zip(axes, aus, strict=True):
        strongest = table.nlargest(columns, f"{au}_p")
        for axis, (_, face) in zip(row, strongest.iterrows(), strict=True):
            show_face(axis, face_thumbnail(folder / face["image"], head_matrix(face)))
            write_on(axis, f"{face[f'{au}_p']:.2f}")
        name_row(row[0], au_label(au).replace(" ", "\n", 1))
    head(figure, f"strongest faces of each AU, of {len(table)}; the number is the model's probability")
    return figure


@in_house_style
def draw_best_and_worst(run: str | Path, dataset: str | Path | None = None, count: int = 8) -> Figure:
    """The target test faces a run reads best and worst, by cross-entropy over their known AUs.

    Each face says which AUs were missed (-) and which were raised wrongly (+).

    Args:
        dataset: the target's dataset folder, to choose from its whole test split; by default the few faces
            the run keeps are chosen from.

    Raises:
        ValueError: the target's faces have no AU labels.
    """
    predictions = faces_by_loss(run)
    samples = read_samples(run, "target")
    if dataset is None:
        kept = dict(zip(samples.names, samples.images, strict=True))
        predictions = predictions[predictions["image"].isin(kept)]
    if predictions.empty:
        raise ValueError(f"{read_settings(run)['target']} has no AU labels: best and worst are unknown")
    aus = [column.removesuffix("_true") for column in predictions if column.endswith("_true")]
    count = min(count, len(predictions) // 2)
    figure, axes = face_grid(2, count, side=1.35, left=0.6, top=0.3)
    matrices = {} if dataset is None else _head_matrices(dataset)
    for row, name, chosen in zip(
        axes, ("best", "worst"), (predictions[:count], predictions[::-1][:count]), strict=True
    ):
        name_row(row[0], name)
        for axis, (_, face) in zip(row, chosen.iterrows(), strict=True):
            if dataset is None:
                show_face(axis, kept[face["image"]])
            else:
                show_face(axis, face_thumbnail(_folder_of(dataset) / face["image"], matrices[face["image"]]))
            write_on(axis, mistakes(face, aus))
    whole = (
        "the whole test split" if dataset is not None else f"{len(predictions)} faces fixed before training"
    )
    head(figure, f"target, of {whole}: AUs missed -, raised wrongly +", DOMAIN_COLOURS["target"])
    return figure


def face_thumbnail(picture: Path, matrix: np.ndarray) -> np.ndarray:
    """The head in a picture file, upright, (WIDE.size, WIDE.size, 3) uint8.

    Args:
        matrix: (2, 3) from the picture to that crop.
    """
    return crop_face(read_picture(picture), matrix, WIDE.size)


def head_matrix(face: pd.Series) -> np.ndarray:
    """From the picture to a crop of the head, by the square a row of predictions says was read."""
    scale = (WIDE.size - 1) / (HEAD * face["face_size"])
    roll = np.radians(face["face_roll"])
    rotation = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    offset = (WIDE.size - 1) / 2 - scale * rotation @ [face["face_x"], face["face_y"]]
    return np.concatenate([scale * rotation, offset[:, None]], axis=1)


def mistakes(face: pd.Series, aus: list[str]) -> str:
    """The AUs a row of predictions missed (-) and raised wrongly (+), by number: "-10 -17", then "+1 +2"."""
    missed = [f"-{int(au[2:])}" for au in aus if face[f"{au}_true"] == 1 and face[f"{au}_c"] == 0]
    wrong = [f"+{int(au[2:])}" for au in aus if face[f"{au}_true"] == 0 and face[f"{au}_c"] == 1]
    return "\n".join(" ".join(words) for words in (missed, wrong) if words) or "all right"


def _head_matrices(dataset: str | Path) -> dict[str, np.ndarray]:
    from aulib.dataset import read_dataset

    data = read_dataset(dataset)
    matrices = [crop_matrix(points, WIDE) for points in data.landmarks]
    return dict(zip(data.table["image"], matrices, strict=True))


def _folder_of(dataset_or_folder: str | Path) -> Path:
    if str(dataset_or_folder).startswith("synthetic:"):
        from aufaces.sets import resolve

        return resolve(str(dataset_or_folder))
    return Path(dataset_or_folder)
