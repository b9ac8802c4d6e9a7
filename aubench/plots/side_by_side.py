"""Figures of chosen runs compared: one curve per run, differences per AU, the same faces."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.side_by_side import SameFaces
from aubench.plots.attention import overlay_map
from aubench.plots.style import (
    MEASURE_NAMES,
    au_label,
    face_grid,
    in_house_style,
    name_row,
    show_face,
    write_on,
)

# Paul Tol's muted scheme without its palest colour. Seeds share a method's.
COLOURS = ("#332288", "#DDAA33", "#117733", "#CC6677", "#44AA99", "#882255", "#88CCEE", "#999933", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX*<"


@in_house_style
def draw_run_curves(histories: dict[str, pd.DataFrame], name: str = "validation_f1") -> Figure:
    """One term, or F1 on source validation, over the steps of several runs.

    Args:
        histories: run's name -> `Run.history`.  name: a column of all.
    """
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axis = figure.subplots()
    for number, (run, history) in enumerate(histories.items()):
        curve = history[["step", name]].dropna()
        points = {"marker": "o", "markersize": 3} if len(curve) < 12 else {}
        dashes = DASHES[number // len(COLOURS) % len(DASHES)]
        axis.plot(
            curve["step"],
            curve[name],
            dashes,
            color=COLOURS[number % len(COLOURS)],
            lw=1.3,
            label=run,
            **points,
        )
    axis.set_xlabel("step")
    axis.set_title("F1-frame, source validation" if name == "validation_f1" else f"{name}, unweighted")
    figure.legend(loc="outside right upper", fontsize=7)
    return figure


@in_house_style
def draw_au_differences(table: pd.DataFrame, against: str, measure: str, domain: str = "target") -> Figure:
    """Each run's score minus that of the run `against`, per AU, x 100; right is better.

    Args:
        table: `side_by_side.per_au_of_runs`, its columns being the runs' names.  measure: what it holds.

    Raises:
        ValueError: no other run with a score.
    """
    gain = 100 * table.drop(columns=against).sub(table[against], axis=0)
    if not gain.notna().any(axis=None):
        raise ValueError(f"nothing to compare with {against}; choose another run that has {measure}")
    width = len(gain.columns)
    figure = Figure(figsize=(6.4, 0.9 + max(0.24, 0.1 * width) * len(gain)), layout="constrained")
    axis = figure.subplots()
    for place, run in enumerate(gain):
        y = np.arange(len(gain)) + 0.7 * ((place + 0.5) / width - 0.5)
        number = list(table).index(run)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axis.hlines(y, 0, gain[run], color=colour, linewidth=1.2, alpha=0.6)
        label = f"{run}: mean {gain[run].mean():+.1f}"
        axis.scatter(gain[run], y, s=16, color=colour, marker=marker, label=label, zorder=3)
    axis.axvline(0, color="black", linewidth=0.9)
    axis.set_yticks(range(len(gain)), [au_label(au) for au in gain.index])
    axis.set_ylim(len(gain) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(f"{MEASURE_NAMES[measure]} x 100 on {domain} test, minus {against}")
    figure.legend(loc="outside upper center", fontsize=7, ncols=2)
    return figure


@in_house_style
def draw_same_faces(faces: SameFaces, names: dict[str, str], au: str) -> Figure:
    """Faces that all runs keep, and each run's evidence for one AU with its probability.

    Evidence has one scale per run. A run without a map of the AU shows the plain face.

    Args:
        faces: `side_by_side.same_faces`.  names: run -> its name.
    """
    figure, axes = face_grid(len(names) + 1, len(faces.table), side=1.05, left=1.35, top=0.06)
    for axis, picture, truth in zip(axes[0], faces.pictures, faces.table["true"], strict=True):
        show_face(axis, picture)
        write_on(axis, "unknown" if np.isnan(truth) else "present" if truth else "absent")
    name_row(axes[0, 0], au_label(au, "\n"))
    for row, (run, name) in zip(axes[1:], names.items(), strict=True):
        name_row(row[0], name.replace(", ", "\n").replace(" (", "\n("))
        for place, axis in enumerate(row):
            if faces.evidence[run] is None:
                show_face(axis, faces.seen[run][place])
            else:
                overlay_map(axis, faces.seen[run][place], faces.evidence[run][place])
            write_on(axis, f"{faces.table[run].iloc[place]:.2f}")
    return figure
