"""The sheet of AUs: sixteen sliders move a rendered face; beside it what moved, and the code of it."""

import ipywidgets as widgets
import numpy as np

import acting
from aubench.widgets import drawing
from aubench.widgets.bars import ROW
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message
from aufaces.actions import AUS, PROTOTYPES
from aulib.labels import AU_NAMES

SIDE = 256  # pixels of both pictures on the page
BRIGHT = 60  # change of a pixel, of 255, that is drawn at full strength
NO_LIST = "none"


class AUSheet(widgets.VBox):
    """Sliders for sixteen AUs of one person, who looks straight ahead; no run is asked.

    Args:
        person: who, any number from 0.
    """

    def __init__(self, person: int = 10):
        named, narrow = {"description_width": "176px"}, {"description_width": "110px"}
        self.sliders = {
            au: widgets.FloatSlider(
                value=0, min=0, max=5, step=0.1, description=f"{au} {AU_NAMES[au]}", readout_format=".1f",
                style=named, layout=widgets.Layout(width="340px", height=f"{ROW}px", margin="0"),
            ).add_class(au)
            for au in AUS
        }  # fmt: skip
        wide = widgets.Layout(width=f"{SIDE}px")
        self.person = widgets.BoundedIntText(
            value=person, min=0, max=9999, description="person", style=narrow, layout=wide
        )
        self.listed = widgets.Dropdown(
            options=[NO_LIST, *PROTOTYPES], description="a textbook list", style=narrow, layout=wide
        )
        self.rest = widgets.Button(description="all AUs to 0", tooltip="a face at rest", layout=wide)
        self.face, self.change = _picture("au-sheet-face"), _picture("au-sheet-change")
        self.said = widgets.HTML(layout=widgets.Layout(width=f"{2 * SIDE + 16}px")).add_class("au-sheet-said")
        self.newest = NewestWins(self._work, self._show, self._fail)
        self._held = False
        wrap = {"flex_flow": "row wrap", "display": "flex", "overflow": "visible"}
        beside = widgets.VBox(
            [
                widgets.Box([self.face, self.change], layout=widgets.Layout(**wrap)),
                self.said,
                widgets.Box([self.person, self.listed, self.rest], layout=widgets.Layout(**wrap)),
            ],
            layout=widgets.Layout(width=f"{2 * SIDE + 16}px"),  # narrow enough to stand beside the sliders
        )
        sliders = widgets.VBox(list(self.sliders.values()))
        super().__init__([widgets.Box([sliders, beside], layout=widgets.Layout(**wrap))])
        self.add_class("au-sheet")
        for control in (*self.sliders.values(), self.person):
            control.observe(lambda change: self._ask(), "value")
        self.listed.observe(
            lambda change: self.act(dict.fromkeys(PROTOTYPES.get(change["new"], ()), 4.0)), "value"
        )
        self.rest.on_click(lambda button: self.act({}))
        self._show(self._work(self._request()))  # the first picture is there when the cell ends

    @property
    def levels(self) -> dict[str, float]:
        """Grades of the AUs that are not at 0: what exercises take as an answer."""
        return {au: slider.value for au, slider in self.sliders.items() if slider.value}

    def act(self, levels: dict[str, float]) -> None:
        """Move all sliders at once, those not named to 0."""
        self._held = True
        for au, slider in self.sliders.items():
            slider.value = levels.get(au, 0.0)
        self._held = False
        self._ask()

    def _request(self):
        return self.levels, self.person.value

    def _ask(self) -> None:
        if not self._held:
            self.newest.ask(self._request())

    def _work(self, request):
        levels, person = request
        picture, landmarks = acting.act(levels, person)
        before, at_rest = acting.act({}, person)
        changed = np.abs(picture.astype(np.float32) - before).mean(-1) / BRIGHT
        face = drawing.jpeg(drawing.with_landmarks(picture, landmarks, at_rest, SIDE))
        return levels, face, drawing.jpeg(drawing.with_evidence(picture, changed, SIDE))

    def _show(self, answer) -> None:
        levels, self.face.value, self.change.value = answer
        self.said.value = said_of(levels)

    def _fail(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:300]
        self.said.value = message("This face could not be made.", cause, kind="fault")


def said_of(levels: dict[str, float]) -> str:
    """HTML: the code, the lists that are complete, the pairs that no rendered face does together."""
    complete = ", ".join(acting.lists_complete(levels)) or "none"
    lines = [
        "dots: landmarks now; rings: at rest. Bright: what changed.",
        f"<b>a coder writes</b> {acting.code(levels)}",
        f"<b>textbook lists that are complete</b> {complete}",
    ]
    for first, second in acting.opposed_in(levels):
        lines.append(f"<b>!</b> {first} and {second} pull against each other: not rendered together")
    return f'<div style="line-height:1.5;font-size:13px">{"<br>".join(lines)}</div>'


def _picture(name: str) -> widgets.Image:
    side = f"{SIDE}px"
    picture = widgets.Image(format="jpeg", layout=widgets.Layout(width=side, height=side, margin="0 8px 0 0"))
    return picture.add_class(name)
