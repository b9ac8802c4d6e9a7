"""Figures of photographs and of equal heads, in house style."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.faces import WIDE, draw_faces, face_thumbnail
from aubench.plots.style import (
    au_label,
    face_grid,
    head,
    in_house_style,
    name_row,
    show_face,
    write_on,
)
from aubench.report.statistics import holm
from aufaces.domains import STUDIO
from aulib.crops import crop_matrix
from aulib.dataset import DatasetFolder
from equal_heads import (
    AGES,
    REFERENCES,
    SAME_AGE,
    SAME_TONE,
    TONES,
    Read,
    differences,
    rendered,
    scene,
    shares,
)

LEVELS = {"skin": TONES, "age": AGES}
AXES = {"skin": "melanin: 0 very light, 1 very dark", "age": "age: 0.33 child, 0.67 young adult, 1 old"}
NAMES = {
    "hits": "present AUs that are raised", "alarms": "absent AUs that are raised",
    "f1_norm": "F1, skew-normalised",
}  # fmt: skip
TOLD, UNSURE = "#0072B2", "#8C8C8C"  # Okabe & Ito 2008, and grey; shapes say it as well


def draw_prepared(faces: DatasetFolder, count: int = 16) -> Figure:
    """Some prepared faces, evenly spaced, with the landmarks that were found."""
    chosen = np.unique(np.linspace(0, len(faces) - 1, count).round().astype(int))
    heads, points = [], []
    for row in chosen:
        matrix = crop_matrix(faces.landmarks[row], WIDE)
        heads.append(face_thumbnail(faces.image_paths[row], matrix))
        points.append(faces.landmarks[row] @ matrix[:, :2].T + matrix[:, 2])
    title = f"{len(chosen)} of {len(faces)} prepared faces and their landmarks"
    return draw_faces(heads, np.array(points), columns=8, title=title, domain="target")


@in_house_style
def draw_same_head(heads: tuple[int, ...] = (0, 1, 2), shot: int = 0, seed: int = 0) -> Figure:
    """A scene of each head in every tone and at every age: expression, pose and light are the same."""
    variants = [("skin", tone, (tone, SAME_AGE)) for tone in TONES]
    variants += [("age", age, (SAME_TONE, age)) for age in AGES]
    figure, axes = face_grid(len(heads), len(variants), side=0.95, left=0.5, top=0.3)
    for row, number in zip(axes, heads, strict=True):
        name_row(row[0], f"head {number}")
        for axis, (factor, level, how) in zip(row, variants, strict=True):
            show_face(axis, rendered(scene(number, shot, seed), *how)[0])
            same = " (ref.)" if level == REFERENCES[factor] else ""
            word = "melanin" if factor == "skin" else "age"
            write_on(axis, f"{word} {level:g}{same}")
    head(figure, "each row one head, one expression, one light: only tone (left) or age (right) differs")
    return figure


@in_house_style
def draw_differences(read: Read) -> Figure:
    """Hits and alarms at each tone and age minus those at the reference, heads as dots, 95 % intervals."""
    table, measures = shares(read), ("hits", "alarms")
    found = differences(table).set_index(["factor", "level", "measure"])
    figure = Figure(figsize=(7.4, 4.8), layout="constrained")
    axes = figure.subplots(2, 2, sharey="row", sharex="col")
    for row, measure in zip(axes, measures, strict=True):
        grid = table.pivot(index="run", columns=["factor", "level", "head"], values=measure)
        for axis, (factor, levels) in zip(row, LEVELS.items(), strict=True):
            if factor == "age":
                axis.axvspan(*STUDIO.ages, color="#F0E442", alpha=0.25, linewidth=0)
            axis.axhline(0, color="black", linewidth=0.9)
            for level in levels:
                if level == REFERENCES[factor]:
                    axis.scatter(level, 0, marker="D", s=26, color="black", zorder=3)
                    continue
                one = found.loc[(factor, level, measure)]
                dots = 100 * (grid[factor][level] - grid[""][0.0]).mean(axis=0).dropna()
                jitter = np.random.default_rng(0).uniform(-0.012, 0.012, len(dots))
                axis.scatter(level + jitter, dots, s=5, color="#C4C4C4", linewidths=0)
                told = one["p_holm"] < 0.05
                how = {"color": TOLD if told else UNSURE, "zorder": 3}
                axis.vlines(level, one["low"], one["high"], linewidth=2.2, **how)
                axis.scatter(level, one["difference"], s=38, marker="o" if told else "s", **how)
            axis.set_xticks(levels, [f"{level:g}" for level in levels])
            axis.grid(axis="x", visible=False)
        row[0].set_ylabel(f"{NAMES[measure]},\npoints more or less")
        reach = found.xs(measure, level="measure")[["low", "high", "difference"]].abs().max().max()
        if np.isfinite(reach) and reach > 0:
            row[0].set_ylim(-2.2 * reach, 2.2 * reach)
    axes[0, 0].set_title("same heads, other skin")
    axes[0, 1].set_title("same heads, other age (yellow: ages with labels)")
    for axis, text in zip(axes[1], AXES.values(), strict=True):
        axis.set_xlabel(text)
    figure.supxlabel(
        "small dots: heads, runs averaged (those far out are cut off); diamond: the reference; "
        "line: 95 % interval;\nblue dot: told from zero after Holm's correction; grey square: not",
        fontsize=8,
    )  # fmt: skip
    return figure


@in_house_style
def draw_alarms_per_au(read: Read) -> tuple[Figure, pd.DataFrame]:
    """How many points more often each AU is raised where it is absent, at each tone and age.

    Returns:
        the figure, and the table behind it: au, and what `differences` has; p_holm is over the AUs.
    """
    tables = []
    for au in read.aus:
        one = differences(shares(read, [au]))
        tables.append(one[one["measure"] == "alarms"].assign(au=au))
    table = pd.concat(tables, ignore_index=True)
    family = table.groupby(["factor", "level"])["p"]
    table["p_holm"] = family.transform(lambda p: holm(p.to_numpy(dtype=float)))
    wide = max(5.0, float(table["difference"].abs().max()))
    figure = Figure(figsize=(7.4, 1.0 + 0.24 * max(4, len(read.aus))), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (factor, levels) in zip(axes, LEVELS.items(), strict=True):
        levels = [level for level in levels if level != REFERENCES[factor]]
        own = table[table["factor"] == factor]
        grid = own.pivot(index="au", columns="level", values="difference").loc[list(read.aus), levels]
        told = own.pivot(index="au", columns="level", values="p_holm").loc[list(read.aus), levels] < 0.05
        shown = axis.imshow(grid, cmap="PuOr_r", vmin=-wide, vmax=wide, aspect="auto")
        for (line, column), value in np.ndenumerate(grid.to_numpy()):
            if not np.isnan(value):
                star = " *" if told.iloc[line, column] else ""
                words = f"{value:+.0f}{star}" if abs(value) >= 0.5 else "0"
                axis.text(column, line, words, ha="center", va="center", fontsize=7,
                          color="white" if abs(value) > 0.7 * wide else "black")  # fmt: skip
        axis.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        axis.set_yticks(range(len(read.aus)), [au_label(au) for au in read.aus])
        axis.grid(visible=False)
        axis.set_xlabel(AXES[factor])
        axis.set_title(f"minus {'melanin' if factor == 'skin' else 'age'} {REFERENCES[factor]:g}")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="alarms, points more or less")
    figure.supxlabel("*: told from zero, Holm over the AUs of a column", fontsize=8)
    return figure, table.drop(columns="measure")
