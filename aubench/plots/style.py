"""The house rules of figures: a colour for each domain and method, AUs named, faces on a grid."""

from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from aulib.files import atomic_file
from aulib.labels import AU_NAMES
from aulib.metrics import MEASURES
from aulib.supervisors import SUPERVISORS

# Okabe & Ito 2008: readers with colour-blindness can distinguish them.
DOMAIN_COLOURS = {"source": "#0072B2", "target": "#D55E00"}

# Paul Tol's muted scheme; bounds in grey and black. Methods not listed take SPARE in turn.
METHOD_COLOURS = {
    "landmarks-only": "#AA4499",
    "source-only": "#888888",
    "multitask": "#88CCEE",
    "dann": "#999933",
    "mean-teacher": "#332288",
    "separation": "#44AA99",
    "adld": "#DDAA33",
    "contrastive": "#CC6677",
    "full": "#117733",
    "full-mean-teacher": "#882255",
    "oracle": "#000000",
}
SPARE = ("#6699CC", "#661100")
LINE_COLOURS = (  # the same scheme for terms and runs
    "#332288", "#DDAA33", "#117733", "#CC6677", "#44AA99", "#882255", "#88CCEE", "#999933", "#AA4499",
)  # fmt: skip

# Paul Tol's muted scheme: source and target of a pair in one hue each, then what rows are added.
MUTED = ("#332288", "#88CCEE", "#117733", "#44AA99", "#882255", "#CC6677", "#999933", "#AA4499")
SUPERVISOR_COLOURS = dict(zip(SUPERVISORS, cycle(MUTED), strict=False))  # any number of rows

# Okabe & Ito 2008. RIGHT, WRONG and MISSED have a sign too: some readers cannot see the colours.
ABOVE, BELOW, UNSURE = "#0072B2", "#D55E00", "#666666"
RIGHT, WRONG, MISSED = ("✓", "#0072B2"), ("✗", "#D55E00"), ("–", "#666666")
REGION_COLOUR = "#56B4E9"
MAP_COLOURS = {"evidence": "#D55E00", "gradients": "#0072B2", "random": "#888888", "region": "black"}

MEASURE_NAMES = {name: measure.title for name, measure in MEASURES.items()}

# Inches that a figure is wide at most: shown in its own size next to JupyterLab's sidebar on 1280
# pixels, so that its text can be read.
PAGE = 7.3

HOUSE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "image.interpolation": "nearest",
}


# Decorator: a function runs under the house rules; matplotlib's settings are restored afterwards.
in_house_style = mpl.rc_context(HOUSE)


def method_colour(method: str, methods: list[str]) -> str:
    """A method's own colour, or one of the spare ones by its place among those without."""
    if method in METHOD_COLOURS:
        return METHOD_COLOURS[method]
    unknown = [name for name in methods if name not in METHOD_COLOURS]
    return SPARE[unknown.index(method) % len(SPARE)]


def au_label(au: str, between: str = " ") -> str:
    """ "AU12 lip corner puller"; `between` is what stands between code and name."""
    return f"{au}{between}{AU_NAMES.get(au, '')}".strip()


def row_panels(
    labels: list[str], panels: int = 1, width: float = PAGE, room: float = 0.9, row: float = 0.24, **subplots
) -> tuple[Figure, np.ndarray]:
    """A figure of panels that share their rows: one row per label, the first at the top.

    Args:
        width: inches.  room: inches above and below the rows.  row: inches of a row.
        subplots: of `Figure.subplots`.

    Returns:
        figure, and axes as an array (panels,).
    """
    figure = Figure(figsize=(width, room + row * max(len(labels), 2)), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=True, **subplots)[0]
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].set_ylim(len(labels) - 0.5, -0.5)
    for axis in axes:
        axis.grid(axis="y", visible=False)
    return figure, axes


