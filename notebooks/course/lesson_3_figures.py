"""The figures of lesson 3, and a landmark map under a slider."""

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import ImageDraw
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces, luminance
from aubench.plots.style import DOMAIN_COLOURS, face_grid, in_house_style, name_row, show_face, write_on
from aubench.widgets import drawing
from aulib.model import cells_to_pixels, expected_cells
from lesson_3 import POINTS, WAYS, places, spread, strength

MARKS_OF_WAYS = (("s", "#E69F00", 8), ("X", "#CC79A7", 7), ("o", "#56B4E9", 5))  # as WAYS: mark, colour, size
SIDE = 340  # pixels of the instrument's picture
MARKS = (("□", "#E69F00"), ("✕", "#CC79A7"), ("●", "#56B4E9"))  # as WAYS


class HeatmapReader(widgets.VBox):
    """Choose domain, face, landmark and the factor on the logits; the map and the places follow at once.

    Args:
        faces: domain -> faces.  logits: domain -> (n, K, h, w) landmark maps of them, before the soft-max.
    """

    def __init__(self, faces: dict[str, ShownFaces], logits: dict[str, Tensor]):
        self._faces, self._logits = faces, logits
        wide = {"style": {"description_width": "90px"}, "layout": widgets.Layout(width="330px")}
        points = {name.replace("\n", " "): point for name, point in POINTS.items()}
        self.domain = widgets.Dropdown(
            options=list(faces), value=list(faces)[-1], description="domain", **wide
        )
        self.face = widgets.IntSlider(
            min=0, max=min(map(len, faces.values())) - 1, description="face", **wide
        )
        self.point = widgets.Dropdown(options=points, description="landmark", **wide)
        self.sharpness = widgets.FloatLogSlider(
            value=1, base=10, min=-2, max=1, step=0.05, description="logits ×", **wide
        )
        self.picture = widgets.Image(
            format="jpeg", layout=widgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px")
        )
        self.said = widgets.HTML()
        controls = (self.domain, self.face, self.point, self.sharpness)
        for control in controls:
            control.observe(lambda change: self._draw(), "value")
        wrap = widgets.Layout(display="flex", flex_flow="row wrap", align_items="flex-start")
        super().__init__([widgets.Box([self.picture, widgets.VBox([*controls, self.said])], layout=wrap)])
        self._draw()

    def _draw(self) -> None:
        faces, factor = self._faces[self.domain.value], self.sharpness.value
        picture = faces.pictures[self.face.value].permute(1, 2, 0).numpy()
        logits = self._logits[self.domain.value][self.face.value, self.point.value][None, None]
        side, true = picture.shape[0], faces.landmarks[self.face.value, self.point.value]
        shape = (factor * logits).flatten(2).softmax(-1).view(logits.shape[-2:])
        drawn = drawing.with_evidence(picture, strength(shape).numpy(), SIDE)
        draw, scale = ImageDraw.Draw(drawn), SIDE / side
        x, y = (true + 0.5) * scale
        draw.ellipse((x - 10, y - 10, x + 10, y + 10), outline="white", width=2)
        lines = []
        for way, (mark, colour) in zip(WAYS, MARKS, strict=True):
            found = cells_to_pixels(places(logits, way, factor), logits.shape[-1], side)[0, 0]
            x, y = (found + 0.5) * scale
            _mark(draw, mark, colour, float(x), float(y))
            error = float(torch.linalg.norm(found - true))
            lines.append(f'<span style="color:{colour}">{mark}</span> {way}: {error:.1f} pixels off')
        cells = float(spread(logits[0, 0], factor))
        lines.append(f"○ the true place. The map is spread over {cells:.1f} of {logits[0, 0].numel()} cells.")
        self.picture.value = drawing.jpeg(drawn)
        self.said.value = f'<div style="line-height:1.5">{"<br>".join(lines)}</div>'


def _mark(draw: ImageDraw.ImageDraw, mark: str, colour: str, x: float, y: float) -> None:
    """Three marks that can lie on each other: a frame of about a cell, a cross, a dot."""
    if mark == "□":
        for far, width, ink in ((7, 4, "black"), (6, 2, colour)):  # a rim, or it drowns in a bright map
            draw.rectangle((x - far, y - far, x + far, y + far), outline=ink, width=width)
    elif mark == "✕":
        for width, ink in ((5, "black"), (3, colour)):
            draw.line((x - 5, y - 5, x + 5, y + 5), ink, width)
            draw.line((x - 5, y + 5, x + 5, y - 5), ink, width)
    else:
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour, outline="black")


