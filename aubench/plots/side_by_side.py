"""Figures of chosen runs against each other: curves over each other, AU by AU, the same faces."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.playground import open_run
from aubench.inspection.side_by_side import differences, kept_probabilities, per_au_of_runs, run_names
from aubench.plots.insides import lay_over, shown_input, upsampled
from aubench.plots.scores import NOT_TERMS
from aubench.plots.style import (
    MEASURE_NAMES,
    au_label,
    face_grid,
    in_house_style,
    name_row,
    show_face,
    write_on,
)
from aubench.report.results import history_of, read_samples, read_settings
from aulib.batches import centre_crop

# Paul Tol's muted scheme, without its palest: runs have no colours of their own, seeds share a method's.
COLOURS = ("#332288", "#DDAA33", "#117733", "#CC6677", "#44AA99", "#882255", "#88CCEE", "#999933", "#000000")
DASHES = ("-", "--", ":", "-.")


def curves_of(runs: list[str]) -> list[str]:
    """What the runs' histories have in common to be drawn over the steps, validation_f1 first."""
    tables = [history_of(run) for run in runs]
    names = [name for name in tables[0] if name not in NOT_TERMS or name in ("validation_f1", "total")]
    shared = [name for name in names if all(name in table and table[name].notna().any() for table in tables)]
    return sorted(shared, key=lambda name: name != "validation_f1")


@in_house_style
def draw_curves(runs: list[str], name: str = "validation_f1") -> tuple[Figure, pd.DataFrame]:
    """One term, or F1 on source validation, over the steps of several runs; and run, step, value."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axis, rows = figure.subplots(), []
    for number, (run, label) in enumerate(run_names(runs).items()):
        curve = history_of(run)[["step", name]].dropna()
        points = {"marker": "o", "markersize": 3} if len(curve) < 12 else {}
        axis.plot(curve["step"], curve[name], label=label, linewidth=1.3, **_line(number), **points)
        rows.append(curve.rename(columns={name: "value"}).assign(run=run))
    axis.set_xlabel("step")
    axis.set_title("F1-frame, source validation" if name == "validation_f1" else f"{name}, unweighted")
    figure.legend(loc="outside right upper", fontsize=7)
    return figure, pd.concat(rows, ignore_index=True)


@in_house_style
def draw_au_differences(
    runs: list[str], against: str, measure: str = "f1", domain: str = "target"
) -> tuple[Figure, pd.DataFrame]:
    """Each run's score less that of `against`, AU by AU, x 100; right is better. And the differences."""
    table = differences(per_au_of_runs(runs, measure, domain), against)
    if table.empty or not table.notna().any(axis=None):
        raise ValueError(f"nothing to compare with {against}: choose another run with {measure} beside it")
    names = run_names(runs)
    figure = Figure(
        figsize=(6.4, 0.9 + max(0.24, 0.1 * len(table.columns)) * len(table)), layout="constrained"
    )
    axis, markers = figure.subplots(), "osD^vPX*<"
    for number, run in enumerate(table.columns):
        places = np.arange(len(table)) + 0.7 * ((number + 0.5) / len(table.columns) - 0.5)
        line, marker = _line(runs.index(run)), markers[runs.index(run) % len(markers)]
        axis.hlines(places, 0, 100 * table[run], color=line["color"], linewidth=1.2, alpha=0.6)
        axis.scatter(
            100 * table[run], places, s=16, color=line["color"], marker=marker,
            label=f"{names[run]}: mean {100 * table[run].mean():+.1f}", zorder=3,
        )  # fmt: skip
    axis.axvline(0, color="black", linewidth=0.9)
    axis.set_yticks(range(len(table)), [au_label(au) for au in table.index])
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(f"{MEASURE_NAMES[measure]} x 100 on {domain} test, less {names[against]}")
    figure.legend(loc="outside upper center", fontsize=7, ncols=2)
    return figure, table


@in_house_style
def draw_same_faces(
    runs: list[str], au: str = "AU12", domain: str = "target", count: int = 5
) -> tuple[Figure, pd.DataFrame]:
    """The faces all runs keep: the picture, and each run's evidence for one AU with its probability.

    Evidence has one scale a run. A run that reads landmark coordinates, or does not know the AU, shows the
    plain face. And `side_by_side.kept_probabilities`.
    """
    table = kept_probabilities(runs, au, domain)
    chosen = table.index[np.linspace(0, len(table) - 1, min(count, len(table))).astype(int)]
    names = run_names(runs)
    figure, axes = face_grid(len(runs) + 1, len(chosen), side=1.05, left=1.35, top=0.06)
    first = read_samples(runs[0], domain)
    places = {name: place for place, name in enumerate(first.names)}
    for axis, name in zip(axes[0], chosen, strict=True):
        show_face(axis, first.images[places[name]])
        truth = table.loc[name, "true"]
        write_on(axis, "unknown" if np.isnan(truth) else "present" if truth else "absent")
    name_row(axes[0, 0], au_label(au).replace(" ", "\n", 1))
    for row, run in zip(axes[1:], runs, strict=True):
        shown, maps = _evidence(run, au, domain, list(chosen))
        name_row(row[0], names[run].replace(", ", "\n").replace(" (", "\n("))
        for place, (axis, name) in enumerate(zip(row, chosen, strict=True)):
            if maps is None:
                show_face(axis, shown[place])
            else:
                lay_over(axis, shown[place], maps[place])
            write_on(axis, f"{table.loc[name, run]:.2f}")
    return figure, table.loc[chosen]


def _evidence(run: str, au: str, domain: str, names: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    opened, samples = open_run(run), read_samples(run, domain)
    places = [list(samples.names).index(name) for name in names]
    size = opened.model.config.image_size
    pictures, _ = centre_crop(samples.images[places], samples.landmarks[places], size)
    shown = shown_input(opened.model, pictures)
    if opened.brightest is None or au not in opened.aus:
        return shown, None
    evidence = opened.model.read(pictures, read_settings(run)[f"read_{domain}_from"])["evidence"]
    index = opened.aus.index(au)
    return shown, upsampled(evidence[:, index : index + 1], size)[:, 0] / opened.brightest[index]


def _line(number: int) -> dict:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
    }
