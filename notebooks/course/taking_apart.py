"""Taking apart: a face's shape and texture fade towards the mean face's, and what is read of it follows."""

import ipywidgets as widgets
import numpy as np
import torch

from aubench.inspection.decoding import decode
from aubench.inspection.shown_faces import ShownFaces
from aubench.widgets import drawing
from aubench.widgets.bars import bars
from aulib.model import AUModel, cells_to_pixels, expected_cells
from halves import take_apart

SIDE = 250


class TakingApart(widgets.VBox):
    """Two sliders, the share of S and of Z that is kept; G puts together what is left, and the heads read it.

    Args:
        faces: domain -> a few faces; S and Z fade towards the means of all of them.
    """

    def __init__(self, model: AUModel, faces: dict[str, ShownFaces]):
        self._model, self._faces = model, faces
        self._halves = {domain: take_apart(model, some.pictures) for domain, some in faces.items()}
        every = self._halves.values()
        self._mean_shape = torch.cat([half.shape for half in every]).mean(0)
        self._mean_texture = torch.cat([half.texture for half in every]).mean(0)
        wide = {"style": {"description_width": "110px"}, "layout": widgets.Layout(width="330px")}
        domains, last = list(faces), min(map(len, faces.values())) - 1
        self.domain = widgets.Dropdown(options=domains, value=domains[-1], description="domain", **wide)
        self.face = widgets.IntSlider(min=0, max=last, description="face", **wide)
        self.shape = widgets.FloatSlider(value=1, min=0, max=1, step=0.05, description="shape kept", **wide)
        self.texture = widgets.FloatSlider(
            value=1, min=0, max=1, step=0.05, description="texture kept", **wide
        )
        square = widgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px", margin="0 8px 0 0")
        self.picture, self.rebuilt = (widgets.Image(format="jpeg", layout=square) for _ in range(2))
        self.bars = widgets.HTML(layout=widgets.Layout(width="420px"))
        self.said = widgets.HTML()
        controls = (self.domain, self.face, self.shape, self.texture)
        for control in controls:
            control.observe(lambda change: self._draw(), "value")
        wrap = widgets.Layout(display="flex", flex_flow="row wrap", align_items="flex-start")
        seen = widgets.VBox([widgets.HBox([self.picture, self.rebuilt]), self.said, *controls])
        super().__init__([widgets.Box([seen, self.bars], layout=wrap)])
        self._draw()

    @torch.no_grad()
    def _draw(self) -> None:
        model, place = self._model, self.face.value
        shown, half = self._faces[self.domain.value][[place]], self._halves[self.domain.value]
        keep_s, keep_z = self.shape.value, self.texture.value
        shape = keep_s * half.shape[place] + (1 - keep_s) * self._mean_shape
        texture = keep_z * half.texture[place] + (1 - keep_z) * self._mean_texture
        features = model.reconstruction(shape[None], texture[None])
        maps = model.landmark_attention(model.landmark_head(features))
        size = shown.pictures.shape[-1]
        points = cells_to_pixels(expected_cells(maps), maps.shape[-1], size)[0].numpy()
        probability = model.au_head(features)[0].sigmoid()[0].tolist()
        true = shown.landmarks[0].numpy()
        face = drawing.with_landmarks(shown.pictures[0].permute(1, 2, 0).numpy(), None, true, SIDE)
        rebuilt = drawing.with_landmarks(decode(model, features, shown.pictures)[0], points, None, SIDE)
        self.picture.value, self.rebuilt.value = drawing.jpeg(face), drawing.jpeg(rebuilt)
        aus = model.config.aus
        known = dict(zip(aus, shown.occurrence[0], strict=True))
        occurs = {au: bool(value) for au, value in known.items() if not np.isnan(value)}
        self.bars.value = bars(dict(zip(aus, probability, strict=True)), occurs, names=True)
        off = np.linalg.norm(points - true, axis=1).mean()
        self.said.value = (
            f"Left the face with its true landmarks; right what G makes of the halves, decoded by the run's "
            f"own R, with the landmarks read from it: {off:.1f} pixels off."
        )
