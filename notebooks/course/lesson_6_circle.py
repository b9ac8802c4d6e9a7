"""Faces on a circle, drawn and moved by hand: dots are first views, rings second views, arrows pulls."""

from base64 import b64encode
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from aubench.plots.style import PAGE, SUPERVISOR_COLOURS, in_house_style
from aubench.widgets.newest import NewestWins
from instrument import png
from lesson_6 import LOSSES, Pulled, SmallEncoder, moved, pulled

FACES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe & Ito 2008
ARROW = 0.45  # length of the strongest pull, in radii of the circle
WEAKEST = 0.02  # nats a radian; a weaker pull has no arrow
START = ((20.0, 110.0, 200.0, 290.0), (65.0, 80.0, 235.0, 340.0))  # degrees
STEPS = 10  # of the walk button


def bare_circle(axis: Axes, room: float = 1.45) -> None:
    axis.set_axis_off()
    axis.set_aspect("equal")
    turn = np.linspace(0, 2 * np.pi, 181)
    axis.plot(np.cos(turn), np.sin(turn), color="#BBBBBB", linewidth=0.8, zorder=1)
    axis.set_xlim(-room, room)
    axis.set_ylim(-room, room)


def arrow_lengths(now: Pulled) -> np.ndarray:
    """(2, N) length of the arrow of each first and second view, in radii; the strongest is ARROW long."""
    pulls = np.stack([now.pull_first, now.pull_second])
    strongest = np.abs(pulls).max()
    return np.where(np.abs(pulls) > WEAKEST, pulls * (ARROW / max(strongest, WEAKEST)), 0.0)


def draw_points(axis: Axes, first, second, now: Pulled) -> None:
    """Both views of each face, joined, with an arrow where a view is pulled."""
    bare_circle(axis)
    for angle in sorted({round(angle) for angle in first}):  # coinciding dots share one label
        names = ", ".join(str(face + 1) for face, other in enumerate(first) if round(other) == angle)
        x, y = 1.26 * np.cos(np.deg2rad(angle)), 1.26 * np.sin(np.deg2rad(angle))
        axis.text(x, y, names, ha="center", va="center", fontsize=9)
    arrow = {"arrowstyle": "-|>", "color": "#333333", "linewidth": 1.1, "shrinkA": 3, "shrinkB": 0}
    angles, lengths = np.deg2rad([first, second]), arrow_lengths(now)
    for face in range(len(first)):
        colour = FACES[face % len(FACES)]
        x, y = np.cos(angles[:, face]), np.sin(angles[:, face])
        axis.plot(x, y, color=colour, linewidth=1, alpha=0.6, zorder=2)
        axis.scatter(x[0], y[0], s=58, color=colour, zorder=3)
        axis.scatter(x[1], y[1], s=110, facecolors="none", edgecolors=colour, linewidths=1.8, zorder=4)
        for view in np.flatnonzero(lengths[:, face]):
            along = lengths[view, face]
            tip = (x[view] - y[view] * along, y[view] + x[view] * along)
            axis.annotate("", tip, (x[view], y[view]), arrowprops=arrow, zorder=5)


@in_house_style
def draw_arrangements(arrangements: dict[str, tuple], temperature: float) -> Figure:
    """Circles side by side, with both losses. arrangements: title -> (first, second), degrees."""
    figure = Figure(figsize=(min(2.25 * len(arrangements), PAGE), 2.75), layout="constrained")
    axes = figure.subplots(1, len(arrangements), squeeze=False)[0]
    for axis, (title, views) in zip(axes, arrangements.items(), strict=True):
        now = pulled(*views, temperature)
        draw_points(axis, *views, now)
        axis.set_title(title, loc="center")
        only = pulled(*views, temperature, "pull only").loss
        _below(axis, f"InfoNCE {now.loss:.2f} nats\npull only {only:.2f}")
    return figure


def _below(axis: Axes, text: str) -> None:
    axis.text(0.5, -0.02, text, transform=axis.transAxes, ha="center", va="top", fontsize=8)


