"""Faces as points on a circle, drawn: dots are first views, rings second ones, arrows the pull of a loss."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from aubench.plots.idleness import SUPERVISOR_COLOURS
from aubench.plots.style import in_house_style
from circle import Pulled, SmallEncoder, pulled, share_of_push

FACES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe & Ito 2008
ARROW = 0.45  # length of the strongest pull, radii of the circle
WEAKEST = 0.02  # nats a radian; a pull below it has no arrow


def bare_circle(axis: Axes, room: float = 1.45) -> None:
    axis.set_axis_off()
    axis.set_aspect("equal")
    turn = np.linspace(0, 2 * np.pi, 181)
    axis.plot(np.cos(turn), np.sin(turn), color="#BBBBBB", linewidth=0.8, zorder=1)
    axis.set_xlim(-room, room)
    axis.set_ylim(-room, room)


def arrow_lengths(now: Pulled) -> np.ndarray:
    """(2, N) of first and second views: how long each pull is drawn, radii; the strongest is ARROW long."""
    pulls = np.stack([now.pull_first, now.pull_second])
    strongest = np.abs(pulls).max()
    return np.where(np.abs(pulls) > WEAKEST, pulls * (ARROW / max(strongest, WEAKEST)), 0.0)


def put_faces(axis: Axes, first, second, now: Pulled | None = None) -> None:
    """Both views of each face, joined; with `now` an arrow each way a point is pulled."""
    bare_circle(axis)
    arrows = np.zeros((2, len(first))) if now is None else arrow_lengths(now)
    names: dict[int, list[str]] = {}  # faces whose dots coincide share one place for their numbers
    for face, angle in enumerate(first):
        names.setdefault(round(angle), []).append(str(face + 1))
    for angle, faces in names.items():
        x, y = 1.26 * np.cos(np.deg2rad(angle)), 1.26 * np.sin(np.deg2rad(angle))
        axis.text(x, y, ", ".join(faces), ha="center", va="center", fontsize=9)
    for face, angles in enumerate(zip(first, second, strict=True)):
        colour = FACES[face % len(FACES)]
        x, y = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
        axis.plot(x, y, color=colour, linewidth=1, alpha=0.6, zorder=2)
        axis.scatter(x[0], y[0], s=58, color=colour, zorder=3)
        axis.scatter(x[1], y[1], s=110, facecolors="none", edgecolors=colour, linewidths=1.8, zorder=4)
        for view in (0, 1):
            if length := arrows[view][face]:
                tip = (x[view] - y[view] * length, y[view] + x[view] * length)
                arrow = {
                    "arrowstyle": "-|>",
                    "color": "#333333",
                    "linewidth": 1.1,
                    "shrinkA": 3,
                    "shrinkB": 0,
                }
                axis.annotate("", tip, (x[view], y[view]), arrowprops=arrow, zorder=5)


@in_house_style
def draw_arrangements(arrangements: dict[str, tuple], temperature: float) -> Figure:
    """Circles side by side, both losses below each. arrangements: title -> (first, second), degrees."""
    figure = Figure(figsize=(2.25 * len(arrangements), 2.75), layout="constrained")
    for axis, (title, views) in zip(
        figure.subplots(1, len(arrangements), squeeze=False)[0], arrangements.items(), strict=True
    ):
        now = pulled(*views, temperature)
        put_faces(axis, *views, now)
        axis.set_title(title, loc="center")
        only = pulled(*views, temperature, "pull only").loss
        said = f"InfoNCE {now.loss:.2f} nats\npull only {only:.2f}"
        axis.text(0.5, -0.02, said, transform=axis.transAxes, ha="center", va="top", fontsize=8)
    return figure


@in_house_style
def draw_push(
    anchor: float, own: float, rivals: list[float], temperature: float
) -> tuple[Figure, pd.DataFrame]:
    """Who an anchor is taken for, over temperatures, and the share of the rivals' push that each has.

    Args:
        anchor, own: degrees of a face's first and second view.  rivals: of other faces' second views.

    Returns:
        the figure, and its table: temperature, own (taken for itself), rival 1, ... (share of the push).
    """
    temperatures = np.geomspace(0.01, 3, 80)
    cosines = np.cos(np.deg2rad(np.array([own, *rivals]) - anchor))
    shares = np.array([share_of_push(cosines, one) for one in temperatures])
    of_rivals = np.array([share_of_push(cosines[1:], one) for one in temperatures])
    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    bare_circle(left, 1.75)
    x, y = np.cos(np.deg2rad([anchor, own, *rivals])), np.sin(np.deg2rad([anchor, own, *rivals]))
    left.scatter(x[0], y[0], s=58, color="black", zorder=3)
    left.text(1.2 * x[0], 1.2 * y[0], "anchor", ha="center", va="center")
    names = ["own", *(f"rival {place + 1}" for place in range(len(rivals)))]
    for place, name in enumerate(names):
        colour = "black" if not place else FACES[place - 1]
        left.scatter(
            x[place + 1], y[place + 1], s=110, facecolors="none", edgecolors=colour, linewidths=1.8, zorder=4
        )
        side = "left" if x[place + 1] > 0.1 else "right" if x[place + 1] < -0.1 else "center"
        left.text(1.16 * x[place + 1], 1.2 * y[place + 1], name, color=colour, ha=side, va="center")
    right.plot(temperatures, shares[:, 0], color="black", linestyle="--", label="taken for itself")
    for place, name in enumerate(names[1:]):
        right.plot(temperatures, of_rivals[:, place], color=FACES[place], label=f"push of {name}")
    right.axvline(temperature, color="#999999", linewidth=1)
    right.text(temperature, 1.03, f" {temperature:g}", color="#666666", fontsize=7.5)
    right.set_xscale("log")
    right.set_xticks([0.01, 0.03, 0.1, 0.3, 1, 3], ["0.01", "0.03", "0.1", "0.3", "1", "3"])
    right.set_ylim(-0.02, 1.02)
    right.set_xlabel("temperature (log scale)")
    right.set_ylabel("share")
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    table = pd.DataFrame(of_rivals, columns=names[1:])
    table.insert(0, "own", shares[:, 0])
    table.insert(0, "temperature", temperatures)
    return figure, table


@in_house_style
def draw_encoders(encoders: dict[str, SmallEncoder]) -> Figure:
    """Where small networks put faces they have not seen: dots have the AU, crosses have not."""
    figure = Figure(figsize=(2.25 * len(encoders), 3.0), layout="constrained")
    for axis, (title, encoder) in zip(
        figure.subplots(1, len(encoders), squeeze=False)[0], encoders.items(), strict=True
    ):
        bare_circle(axis, 1.15)
        for present, marker, colour in ((True, "o", "#D55E00"), (False, "x", "#0072B2")):
            x, y = encoder.first[encoder.present == present].T
            axis.scatter(x, y, s=20, marker=marker, color=colour, linewidths=1, alpha=0.8, zorder=3)
        axis.set_title(title, loc="center")
        said = f"spread {encoder.spread:.2f}\nInfoNCE {encoder.nats:.2f}"
        axis.text(0.5, -0.02, said, transform=axis.transAxes, ha="center", va="top", fontsize=8)
    guessing = np.log(len(encoder.first))
    said = f"dots: the AU is present, crosses: it is absent; InfoNCE in nats, guessing is {guessing:.2f}"
    figure.supxlabel(said, fontsize=8)
    return figure


@in_house_style
def draw_six(curves: pd.DataFrame, alignment: pd.DataFrame) -> Figure:
    """A run's supervisors: losses over the steps as a share of guessing, and what agrees at the end.

    Args:
        curves: supervisor, step, value, chance (nats).
        alignment: `two_rounds.alignment_of` the run.
    """
    figure = Figure(figsize=(7.6, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    for name, curve in curves.groupby("supervisor", sort=False):
        marker = "o" if len(curve) < 3 else None
        left.plot(
            curve["step"], curve["value"] / curve["chance"], color=SUPERVISOR_COLOURS[name], marker=marker
        )
    left.axhline(1, color="black", linestyle="--", linewidth=0.9)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    left.set_xlabel("step; colours as on the right")
    left.set_ylabel("loss / log N (dashed: guessing)")
    left.set_title("Is anything left to find?")
    for place, row in enumerate(alignment.itertuples()):
        colour = SUPERVISOR_COLOURS[row.supervisor]
        right.plot([row.projected_other, row.projected], [place, place], color=colour, linewidth=1.4)
        right.scatter(row.projected, place, s=42, color=colour, zorder=3)
        right.scatter(row.projected_other, place, s=42, facecolors="white", edgecolors=colour, zorder=3)
    right.set_yticks(range(len(alignment)), alignment["supervisor"])
    right.set_ylim(len(alignment) - 0.5, -0.5)
    right.set_xlim(-1.05, 1.05)
    right.set_xlabel("cosine of both rounds after the projector\nfilled: own, ring: another face's")
    right.set_title("Do the rounds agree?")
    return figure
