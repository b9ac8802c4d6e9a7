"""The figures of lesson 1: every AU, one AU at every grade, how far AUs move a face, cuts, textbook lists."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import acting
from aubench.plots.style import (
    DOMAIN_COLOURS,
    SPARE,
    au_label,
    face_grid,
    in_house_style,
    name_row,
    show_face,
    write_on,
)
from aufaces.actions import AUS, PROTOTYPES
from lesson_1 import CUTS

PRESENT, ABSENT, OUTLINE = "#0072B2", "#B8B8B8", "#F0E442"


@in_house_style
def draw_atlas(person: int = 10) -> Figure:
    """Every rendered AU by itself at grade E, outlined where it changes the face; the face at rest first."""
    figure, axes = face_grid(3, 6, side=1.28)
    regions = acting.moved_regions(person)
    for axis, au in zip(axes.flat, ("", *AUS), strict=False):
        picture, _ = acting.act({au: 5.0} if au else {}, person)
        show_face(axis, picture)
        if au:
            axis.contour(regions[AUS.index(au)], levels=[0.5], colors=OUTLINE, linewidths=0.8)
        write_on(axis, au_label(au) or "at rest")
    return figure


@in_house_style
def draw_grades(au: str, person: int = 10) -> Figure:
    """One AU from nothing to grade E, and below each face whether it counts as present, for three cuts."""
    levels = np.arange(0, 5.01, 0.5)
    figure, axes = face_grid(2, len(levels), side=0.72, left=1.25, top=0.1)
    for place, level in enumerate(levels):
        picture, _ = acting.act({au: float(level)}, person)
        show_face(axes[0, place], picture)
        write_on(axes[0, place], f"{level:.1f} {acting.letter(level)}".rstrip())
        cell = axes[1, place]
        for row, cut in enumerate((1, 2, 3)):
            there = level >= cut
            cell.scatter(0, -row, s=46, facecolor=PRESENT if there else "white",
                         edgecolor=PRESENT if there else ABSENT, linewidth=1.2)  # fmt: skip
        cell.set(xlim=(-1, 1), ylim=(-2.7, 0.7))
    name_row(axes[0, 0], f"{au_label(au)}\nintensity and grade".replace(" ", "\n", 1))
    for row, cut in enumerate((1, 2, 3)):
        text = f"present from {acting.letter(cut)} ({cut})"
        axes[1, 0].text(-1.1, -row, text, ha="right", va="center", fontsize=7.5)
    return figure


@in_house_style
def draw_movements(table: pd.DataFrame, detector_error: float) -> Figure:
    """How far the landmark that an AU moves most goes, at two grades, beside what a detector errs by.

    Args:
        table: `acting.movements`.  detector_error: % of the eye distance.
    """
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axis = figure.subplots()
    low, high = (part.set_index("au") for _, part in table.groupby("grade"))
    places = np.arange(len(low))
    axis.hlines(places, low["moved"], high["moved"], color=ABSENT, linewidth=1.4)
    for part, grade, face in ((low, low["grade"].iloc[0], "white"), (high, high["grade"].iloc[0], PRESENT)):
        label = f"at grade {acting.letter(grade)} ({grade:.0f})"
        axis.scatter(part["moved"], places, s=26, facecolor=face, edgecolor=PRESENT, label=label, zorder=3)
    for place, (far, part) in enumerate(zip(high["moved"], high["part"], strict=True)):
        axis.text(far + 0.5, place, part, va="center", fontsize=7, color="#555555")
    axis.axvline(detector_error, color="black", linestyle="--", linewidth=0.9, label="a detector's error")
    axis.set_yticks(places, [au_label(au) for au in low.index])
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set_xlim(0, high["moved"].max() * 1.15)
    axis.set_xlabel("way of the landmark that moves most (% of the eye distance)")
    axis.legend(loc="lower right")
    return figure


@in_house_style
def draw_cuts(table: pd.DataFrame) -> Figure:
    """Mean base rate over AUs against the grade at which presence begins (`rates_by_cut`)."""
    figure = Figure(figsize=(4.2, 2.5), layout="constrained")
    axis = figure.subplots()
    for number, (domain, rows) in enumerate(table.groupby("domain", sort=False)):
        colour = DOMAIN_COLOURS.get(domain, SPARE[number % len(SPARE)])
        marker = "os^v"[number % 4]
        axis.plot(rows["at_least"], 100 * rows["base_rate"], marker=marker, color=colour, label=domain)
    axis.set_xticks(CUTS, [f"{acting.letter(cut)} ({cut})" for cut in CUTS])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("an AU counts as present from grade")
    axis.set_ylabel("mean base rate (% of faces)")
    if len(table):
        axis.legend(loc="lower left")
    return figure


@in_house_style
def draw_lists(table: pd.DataFrame) -> Figure:
    """Which AUs stand in which textbook list; below, how often a face with any has all (`lists_met`)."""
    aus = [au for au in AUS if any(au in listed for listed in PROTOTYPES.values())]
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    words = list(table["word"])
    for column, word in enumerate(words):
        for row, au in enumerate(aus):
            belongs = au in PROTOTYPES[word]
            above.scatter(column, row, s=42 if belongs else 5, color=PRESENT if belongs else ABSENT)
    above.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    above.invert_yaxis()
    above.set_title("which AUs a textbook lists under a word")
    below.bar(words, 100 * table["complete"], width=0.6, color=PRESENT)
    for column, share in enumerate(table["complete"]):
        text = f"{100 * share:.0f}" if np.isfinite(share) else "not\nlabelled"
        height = 100 * share if np.isfinite(share) else 0
        below.text(column, height + 2, text, ha="center", va="bottom", fontsize=7.5)
    below.set_ylim(0, 105)
    below.set_ylabel("have all of them\n(% of faces with any)")
    return figure