@in_house_style
def draw_push(
    anchor: float, own: float, rivals: list[float], temperature: float
) -> tuple[Figure, pd.DataFrame]:
    """How an anchor is matched over temperatures, and each rival's share of the push.

    Args:
        anchor, own: degrees of a face's first and second view.  rivals: of the second views of other faces.

    Returns:
        figure; table with temperature, own (probability of the own view), rival 1, ... (share of the push).
    """
    temperatures = np.geomspace(0.01, 3, 80)
    cosines = torch.tensor(np.cos(np.deg2rad(np.array([own, *rivals]) - anchor)) / temperatures[:, None])
    names = [f"rival {place + 1}" for place in range(len(rivals))]
    table = pd.DataFrame(cosines[:, 1:].softmax(1).numpy(), columns=names)
    table.insert(0, "own", cosines.softmax(1)[:, 0].numpy())
    table.insert(0, "temperature", temperatures)
    figure = Figure(figsize=(PAGE, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    bare_circle(left, 1.75)
    points = zip(["anchor", "own", *names], [anchor, own, *rivals], ["black", "black", *FACES], strict=False)
    for name, degrees, colour in points:
        x, y = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        fill = colour if name == "anchor" else "none"
        left.scatter(x, y, s=80, facecolors=fill, edgecolors=colour, linewidths=1.8, zorder=3)
        side = "left" if x > 0.1 else "right" if x < -0.1 else "center"
        left.text(1.28 * x, 1.28 * y, name, color=colour, ha=side, va="center")
    right.plot(temperatures, table["own"], color="black", linestyle="--", label="matched with itself")
    for name, colour in zip(names, FACES, strict=False):
        right.plot(temperatures, table[name], color=colour, label=f"push of {name}")
    right.axvline(temperature, color="#999999", linewidth=1, label=f"temperature {temperature:g}")
    right.set_xscale("log")
    right.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    right.set_ylim(-0.02, 1.02)
    right.set_xlabel("temperature (log scale)")
    right.set_ylabel("share")
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, table


@in_house_style
def draw_encoders(encoders: dict[str, SmallEncoder]) -> Figure:
    """Where small networks put a batch of unseen faces: dots have the AU, crosses do not."""
    figure = Figure(figsize=(PAGE * len(encoders) / 4, 2.8), layout="constrained")
    axes = figure.subplots(1, len(encoders), squeeze=False)[0]
    for axis, (title, encoder) in zip(axes, encoders.items(), strict=True):
        bare_circle(axis, 1.15)
        for present, marker, colour in ((True, "o", "#D55E00"), (False, "x", "#0072B2")):
            x, y = encoder.first[: encoder.batch][encoder.present[: encoder.batch] == present].T
            axis.scatter(x, y, s=20, marker=marker, color=colour, linewidths=1, alpha=0.8, zorder=3)
        axis.set_title(title, loc="center")
        _below(axis, f"spread {encoder.spread:.2f}\nInfoNCE {encoder.nats:.2f}")
    guessing = np.log(encoder.batch)
    note = f"dots: AU present, crosses: AU absent; InfoNCE in nats, guessing is {guessing:.2f}"
    figure.supxlabel(note, fontsize=8)
    return figure


@in_house_style
def draw_six(curves: pd.DataFrame, alignment: pd.DataFrame) -> Figure:
    """The supervisors of a run: losses over the steps as a share of guessing, and agreement at the end.

    Args:
        curves: supervisor, step, value, chance (nats).
        alignment: `swaps.alignment_of` the run.
    """
    figure = Figure(figsize=(PAGE, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    for name, curve in curves.groupby("supervisor", sort=False):
        marker = "o" if len(curve) < 3 else None
        share = curve["value"] / curve["chance"]
        left.plot(curve["step"], share, color=SUPERVISOR_COLOURS[name], marker=marker)
    left.axhline(1, color="black", linestyle="--", linewidth=0.9)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    left.set_xlabel("step; colours as on the right")
    left.set_ylabel("loss / log N (dashed: guessing)")
    left.set_title("Is anything left to learn?")
    for place, row in enumerate(alignment.itertuples()):
        colour = SUPERVISOR_COLOURS[row.supervisor]
        right.plot([row.projected_other, row.projected], [place, place], color=colour, linewidth=1.4)
        right.scatter(row.projected, place, s=42, color=colour, zorder=3)
        right.scatter(row.projected_other, place, s=42, facecolors="white", edgecolors=colour, zorder=3)
    right.set_yticks(range(len(alignment)), alignment["supervisor"])
    right.set_ylim(len(alignment) - 0.5, -0.5)
    right.set_xlim(-1.05, 1.05)
    right.set_xlabel("cosine of both rounds after the projector\nfilled: own face, ring: another face")
    right.set_title("Do the rounds agree?")
    return figure


class CirclePoints(anywidget.AnyWidget):
    """Dots (first views) and rings (second views) of N faces; ipywidgets has nothing one can drag.

    first, second: (N,) degrees, counter-clockwise from the right; set by both sides.
    pulls: `at` ([first, second]) and `lengths`, 2 rows of N radii, positive is counter-clockwise. The page
    draws them while the points are still there.
    """

    _esm, _css = (Path(__file__).with_suffix(ending) for ending in (".js", ".css"))
    first = traitlets.List(traitlets.Float()).tag(sync=True)
    second = traitlets.List(traitlets.Float()).tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    pulls = traitlets.Dict({"at": [], "lengths": []}).tag(sync=True)


class Circle(widgets.VBox):
    """Four faces, two views each, on a circle: drag them, and loss and pulls follow.

    Args:
        first, second: degrees to start from.  temperature: of InfoNCE.
    """

    def __init__(self, first=START[0], second=START[1], temperature: float = 0.3):
        self._start = list(first), list(second)
        colours = [FACES[face % len(FACES)] for face in range(len(first))]
        self.points = CirclePoints(first=list(first), second=list(second), colours=colours)
        wide = {"style": {"description_width": "84px"}, "layout": widgets.Layout(width="300px")}
        self.temperature = widgets.FloatLogSlider(
            value=temperature, base=10, min=-2, max=0.5, step=0.01, description="temperature",
            readout_format=".2f", **wide,
        ).add_class("circle-temperature")  # fmt: skip
        self.loss = widgets.Dropdown(options=LOSSES, description="loss", **wide)
        auto = widgets.Layout(width="auto")
        self.walk = widgets.Button(description=f"{STEPS} steps along the pulls", layout=auto)
        self.gather = widgets.Button(description="all to one point")
        self.back = widgets.Button(description="back to start")
        square = widgets.Layout(width="300px", height="300px")
        self.picture = widgets.Image(format="png", layout=square).add_class("circle-table")
        self.text = widgets.HTML().add_class("circle-said")
        self.newest = NewestWins(lambda values: self._drawn(*values), self._show, self._fail)
        self.points.observe(lambda change: self._ask(), ["first", "second"])
        for control in (self.temperature, self.loss):
            control.observe(lambda change: self._ask(), "value")
        self.walk.on_click(lambda button: self.put(*moved(*self._values(), steps=STEPS)))
        self.gather.on_click(lambda button: self.put([90.0] * len(first), [90.0] * len(first)))
        self.back.on_click(lambda button: self.put(*self._start))
        row = widgets.Layout(display="flex", flex_flow="row wrap", max_width="660px")
        seen = widgets.Box([self.points, self.picture], layout=row)
        controls = [self.temperature, self.loss, self.walk, self.gather, self.back]
        super().__init__([seen, self.text, widgets.Box(controls, layout=row)])
        self.add_class("circle-instrument")
        self._show(self._drawn(*self._values()))  # the first picture is there when the cell ends

    def _repr_mimebundle_(self, **kwargs):
        """Adds a still picture for pages that cannot show controls."""
        still = png(draw_arrangements, {"": self._values()[:2]}, self.temperature.value)
        return super()._repr_mimebundle_(**kwargs) | {"image/png": b64encode(still).decode()}

    def put(self, first, second) -> None:
        """Move all points at once, degrees."""
        with self.points.hold_trait_notifications():
            self.points.first, self.points.second = (list(map(float, angles)) for angles in (first, second))
        self._ask()

    def _values(self) -> tuple:
        return list(self.points.first), list(self.points.second), self.temperature.value, self.loss.value

    def _ask(self) -> None:
        self.newest.ask(self._values())

    def _drawn(self, first, second, temperature, loss) -> tuple[dict, bytes, str]:
        now = pulled(first, second, temperature, loss)
        text = f"<b>{loss}: {now.loss:.3f}</b>"
        if loss == "InfoNCE":
            text += f" nats; guessing among {len(first)} is log {len(first)} = {np.log(len(first)):.3f}"
        pulls = {"at": [first, second], "lengths": arrow_lengths(now).tolist()}
        return pulls, png(draw_table, now.taken_for), text

    def _show(self, drawn: tuple[dict, bytes, str]) -> None:
        self.points.pulls, self.picture.value, self.text.value = drawn

    def _fail(self, error: Exception) -> None:
        self.text.value = f"{type(error).__name__}: {error}"


def draw_table(taken_for: np.ndarray) -> Figure:
    """Which ring each dot is matched with, (N, N) probabilities."""
    faces = range(1, len(taken_for) + 1)
    figure = Figure(figsize=(3, 3))
    axis = figure.add_axes((0.2, 0.12, 0.78, 0.78))
    axis.imshow(taken_for, cmap="Greys", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(taken_for):
        colour = "white" if share > 0.55 else "black"
        axis.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(taken_for)), [f"ring {face}" for face in faces])
    axis.set_yticks(range(len(taken_for)), [f"dot {face}" for face in faces])
    axis.grid(False)
    axis.set_title("Which ring a dot is matched with")
    return figure
