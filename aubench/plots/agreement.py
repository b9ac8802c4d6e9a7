"""Tools compared: the faces on which two differ most, scores by condition."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from aubench.datasets.landmark_tables import pair_names
from aubench.datasets.picture_files import list_pictures
from aubench.datasets.videos import Clip, clip_frames
from aubench.plots.style import (
    LINE_COLOURS,
    face_grid,
    in_house_style,
    offsets,
    row_panels,
    show_face,
    write_on,
)
from aulib.images import BACKGROUND, read_picture
from aulib.metrics import MEASURES

COLUMNS, SIDE = 6, 112  # faces in a row, pixels of each


@in_house_style
def draw_disagreements(table: pd.DataFrame, faces: str | Path, names: tuple[str, str]) -> Figure:
    """Faces with the AU and what each of two tools wrote.

    Args:
        table: of `agreement.disagreements`.
        faces: the clip, or a folder of pictures named as the table's keys.
        names: of the two tools.

    Raises:
        ValueError: `faces` has none of the frames or pictures, or ends before a frame.
    """
    crops = _crops(table, Path(faces))
    title = f"where {names[0]} (first) and {names[1]} (second) differ most"
    figure, axes = face_grid(-(-len(table) // COLUMNS), COLUMNS, side=1.2, title=title)
    for axis, row, crop in zip(axes.flat, table.itertuples(), crops, strict=False):
        if crop is not None:
            show_face(axis, crop)
        write_on(axis, f"{row.au}: {row.a} | {row.b}")
        write_on(axis, f"{row.key}", "top")
    return figure


@in_house_style
def draw_conditions(table: pd.DataFrame) -> Figure:
    """Mean AUC of each tool in each stratum of which at least one has an AUC, with its 95 % interval.

    Args:
        table: of `agreement.by_condition`.
    """
    table = table[table.groupby(["condition", "stratum"])["auc"].transform("count") > 0]
    names, strata = table["table"].unique(), table.drop_duplicates(["condition", "stratum"])
    labels = [f"{row.condition}: {row.stratum} ({row.faces})" for row in strata.itertuples()]
    figure, (axis,) = row_panels(labels, row=0.14 + 0.1 * len(names))
    for name, colour, offset in zip(names, cycle(LINE_COLOURS), offsets(len(names)), strict=False):
        own = table.loc[table["table"] == name, ["auc", "auc_low", "auc_high"]]
        value, low, high = own.to_numpy(float).T  # by_condition gives every tool a row of each stratum
        spread = np.clip([value - low, high - value], 0, None)
        style = {"fmt": "o", "ms": 4, "color": colour, "elinewidth": 1.2}
        axis.errorbar(value, np.arange(len(own)) + offset, xerr=spread, label=name, **style)
    axis.set_xlabel(f"{MEASURES['auc'].title}, mean over AUs")
    figure.legend(loc="outside upper center", ncols=min(4, len(names)))
    return figure


def _crops(table: pd.DataFrame, faces: Path) -> list[np.ndarray | None]:
    keys = set(table["key"])
    if faces.is_dir() and not all(isinstance(key, int | np.integer) for key in keys):
        names = pair_names(keys, list_pictures(faces)[0], faces)
        found = {key: read_picture(faces / name) for key, name in names.items()}
    else:
        found, end = {}, 0
        for frame in clip_frames(Clip(faces)):
            end = frame.number + 1
            if end in keys:
                found[end] = frame.picture
            if len(found) == len(keys):
                break
        if beyond := [key for key in keys if isinstance(key, int | np.integer) and key > end]:
            raise ValueError(f"{faces} ends at frame {end}, the tables have frame {max(beyond)}")
    if not found:
        raise ValueError(f"{faces} has none of the faces, as {table['key'].iloc[0]}")
    return [_cut(found.get(row.key), row) for row in table.itertuples()]


def _cut(picture: Image.Image | None, row) -> np.ndarray | None:
    if picture is None:
        return None
    half = 0.85 * row.size if row.size == row.size else max(picture.size) / 2
    x, y = (row.x, row.y) if row.x == row.x else np.array(picture.size) / 2
    box = (x - half, y - half, x + half, y + half)
    return np.asarray(
        picture.transform(
            (SIDE, SIDE), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=BACKGROUND
        )
    )