def offsets(count: int, share: float = 0.8) -> np.ndarray:
    """(count,) places around 0 for the marks of one row, spread over `share` of its height."""
    return share * ((np.arange(count) + 0.5) / max(count, 1) - 0.5)


def face_grid(
    rows: int,
    columns: int,
    side: float,
    left: float = 0.0,
    top: float = 0.0,
    title: str = "",
    domain: str = "",
) -> tuple[Figure, np.ndarray]:
    """A figure of square cells without ticks.

    Args:
        side: of a cell, inches; less if the figure would be wider than PAGE.
        left, top: room for row names and headings, inches; a title makes its own room.
        domain: "source" or "target" sets the title in the domain's colour.

    Returns:
        figure, and axes as an array (rows, columns).
    """
    gap, side, top = 0.04, min(side, (PAGE - left) / columns), 0.3 if title else top
    width, height = left + columns * side, top + rows * side
    figure = Figure(figsize=(width, height), layout="none")
    room = {"left": left / width, "right": 1, "bottom": 0, "top": 1 - top / height}
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=room | {"wspace": gap, "hspace": gap})
    for axis in axes.flat:
        axis.set_axis_off()
    colour = DOMAIN_COLOURS.get(domain, "black")
    figure.text(0.005, 1 - 0.06 / height, title, va="top", fontsize=9, fontweight="bold", color=colour)
    return figure, axes


def show_face(axis: Axes, picture: np.ndarray, landmarks: np.ndarray | None = None, colour: str = "#56B4E9"):
    """One picture, (H, W, 3) or grey (H, W), uint8 or [0, 1], with landmarks (K, 2) in its pixels."""
    top = 255 if picture.dtype == np.uint8 else 1
    axis.imshow(picture, cmap="gray", vmin=0, vmax=top)
    if landmarks is not None:
        axis.scatter(*landmarks.T, s=2.2, c=colour, linewidths=0)
        axis.set_xlim(-0.5, picture.shape[1] - 0.5)
        axis.set_ylim(picture.shape[0] - 0.5, -0.5)


def show_faces(row, pictures, texts=(), name: str = "", colour: str = "black", maps=()):
    """Pictures in a row of cells, maps with values in [0, 1] over them and texts on them if given; its name.

    A map is coloured where it is strong, transparent where it is weak.
    """
    if name:
        name_row(row[0], name, colour)
    for axis, picture in zip(row, pictures, strict=False):
        show_face(axis, picture)
    for axis, strength in zip(row, np.clip(maps, 0, 1), strict=False):
        axis.imshow(strength, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * strength, interpolation="bilinear")
    for axis, text in zip(row, texts, strict=False):
        write_on(axis, text)


def name_columns(row, names, colour: str = "black"):
    """Headings above the first row of a grid."""
    for axis, name in zip(row, names, strict=True):
        axis.set_title(name, fontsize=7, fontweight="normal", loc="center", color=colour)


def write_on(axis: Axes, text: str, corner: str = "bottom"):
    """Small white text on a picture, readable on any ground."""
    axis.text(
        0.03, {"bottom": 0.03, "top": 0.97}[corner], text, transform=axis.transAxes, va=corner, ha="left",
        fontsize=6, color="white", path_effects=[withStroke(linewidth=1.6, foreground="black")],
    )  # fmt: skip


def name_row(axis: Axes, text: str, colour: str = "black"):
    """A row's name, to the left of its first cell."""
    axis.text(-0.05, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=7.5, color=colour)


def save_figure(
    figure: Figure, out_dir: str | Path, name: str, table: pd.DataFrame | None = None, dpi: int = 150
) -> Figure:
    """Write `out_dir`/name.png, and name.csv with the numbers behind it; return the figure."""
    with atomic_file(Path(out_dir, f"{name}.png")) as partial, mpl.rc_context(HOUSE):
        figure.savefig(partial, dpi=dpi)
    if table is not None:
        with atomic_file(Path(out_dir, f"{name}.csv")) as partial:
            table.to_csv(partial, index=False)
    return figure
