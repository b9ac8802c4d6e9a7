"""Boxes put factors of the wild onto a studio face; a run's answers follow."""

from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image

from aubench.inspection.factor_faces import SEED
from aubench.inspection.playground import open_run, read_crop
from aubench.widgets import drawing
from aubench.widgets.drawing import bars
from aufaces.actions import AUS, OCCURS_AT
from aufaces.factors import FACTORS, face_with
from aufaces.renderer import FaceRenderer
from aulib.crops import crop_face, crop_matrix, crop_of
from instrument import Instrument


class FactorMixer(Instrument):
    """Boxes for the factors, a slider for the face; the picture and one bar per AU.

    Args:
        run: a finished run.  count: faces to choose from.
    """

    def __init__(self, run: str | Path, count: int = 100, seed: int = SEED):
        opened = open_run(run)
        spec = crop_of(opened.model.config)
        renderer = FaceRenderer(spec.size)
        label = widgets.Layout(width="max-content")  # a fixed width cuts the longest label
        boxes = {
            name: widgets.Checkbox(
                value=False, description=f'<span style="font-size: 12px">{name}: {about}</span>',
                description_allow_html=True, indent=False, layout=label,
            )
            for name, about in FACTORS.items()
        }  # fmt: skip

        def answer(face: int, **ticked: bool) -> tuple[bytes, str]:
            factors = {name for name, on in ticked.items() if on}
            picture, landmarks, intensity = face_with(factors, seed, face, count, renderer)
            crop = crop_face(Image.fromarray(picture), crop_matrix(landmarks, spec), spec)
            reading = read_crop(opened, crop, opened.settings["read_target_from"])
            occurrence = dict(zip(AUS, map(bool, np.asarray(intensity) >= OCCURS_AT), strict=True))
            return drawing.jpeg(drawing.enlarged(picture)), bars(reading.probability, occurrence, names=True)

        face = widgets.IntSlider(value=0, min=0, max=count - 1, description="face")
        super().__init__(answer, {"face": face} | boxes, drawing.SIDE, "jpeg", aside="text")
        self.add_class("factor-mixer")

    @property
    def factors(self) -> set[str]:
        """The factors that are on; exercise 4 takes them as an answer."""
        return {name for name in FACTORS if self.controls[name].value}