@in_house_style
def draw_maps(faces: dict[str, ShownFaces], logits: dict[str, Tensor]) -> Figure:
    """The first face of each domain: landmarks found, all maps summed, and five maps over the face.

    Over each map: its highest share of the mass in one cell.
    """
    figure, axes = face_grid(len(faces), 2 + len(POINTS), side=1.2, left=0.6, top=0.42)
    for row, (domain, shown) in zip(axes, faces.items(), strict=True):
        face = luminance(shown.pictures[:1])[0]
        shape = logits[domain][:1].flatten(2).softmax(-1).view_as(logits[domain][:1])
        found = cells_to_pixels(expected_cells(shape), shape.shape[-1], face.shape[-1])[0].numpy()
        maps = F.interpolate(shape, face.shape, mode="nearest")[0].numpy()
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        show_face(row[0], shown.pictures[0].permute(1, 2, 0).numpy(), found)
        _over(row[1], face, maps.sum(0) / maps.sum(0).max())
        for axis, point in zip(row[2:], POINTS.values(), strict=True):
            _over(axis, face, maps[point] / maps[point].max())
            write_on(axis, f"{maps[point].max():.0%} in one cell", corner="top")
    for axis, title in zip(axes[0], ["landmarks\nfound", "all maps,\nsummed", *POINTS], strict=True):
        axis.set_title(title, fontsize=7.5, fontweight="normal", loc="center")
    return figure


def _over(axis, face: np.ndarray, shown: np.ndarray) -> None:
    show_face(axis, 0.6 * face)
    axis.imshow(shown, cmap="inferno", vmin=0, vmax=1, alpha=np.sqrt(shown.clip(0, 1)))


@in_house_style
def draw_sharpness(face: ShownFaces, logits: Tensor, point: int, factors=(0.0, 0.2, 0.5, 1.0, 3.0)) -> Figure:
    """One map under several factors on its logits, and the places that three WAYS read from it.

    Args:
        face: one face.  logits: (1, K, h, w) of it.  point: which landmark.
    """
    figure, axes = face_grid(1, len(factors), side=1.5, top=0.62)
    size, grey = face.pictures.shape[-1], luminance(face.pictures)[0]
    for axis, factor in zip(axes[0], factors, strict=True):
        shape = (factor * logits[0, point]).flatten().softmax(0).view(logits.shape[-2:])
        _over(
            axis, grey, F.interpolate(strength(shape)[None, None], (size, size), mode="nearest")[0, 0].numpy()
        )
        for way, (mark, colour, large) in zip(WAYS, MARKS_OF_WAYS, strict=True):
            if not factor and way != WAYS[1]:
                continue  # no cell is the highest
            place = cells_to_pixels(places(logits, way, factor), logits.shape[-1], size)[0, point]
            label = way if factor == factors[-1] else None
            axis.plot(*place, mark, color=colour, ms=large, mec="black", mew=0.6, label=label)
        cells = float(spread(logits[0, point], factor))
        axis.set_title(
            f"logits × {factor:g}\nspread over {cells:.0f} cell{'s' if round(cells) != 1 else ''}",
            fontsize=7.5,
            fontweight="normal",
            loc="center",
        )
    figure.legend(loc="upper center", ncols=3, handletextpad=0.2)
    return figure


@in_house_style
def draw_ways(table: pd.DataFrame) -> Figure:
    """`errors_by_way`: the error of each way to read a map, in both domains."""
    figure = Figure(figsize=(5.6, 1.7), layout="constrained")
    axis = figure.subplots()
    for offset, domain in zip((0.12, -0.12), table, strict=True):
        heights = np.arange(len(table))[::-1] + offset
        axis.plot(table[domain], heights, "o", color=DOMAIN_COLOURS[domain], label=domain)
        for value, height in zip(table[domain], heights, strict=True):
            axis.annotate(f"{value:.1f}", (value, height), (6, 0), textcoords="offset points", va="center")
    axis.set_yticks(np.arange(len(table))[::-1], table.index)
    axis.set_ylim(-0.5, len(table) - 0.5)
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
    figure = Figure(figsize=(6.4, 1.5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.1)  # or numbers of neighbouring axes touch
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (measure, rows) in zip(axes, table.groupby("measure"), strict=True):
        for height, row in enumerate(rows.sort_values("domain", ascending=False).itertuples()):
            colour = DOMAIN_COLOURS[row.domain]
            axis.plot([row.low, row.high], [height, height], color=colour, lw=2)
            axis.plot(row.gain, height, "o", color=colour)
        axis.axvline(0, color="#444444", lw=0.8, ls="--")
        axis.set_yticks([0, 1], ["target", "source"])
        axis.set_ylim(-0.6, 1.6)
        axis.set_title(measure)
        axis.set_xlabel("gain of sharing, points" if measure == "F1-frame" else "fall of the error, points")
    return figure
