"""The heat map reader: one landmark's map over a face, its sharpness under a slider, three readings."""

import ipywidgets as widgets
import torch
from PIL import ImageDraw
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces
from aubench.widgets import drawing
from aulib.model import cells_to_pixels
from heatmaps import POINTS, WAYS, places, spread, strength

SIDE = 340
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
