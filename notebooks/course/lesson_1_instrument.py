"""Sliders for sixteen AUs move a rendered face; next to it what changed, and its FACS code."""

import ipywidgets as widgets
import numpy as np

from aubench.widgets import drawing
from aubench.widgets.drawing import ROW
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message
from aufaces.actions import AUS, PROTOTYPES
from aulib.labels import AU_NAMES
from lesson_1 import complete_lists, facs_code, opposed_pairs, render

SIDE = 256  # pixels of both pictures on the page
BRIGHT = 60  # change of a pixel, of 255, that is drawn at full strength


class AUSheet(widgets.VBox):
    """Sliders for sixteen AUs of one frontal person.

    Args:
        person: any number from 0.
    """

    def __init__(self, person: int = 10):
        square = widgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px", margin="0 8px 0 0")
        wide = {"style": {"description_width": "110px"}, "layout": widgets.Layout(width=f"{SIDE}px")}
        column = widgets.Layout(width=f"{2 * SIDE + 16}px")  # narrow enough to stand next to the sliders
        wrap = widgets.Layout(flex_flow="row wrap", display="flex", overflow="visible")
        self.sliders = {
            au: widgets.FloatSlider(
                value=0, min=0, max=5, step=0.1, description=f"{au} {AU_NAMES[au]}", readout_format=".1f",
                style={"description_width": "176px"},
                layout=widgets.Layout(width="340px", height=f"{ROW}px", margin="0"),
            ).add_class(au)
            for au in AUS
        }  # fmt: skip
        self.person = widgets.BoundedIntText(value=person, min=0, max=9999, description="person", **wide)
        self.listed = widgets.Dropdown(options=["none", *PROTOTYPES], description="a textbook list", **wide)
        self.rest = widgets.Button(description="all AUs to 0", layout=wide["layout"])
        self.face = widgets.Image(format="jpeg", layout=square).add_class("au-sheet-face")
        self.change = widgets.Image(format="jpeg", layout=square).add_class("au-sheet-change")
        self.said = widgets.HTML(layout=column).add_class("au-sheet-said")
        self.newest = NewestWins(self._work, self._show, self._fail)
        self._paused = False  # while several sliders move together
        pictures = widgets.Box([self.face, self.change], layout=wrap)
        controls = widgets.Box([self.person, self.listed, self.rest], layout=wrap)
        right = widgets.VBox([pictures, self.said, controls], layout=column)
        super().__init__([widgets.Box([widgets.VBox(list(self.sliders.values())), right], layout=wrap)])
        self.add_class("au-sheet")
        for control in (*self.sliders.values(), self.person):
            control.observe(lambda change: self._ask(), "value")
        self.listed.observe(
            lambda change: self.set_levels(dict.fromkeys(PROTOTYPES.get(change["new"], ()), 4.0)), "value"
        )
        self.rest.on_click(lambda button: self.set_levels({}))
        self._show(self._work(self._request()))  # the first picture is there when the cell ends

    @property
    def levels(self) -> dict[str, float]:
        """Intensities of the AUs that are not at 0; exercises take them as an answer."""
        return {au: slider.value for au, slider in self.sliders.items() if slider.value}

    def set_levels(self, levels: dict[str, float]) -> None:
        """Move all sliders at once; an AU that is not named goes to 0."""
        self._paused = True
        for au, slider in self.sliders.items():
            slider.value = levels.get(au, 0.0)
        self._paused = False
        self._ask()

    def _request(self):
        return self.levels, self.person.value

    def _ask(self) -> None:
        if not self._paused:
            self.newest.ask(self._request())

    def _work(self, request):
        levels, person = request
        picture, landmarks = render(levels, person)
        before, at_rest = render({}, person)
        changed = np.abs(picture.astype(np.float32) - before).mean(-1) / BRIGHT
        face = drawing.jpeg(drawing.with_landmarks(picture, landmarks, at_rest, SIDE))
        return levels, face, drawing.jpeg(drawing.with_evidence(picture, changed, SIDE))

    def _show(self, answer) -> None:
        levels, self.face.value, self.change.value = answer
        lines = [
            "dots: landmarks now; rings: at rest. Bright: what changed.",
            f"<b>FACS code</b> {facs_code(levels)}",
            f"<b>complete textbook lists</b> {', '.join(complete_lists(levels)) or 'none'}",
            *(f"<b>!</b> {a} and {b} pull against each other" for a, b in opposed_pairs(levels)),
        ]
        self.said.value = f'<div style="line-height:1.5;font-size:13px">{"<br>".join(lines)}</div>'

    def _fail(self, error: Exception) -> None:
        self.said.value = message("This face could not be rendered.", str(error)[:300], kind="fault")
