"""The circle to touch: sliders drag the two views of four faces, and loss and pulls follow."""

import io

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aulib.course.circle import LOSSES, moved, pulled
from aulib.course.circle_figures import put_faces
from aulib.plots.looks import HOUSE
from aulib.widgets.newest import NewestWins

START = ((20.0, 110.0, 200.0, 290.0), (65.0, 80.0, 235.0, 340.0))
STEPS = 10  # that the button walks


class Circle(widgets.VBox):
    """Four faces, two views each, on a circle.

    Args:
        first, second: angles to start from, degrees.  temperature: of InfoNCE.
    """

    def __init__(self, first=START[0], second=START[1], temperature: float = 0.3):
        narrow = {"description_width": "64px"}
        layout = widgets.Layout(width="300px")
        self.sliders = [
            [
                widgets.FloatSlider(
                    value=angle, min=0, max=360, step=1, description=f"{view} {face + 1}, °", style=narrow,
                    layout=layout, readout_format=".0f",
                )
                for face, angle in enumerate(angles)
            ]
            for view, angles in (("dot", first), ("ring", second))
        ]  # fmt: skip
        self.temperature = widgets.FloatLogSlider(
            value=temperature, base=10, min=-2, max=0.5, step=0.05, description="temperature",
            style={"description_width": "84px"}, layout=layout, readout_format=".2f",
        )  # fmt: skip
        self.loss = widgets.Dropdown(
            options=LOSSES, description="loss", style={"description_width": "84px"}, layout=layout
        )
        self.walk = widgets.Button(
            description=f"{STEPS} steps along the pulls", layout=widgets.Layout(width="auto")
        )
        self.gather = widgets.Button(description="all to one point")
        self.back = widgets.Button(description="as at first")
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="620px", height="310px"))
        self.said = widgets.HTML()
        self._lay_out(len(first))
        self._start, self._held = (list(first), list(second)), False
        self.newest = NewestWins(lambda asked: self._drawn(*asked), self._show, self._fail)
        for control in (*self.sliders[0], *self.sliders[1], self.temperature, self.loss):
            control.observe(lambda change: self._ask(), "value")
        self.walk.on_click(lambda button: self.put(*moved(*self._request(), steps=STEPS)))
        self.gather.on_click(lambda button: self.put([90.0] * len(first), [90.0] * len(first)))
        self.back.on_click(lambda button: self.put(*self._start))
        row = widgets.Layout(flex_flow="row wrap", display="flex")
        controls = widgets.Box([*map(widgets.VBox, self.sliders)], layout=row)
        rest = widgets.Box(
            [self.temperature, self.loss, self.walk, self.gather, self.back],
            layout=widgets.Layout(flex_flow="row wrap", display="flex", max_width="640px"),
        )
        super().__init__([self.picture, self.said, controls, rest])
        self._show(self._drawn(*self._request()))  # the first picture is there when the cell ends

    def _lay_out(self, faces: int) -> None:
        """The figure is made once; a slider changes only what moves."""
        with mpl.rc_context(HOUSE):
            self.figure = Figure(figsize=(6.2, 3.1), dpi=100)
            FigureCanvasAgg(self.figure)
            self._left = self.figure.add_axes((0.0, 0.0, 0.5, 1.0))
            right = self.figure.add_axes((0.61, 0.12, 0.38, 0.76))
            self._table = right.imshow(np.zeros((faces, faces)), cmap="Greys", vmin=0, vmax=1)
            self._shares = {
                (row, column): right.text(column, row, "", ha="center", va="center")
                for row in range(faces)
                for column in range(faces)
            }
            right.set_xticks(range(faces), [f"ring {face + 1}" for face in range(faces)])
            right.set_yticks(range(faces), [f"dot {face + 1}" for face in range(faces)])
            right.grid(False)
            right.set_title("Which ring a dot is taken for")

    def put(self, first, second) -> None:
        """Move all points at once, degrees."""
        self._held = True
        for sliders, angles in zip(self.sliders, (first, second), strict=True):
            for slider, angle in zip(sliders, angles, strict=True):
                slider.value = float(angle)
        self._held = False
        self._ask()

    def _request(self) -> tuple:
        first, second = ([slider.value for slider in sliders] for sliders in self.sliders)
        return first, second, self.temperature.value, self.loss.value

    def _ask(self) -> None:
        if not self._held:
            self.newest.ask(self._request())

    def _drawn(self, first, second, temperature, loss) -> tuple[bytes, str]:
        now = pulled(first, second, temperature, loss)
        with mpl.rc_context(HOUSE):
            self._left.clear()
            put_faces(self._left, first, second, now)
            self._table.set_data(now.taken_for)
            for place, share in np.ndenumerate(now.taken_for):
                self._shares[place].set(text=f"{share:.2f}", color="white" if share > 0.55 else "black")
            stream = io.BytesIO()
            self.figure.canvas.print_png(stream)
        unit = "nats" if loss == "InfoNCE" else "(1 - cosine)"
        said = f"<b>{loss}: {now.loss:.3f}</b> {unit}"
        if loss == "InfoNCE":
            said += f"; guessing among {len(first)} would be log {len(first)} = {np.log(len(first)):.3f}"
        return stream.getvalue(), said

    def _show(self, drawn: tuple[bytes, str]) -> None:
        self.picture.value, self.said.value = drawn

    def _fail(self, error: Exception) -> None:
        self.said.value = f"{type(error).__name__}: {error}"
