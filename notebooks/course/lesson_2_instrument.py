"""Boxes put factors of the wild onto a studio face; a run's answers follow."""

from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image

from aubench.inspection.factor_faces import SEED
from aubench.inspection.playground import open_run, read_crop
from aubench.widgets import drawing
from aubench.widgets.bars import bars
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message
from aufaces.actions import AUS, OCCURS_AT
from aufaces.factors import FACTORS, face_with
from aufaces.renderer import FaceRenderer
from aulib.crops import crop_face, crop_matrix, crop_of

SIDE = 256  # pixels of the picture on the page


class FactorMixer(widgets.Box):
    """Boxes for the factors, a slider for the face; the picture and one bar per AU.

    Args:
        run: a finished run.  count: faces to choose from.
    """

    def __init__(self, run: str | Path, count: int = 100, seed: int = SEED):
        self.run, self.count, self.seed = open_run(run), count, seed
        self._spec = crop_of(self.run.model.config)
        self._renderer = FaceRenderer(self._spec.size)
        wide = widgets.Layout(width="max-content")  # a fixed width cuts the longest label
        self.boxes = {
            name: widgets.Checkbox(value=False, description=f"{name}: {about}", indent=False, layout=wide)
            for name, about in FACTORS.items()
        }
        self.index = widgets.IntSlider(value=0, min=0, max=count - 1, description="face")
        square = widgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px", margin="0 8px 0 0")
        self.face = widgets.Image(format="jpeg", layout=square)
        self.bars = widgets.HTML(layout=widgets.Layout(flex="1 1 430px", min_width="430px"))
        self.newest = NewestWins(self._work, self._show, self._fail)
        left = widgets.Layout(flex="0 0 auto", margin="0 12px 0 0")
        controls = widgets.VBox([self.face, self.index, *self.boxes.values()], layout=left)
        wrap = widgets.Layout(flex_flow="row wrap", display="flex", overflow="visible")
        super().__init__([controls, self.bars], layout=wrap)
        self.add_class("factor-mixer")
        for control in (self.index, *self.boxes.values()):
            control.observe(lambda change: self.newest.ask(self._request()), "value")
        self._show(self._work(self._request()))  # the first picture is there when the cell ends

    @property
    def factors(self) -> set[str]:
        """The factors that are on; exercise 4 takes them as an answer."""
        return {name for name, box in self.boxes.items() if box.value}

    def _request(self):
        return self.factors, self.index.value

    def _work(self, request):
        factors, index = request
        picture, landmarks, intensity = face_with(factors, self.seed, index, self.count, self._renderer)
        crop = crop_face(Image.fromarray(picture), crop_matrix(landmarks, self._spec), self._spec.size)
        reading = read_crop(self.run, crop, self.run.settings["read_target_from"])
        probability = dict(zip(self.run.aus, map(float, reading.probability), strict=True))
        occurrence = dict(zip(AUS, map(bool, np.asarray(intensity) >= OCCURS_AT), strict=True))
        return drawing.jpeg(drawing.enlarged(picture, SIDE)[0]), bars(probability, occurrence, names=True)

    def _show(self, answer) -> None:
        self.face.value, self.bars.value = answer

    def _fail(self, error: Exception) -> None:
        self.bars.value = message("This face could not be read.", str(error)[:300], kind="fault")
