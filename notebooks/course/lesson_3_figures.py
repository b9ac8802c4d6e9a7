"""The figures of lesson 3, and a landmark map under a slider."""

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces, grey_pictures
from aubench.plots.style import (
    DOMAIN_COLOURS,
    face_grid,
    in_house_style,
    name_columns,
    name_row,
    offsets,
    row_panels,
    show_face,
    write_on,
)
from aulib.model import cells_to_pixels, expected_cells
from instrument import Instrument, png
from lesson_3 import POINTS, WAYS, places, spread, strength

MARKS = {
    "highest cell": ("s", "#E69F00", 8),
    "mean of the whole map": ("X", "#CC79A7", 7),
    "mean around the highest cell": ("o", "#56B4E9", 5),
}  # of lesson_3.WAYS: mark, colour, size
SIDE = 340  # pixels of the instrument's picture


def heatmap_reader(faces: dict[str, ShownFaces], logits: dict[str, Tensor]) -> Instrument:
    """Choose domain, face, landmark and the factor on the logits; the map and the places follow.

    Args:
        faces: domain -> faces.  logits: domain -> (n, K, h, w) landmark maps of them, before the soft-max.
    """

    def answer(domain: str, face: int, point: int, sharpness: float) -> tuple[bytes, str]:
        shown, one = faces[domain][[face]], logits[domain][face, point][None, None]
        size, true = shown.pictures.shape[-1], shown.landmarks[0, point]
        lines = []
        for (way, (_, colour, _)), sign in zip(MARKS.items(), "■✖●", strict=True):
            found = cells_to_pixels(places(one, way, sharpness), one.shape[-1], size)[0, 0]
            error = float(torch.linalg.norm(found - true))
            lines.append(f'<span style="color:{colour}">{sign}</span> {way}: {error:.1f} pixels off')
        cells = float(spread(one[0, 0], sharpness))
        lines.append(f"○ the true place. The map is spread over {cells:.1f} of {one[0, 0].numel()} cells.")
        return png(_draw_reading, shown, one[0, 0], sharpness, true), "<br>".join(lines)

    points = {name.replace("\n", " "): point for name, point in POINTS.items()}
    controls = {
        "domain": widgets.Dropdown(options=list(faces), value=list(faces)[-1], description="domain"),
        "face": widgets.IntSlider(min=0, max=min(map(len, faces.values())) - 1, description="face"),
        "point": widgets.Dropdown(options=points, description="landmark"),
        "sharpness": widgets.FloatLogSlider(value=1, min=-2, max=1, step=0.05, description="logits ×"),
    }
    return Instrument(answer, controls, SIDE, aside="controls")


def _draw_reading(face: ShownFaces, logits: Tensor, sharpness: float, true: Tensor) -> Figure:
    figure, axes = face_grid(1, 1, side=SIDE / 100)
    axis = axes[0, 0]
    _read_map(axis, face, logits, sharpness, scale=1.4)
    axis.plot(*true, "o", ms=16, mfc="none", mec="white", mew=1.6)
    return figure


def _read_map(axis: Axes, face: ShownFaces, logits: Tensor, sharpness: float, scale: float = 1.0) -> None:
    """One map (h, w) over its face, and the place that each of WAYS reads from it."""
    size = face.pictures.shape[-1]
    shape = (sharpness * logits).flatten().softmax(0).view(logits.shape)
    shown = F.interpolate(strength(shape)[None, None], (size, size), mode="nearest")[0, 0]
    _over(axis, grey_pictures(face.pictures)[0], shown.numpy())
    for way, (mark, colour, large) in MARKS.items():
        if not sharpness and way != WAYS[1]:
            continue  # no cell is the highest
        place = cells_to_pixels(places(logits[None, None], way, sharpness), logits.shape[-1], size)[0, 0]
        axis.plot(*place, mark, color=colour, ms=scale * large, mec="black", mew=0.6, label=way)


@in_house_style
def draw_maps(faces: dict[str, ShownFaces], logits: dict[str, Tensor]) -> Figure:
    """The first face of each domain: landmarks found, all maps summed, and five maps over the face.

    Over each map: its highest share of the mass in one cell.
    """
    figure, axes = face_grid(len(faces), 2 + len(POINTS), side=1.2, left=0.6, top=0.42)
    for row, (domain, shown) in zip(axes, faces.items(), strict=True):
        face = grey_pictures(shown.pictures[:1])[0]
        shape = logits[domain][:1].flatten(2).softmax(-1).view_as(logits[domain][:1])
        found = cells_to_pixels(expected_cells(shape), shape.shape[-1], face.shape[-1])[0].numpy()
        maps = F.interpolate(shape, face.shape, mode="nearest")[0].numpy()
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        show_face(row[0], shown.pictures[0].permute(1, 2, 0).numpy(), found)
        _over(row[1], face, maps.sum(0) / maps.sum(0).max())
        for axis, point in zip(row[2:], POINTS.values(), strict=True):
            _over(axis, face, maps[point] / maps[point].max())
            write_on(axis, f"{maps[point].max():.0%} in one cell", corner="top")
    name_columns(axes[0], ["landmarks\nfound", "all maps,\nsummed", *POINTS])
    return figure


