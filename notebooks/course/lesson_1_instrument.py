"""Sliders for sixteen AUs move a rendered face; below it what changed, and its FACS code."""

import ipywidgets as widgets
import numpy as np
from PIL import Image

from aubench.widgets import drawing
from aufaces.actions import AUS, PROTOTYPES
from aulib.labels import AU_NAMES
from instrument import Instrument
from lesson_1 import complete_lists, facs_code, opposed_pairs, render

SIDE = 256  # pixels of each picture
BRIGHT = 60  # change of a pixel, of 255, that is drawn at full strength


class AUSheet(Instrument):
    """Sliders for sixteen AUs of one frontal person.

    Args:
        person: any number from 0.
    """

    def __init__(self, person: int = 10):
        sliders = {
            au: widgets.FloatSlider(
                value=0, max=5, step=0.1, description=f"{au} {AU_NAMES[au]}", readout_format=".1f"
            ).add_class(au)
            for au in AUS
        }
        others = {
            "person": widgets.BoundedIntText(value=person, min=0, max=9999, description="person"),
            "listed": widgets.Dropdown(options=["none", *PROTOTYPES], description="a textbook list"),
        }
        super().__init__(_answer, sliders | others, SIDE, "jpeg", aside="controls")
        for slider in sliders.values():
            slider.style.description_width, slider.layout.margin = "176px", "0"
        others["listed"].observe(
            lambda change: self.set_levels(dict.fromkeys(PROTOTYPES.get(change["new"], ()), 4.0)), "value"
        )
        self.picture.add_class("au-sheet-face")
        self.text.add_class("au-sheet-said")

    @property
    def levels(self) -> dict[str, float]:
        """Intensities of the AUs that are not at 0; exercises take them as an answer."""
        return {au: self.controls[au].value for au in AUS if self.controls[au].value}

    def set_levels(self, levels: dict[str, float]) -> None:
        """Move all sliders; an AU that is not named goes to 0."""
        for au in AUS:
            self.controls[au].value = levels.get(au, 0.0)


def _answer(person: int, listed: str, **sliders: float) -> tuple[bytes, str]:
    levels = {au: level for au, level in sliders.items() if level}
    picture, landmarks = render(levels, person)
    before, at_rest = render({}, person)
    changed = np.abs(picture.astype(np.float32) - before).mean(-1) / BRIGHT
    both = Image.new("RGB", (SIDE, 2 * SIDE + 8), "white")  # one column, so that it fits next to the sliders
    both.paste(drawing.with_landmarks(picture, landmarks, at_rest, SIDE), (0, 0))
    both.paste(drawing.with_evidence(picture, changed, SIDE), (0, SIDE + 8))
    lines = [
        "dots: landmarks now; rings: at rest",
        "bright below: what changed",
        f"<b>FACS code</b> {facs_code(levels)}",
        f"<b>complete textbook lists</b> {', '.join(complete_lists(levels)) or 'none'}",
        *(f"<b>!</b> {a} and {b} pull against each other" for a, b in opposed_pairs(levels)),
    ]
    return drawing.jpeg(both), "<br>".join(lines)
