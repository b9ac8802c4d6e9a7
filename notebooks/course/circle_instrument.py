"""The circle to touch: a hand drags the two views of four faces, and loss and pulls follow."""

import io
from base64 import b64encode

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aubench.plots.style import HOUSE
from aubench.widgets.newest import NewestWins
from circle import LOSSES, Pulled, moved, pulled
from circle_figures import FACES, arrow_lengths, put_faces
from circle_points import CirclePoints

START = ((20.0, 110.0, 200.0, 290.0), (65.0, 80.0, 235.0, 340.0))
STEPS = 10  # that the button walks
SIDE = 300  # pixels of circle and table


class Circle(widgets.VBox):
    """Four faces, two views each, on a circle.

    Args:
        first, second: angles to start from, degrees.  temperature: of InfoNCE.
    """

    def __init__(self, first=START[0], second=START[1], temperature: float = 0.3):
        wide = {"style": {"description_width": "84px"}, "layout": widgets.Layout(width="300px")}
        colours = [FACES[face % len(FACES)] for face in range(len(first))]
        self.points = CirclePoints(first=list(first), second=list(second), colours=colours)
        self.temperature = widgets.FloatLogSlider(
            value=temperature, base=10, min=-2, max=0.5, step=0.01, description="temperature",
            readout_format=".2f", **wide,
        ).add_class("circle-temperature")  # fmt: skip
        self.loss = widgets.Dropdown(options=LOSSES, description="loss", **wide)
        auto = widgets.Layout(width="auto")
        self.walk = widgets.Button(description=f"{STEPS} steps along the pulls", layout=auto)
        self.gather = widgets.Button(description="all to one point")
        self.back = widgets.Button(description="as at first")
        square = widgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px")
        self.picture = widgets.Image(format="png", layout=square).add_class("circle-table")
        self.said = widgets.HTML().add_class("circle-said")
        self._lay_out(len(first))
        self._start, self._held = (list(first), list(second)), False
        self.newest = NewestWins(lambda asked: self._drawn(*asked), self._show, self._fail)
        self.points.observe(lambda change: self._ask(), ["first", "second"])
        for control in (self.temperature, self.loss):
            control.observe(lambda change: self._ask(), "value")
        self.walk.on_click(lambda button: self.put(*moved(*self._request(), steps=STEPS)))
        self.gather.on_click(lambda button: self.put([90.0] * len(first), [90.0] * len(first)))
        self.back.on_click(lambda button: self.put(*self._start))
        row = {"display": "flex", "flex_flow": "row wrap", "max_width": "660px"}
        seen = widgets.Box([self.points, self.picture], layout=widgets.Layout(**row))
        controls = (self.temperature, self.loss, self.walk, self.gather, self.back)
        rest = widgets.Box(controls, layout=widgets.Layout(**row))
        super().__init__([seen, self.said, rest])
        self.add_class("circle-instrument")
        self._show(self._drawn(*self._request()))  # the first picture is there when the cell ends

    def _repr_mimebundle_(self, **asked):
        """With a still picture beside it, for pages that cannot show controls."""
        return super()._repr_mimebundle_(**asked) | {"image/png": b64encode(self.still()).decode()}

    def still(self) -> bytes:
        """Circle and table as they stand, PNG."""
        first, second, temperature, loss = self._request()
        now = pulled(first, second, temperature, loss)
        with mpl.rc_context(HOUSE):
            figure = Figure(figsize=(6.2, 3.1), dpi=100)
            put_faces(figure.add_axes((0.0, 0.0, 0.5, 1.0)), first, second, now)
            _Table(figure.add_axes((0.61, 0.12, 0.38, 0.76)), len(first)).show(now)
            return _png(figure)

    def _lay_out(self, faces: int) -> None:
        """The figure is made once; a drag changes only its numbers."""
        with mpl.rc_context(HOUSE):
            self.figure = Figure(figsize=(SIDE / 100, SIDE / 100), dpi=100)
            self._table = _Table(self.figure.add_axes((0.2, 0.12, 0.78, 0.78)), faces)

    def put(self, first, second) -> None:
        """Move all points at once, degrees."""
        self._held = True
        self.points.first, self.points.second = (list(map(float, angles)) for angles in (first, second))
        self._held = False
        self._ask()

    def _request(self) -> tuple:
        return list(self.points.first), list(self.points.second), self.temperature.value, self.loss.value

    def _ask(self) -> None:
        if not self._held:
            self.newest.ask(self._request())

    def _drawn(self, first, second, temperature, loss) -> tuple[dict, bytes, str]:
        now = pulled(first, second, temperature, loss)
        with mpl.rc_context(HOUSE):
            self._table.show(now)
            table = _png(self.figure)
        unit = "nats" if loss == "InfoNCE" else "(1 - cosine)"
        said = f"<b>{loss}: {now.loss:.3f}</b> {unit}"
        if loss == "InfoNCE":
            said += f"; guessing among {len(first)} would be log {len(first)} = {np.log(len(first)):.3f}"
        return {"at": [first, second], "lengths": arrow_lengths(now).tolist()}, table, said

    def _show(self, drawn: tuple[dict, bytes, str]) -> None:
        self.points.pulls, self.picture.value, self.said.value = drawn

    def _fail(self, error: Exception) -> None:
        self.said.value = f"{type(error).__name__}: {error}"


class _Table:
    """Which ring a dot is taken for: a row a dot, shades and numbers that can be changed."""

    def __init__(self, axis: Axes, faces: int):
        self.shade = axis.imshow(np.zeros((faces, faces)), cmap="Greys", vmin=0, vmax=1)
        places = [(row, column) for row in range(faces) for column in range(faces)]
        self.shares = {
            (row, column): axis.text(column, row, "", ha="center", va="center") for row, column in places
        }
        axis.set_xticks(range(faces), [f"ring {face + 1}" for face in range(faces)])
        axis.set_yticks(range(faces), [f"dot {face + 1}" for face in range(faces)])
        axis.grid(False)
        axis.set_title("Which ring a dot is taken for")

    def show(self, now: Pulled) -> None:
        self.shade.set_data(now.taken_for)
        for place, share in np.ndenumerate(now.taken_for):
            self.shares[place].set(text=f"{share:.2f}", color="white" if share > 0.55 else "black")


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