def _over(axis: Axes, face: np.ndarray, shown: np.ndarray) -> None:
    show_face(axis, 0.6 * face)
    axis.imshow(shown, cmap="inferno", vmin=0, vmax=1, alpha=np.sqrt(shown.clip(0, 1)))


@in_house_style
def draw_sharpness(face: ShownFaces, logits: Tensor, point: int, factors=(0.0, 0.2, 0.5, 1.0, 3.0)) -> Figure:
    """One map under several factors on its logits, and the places that three WAYS read from it.

    Args:
        face: one face.  logits: (1, K, h, w) of it.  point: which landmark.
    """
    figure, axes = face_grid(1, len(factors), side=1.5, top=0.62)
    for axis, factor in zip(axes[0], factors, strict=True):
        _read_map(axis, face, logits[0, point], factor)
        name_columns([axis], [f"logits × {factor:g}\ncells covered: {spread(logits[0, point], factor):.0f}"])
    handles = axes[0, -1].get_legend_handles_labels()
    figure.legend(*handles, loc="upper center", ncols=3, handletextpad=0.2)
    return figure


@in_house_style
def draw_ways(table: pd.DataFrame) -> Figure:
    """`errors_by_way`: the error of each way to read a map, in both domains."""
    figure, (axis,) = row_panels(list(table.index), width=5.6)
    for domain, offset in zip(table, offsets(len(table.columns), 0.5), strict=True):
        places = np.arange(len(table)) + offset
        axis.plot(table[domain], places, "o", color=DOMAIN_COLOURS[domain], label=domain)
        for value, place in zip(table[domain], places, strict=True):
            axis.annotate(f"{value:.1f}", (value, place), (6, 0), textcoords="offset points", va="center")
    axis.set_xlim(0, 1.15 * table.to_numpy().max())
    axis.set_xlabel("landmark NME, % of the distance of the outer eye corners")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@in_house_style
def draw_errors_on_face(errors_of: dict[str, np.ndarray], faces: dict[str, ShownFaces]) -> Figure:
    """The mean face of each domain: each landmark as large and as bright as its mean error."""
    figure = Figure(figsize=(6.2, 2.9), layout="constrained")
    axes = figure.subplots(1, len(faces))
    means = {domain: values.mean(0) for domain, values in errors_of.items()}
    top = max(float(mean.max()) for mean in means.values())
    for axis, (domain, shown) in zip(axes, faces.items(), strict=True):
        points, mean = shown.landmarks.numpy().mean(0), means[domain]
        drawn = axis.scatter(
            *points.T, c=mean, s=4 + 60 * mean / top, cmap="viridis", vmin=0, vmax=top, lw=0.3, ec="black"
        )
        axis.set_title(f"{domain}: mean {mean.mean():.1f} %", color=DOMAIN_COLOURS[domain])
        axis.set_aspect("equal")
        axis.invert_yaxis()
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="mean error, % of the eye distance", shrink=0.85)
    return figure


@in_house_style
def draw_gains(table: pd.DataFrame) -> Figure:
    """`gains`: one extraction against two copies, right of the line where sharing is better."""
    figure, axes = row_panels(list(DOMAIN_COLOURS), 2, width=6.4)
    figure.get_layout_engine().set(wspace=0.1)  # or numbers of neighbouring axes touch
    labels = {"F1-frame": "gain of sharing, points", "landmark NME": "fall of the error, points"}
    for axis, (measure, label) in zip(axes, labels.items(), strict=True):
        rows = table[table["measure"] == measure].set_index("domain")
        for place, (domain, colour) in enumerate(DOMAIN_COLOURS.items()):
            row = rows.loc[domain]
            axis.plot([row.low, row.high], [place, place], color=colour, lw=2)
            axis.plot(row.gain, place, "o", color=colour)
        axis.axvline(0, color="#444444", lw=0.8, ls="--")
        axis.set_title(measure)
        axis.set_xlabel(label)
    return figure
