"""Figures of faces: contact sheets, strongest faces of each AU, best and worst faces, first screen."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aubench.inspection.first_screen import FaceRead
from aubench.plots.attention import overlay_map
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
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.images import read_picture
from aulib.run import Samples

WIDE = CropSpec(size=160, box_enlarge=3.0)  # the whole head: what a viewer needs to judge an expression
HEAD = 1.05  # the same, as a multiple of the square a model reads
# A sign and a colour: some readers cannot see the colours.
RIGHT, WRONG, MISSED = ("✓", "#0072B2"), ("✗", "#D55E00"), ("–", "#666666")


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
    """For each AU the faces with the highest probability, strongest first, one row per AU.

    Args:
        predictions_csv: written by `predict.predict`.
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
        name_row(row[0], au_label(au, "\n"))
    head(figure, f"strongest faces of each AU, of {len(table)}; the number is the model's probability")
    return figure


@in_house_style
def draw_best_and_worst(
    predictions: pd.DataFrame, samples: Samples, dataset: str | Path | None = None, count: int = 8
) -> Figure:
    """The target test faces a run reads best and worst, by cross-entropy over their labelled AUs.

    Each face names the AUs that were missed (-) and the false alarms (+).

    Args:
        predictions: `results.faces_by_loss`, best first.  samples: the target faces that the run keeps.
        dataset: the target's dataset folder, to choose from its whole test split; without it, the kept faces.

    Raises:
        ValueError: the target's faces have no AU labels.
    """
    kept = dict(zip(samples.names, samples.images, strict=True))
    if dataset is None:
        predictions = predictions[predictions["image"].isin(kept)]
    if predictions.empty:
        raise ValueError("the target's test faces have no AU labels: best and worst are unknown")
    aus = [column.removesuffix("_true") for column in predictions if column.endswith("_true")]
    count = min(count, len(predictions) // 2)
    figure, axes = face_grid(2, count, side=1.35, left=0.6, top=0.3)
    matrices = {} if dataset is None else _head_matrices(dataset)
    for row, name, chosen in zip(
        axes, ("best", "worst"), (predictions[:count], predictions[::-1][:count]), strict=True
    ):
        name_row(row[0], name)
        for axis, (_, face) in zip(row, chosen.iterrows(), strict=True):
            image = face["image"]
            if dataset is None:
                show_face(axis, kept[image])
            else:
                show_face(axis, face_thumbnail(_folder_of(dataset) / image, matrices[image]))
            write_on(axis, mistakes(face, aus))
    chosen_from = "the whole test split" if dataset is not None else f"{len(predictions)} kept faces"
    head(figure, f"target, from {chosen_from}: - missed AUs, + false alarms", DOMAIN_COLOURS["target"])
    return figure


@in_house_style
def draw_first_screen(faces: list[FaceRead], aus: tuple[str, ...], au: str = "") -> Figure:
    """On a few faces: the picture, its reconstruction, where an AU is read, the AUs found.

    Args:
        faces, aus: `first_screen.read_kept_faces`.
        au: whose evidence is shown, on one scale per AU; by default of each face its most probable AU.

    Raises:
        ValueError: the run does not know the AU.
    """
    if au and au not in aus:
        raise ValueError(f"unknown AU {au}; the run knows {list(aus)}")
    rows, has_maps = ["face", "reconstruction\nof what is read"], faces[0].evidence is not None
    if has_maps:
        seen = au_label(au, "\n") if au else "its most\nprobable AU"
        rows.append(f"where\n{seen}\nis read")
        brightest = np.quantile([face.evidence for face in faces], 0.995, axis=(0, 2, 3)).clip(min=1e-6)
    figure, axes = face_grid(len(rows) + 1, len(faces), side=1.25, left=1.05, top=0.3)
    for column, face in zip(axes.T, faces, strict=True):
        colour = DOMAIN_COLOURS[face.domain]
        column[0].set_title(face.domain, fontsize=8, color=colour, fontweight="normal")
        show_face(column[0], face.picture)
        show_face(column[1], face.rebuilt)
        if has_maps:
            index = aus.index(au) if au else int(face.probability.argmax())
            overlay_map(column[2], face.seen, face.evidence[index] / brightest[index])
            write_on(column[2], aus[index])
        _list_aus(column[-1], face.probability, face.occurrence, aus)
    for axis, name in zip(axes[:, 0], [*rows, "AUs found\n✓ correct\n✗ wrong\n– missed"], strict=True):
        name_row(axis, name)
    return figure


def face_thumbnail(picture: Path, matrix: np.ndarray) -> np.ndarray:
    """The head in a picture file, upright, (WIDE.size, WIDE.size, 3) uint8.

    Args:
        matrix: (2, 3) from the picture to that crop.
    """
    return crop_face(read_picture(picture), matrix, WIDE.size)


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


def _list_aus(axis: Axes, probability: np.ndarray, occurrence: np.ndarray, names: tuple[str, ...]) -> None:
    """The AUs found on a face, correct or wrong where labels exist, and the missed ones."""
    lines = []
    for au, value, truth in zip(names, probability, occurrence, strict=True):
        sign, colour = ("", "black") if np.isnan(truth) else RIGHT if truth == 1 else WRONG
        if value < 0.5:
            if truth != 1:
                continue
            sign, colour = MISSED
        lines.append((f"{sign} {au} {value:.2f}".strip(), colour))
    for place, (text, colour) in enumerate(lines):
        column, line = divmod(place, 8)
        axis.text(
            0.04 + 0.5 * column,
            0.95 - 0.12 * line,
            text,
            color=colour,
            fontsize=6,
            va="top",
            transform=axis.transAxes,
        )
    if not lines:
        axis.text(0.04, 0.95, "none", fontsize=6, va="top", transform=axis.transAxes)
