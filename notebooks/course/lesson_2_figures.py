"""The figures of lesson 2: factors on faces, what they cost, AU by AU, and F1 against the base rate."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.factor_faces import CONDITIONS, SEED, people_of
from aubench.plots.style import DOMAIN_COLOURS, au_label, face_grid, in_house_style, name_row, show_face
from aufaces.factors import face_with
from aufaces.renderer import FaceRenderer
from aulib.labels import AU_NAMES

GREY, COST, WHOLE = "#B8B8B8", "#E69F00", "#8C8C8C"
CLEARLY = 5.0  # mean change of a pixel, of 255, far above the camera's noise
SCORES = {"f1": ("F1-frame", "#D55E00", "o"), "f1_norm": ("F1, skew-normalised", "#0072B2", "s"),
          "auc": ("ROC AUC", "#117733", "^")}  # fmt: skip


def telling_faces(number: int, count: int, seed: int = SEED) -> list[int]:
    """The first faces, of different people, that both shade and something in front happen to, neither comes
    to every face; then the first of all others."""
    renderer, people = FaceRenderer(64), people_of(count)

    def changes(index: int, factor: str) -> bool:
        plain, changed = (face_with(on, seed, index, count, renderer)[0] for on in (set(), {factor}))
        return np.abs(changed.astype(float) - plain).mean() > CLEARLY

    indices = []
    for index in range(count):
        if len(indices) == number or people[index] in people[indices]:
            continue
        if changes(index, "occlusion") and changes(index, "shade"):
            indices.append(index)
    return [*indices, *(index for index in range(count) if index not in indices)][:number]


@in_house_style
def draw_one_at_a_time(indices: list[int], count: int, seed: int = SEED) -> Figure:
    """Studio faces (rows) with each factor of wild by itself, and with all."""
    renderer = FaceRenderer(128)
    figure, axes = face_grid(len(indices), len(CONDITIONS), side=1.0, left=0.5, top=0.22)
    for axis, name in zip(axes[0], CONDITIONS, strict=True):
        axis.set_title("studio" if name == "none" else name, loc="center", fontsize=8, pad=3)
    for row, index in zip(axes, indices, strict=True):
        for axis, factors in zip(row, CONDITIONS.values(), strict=True):
            show_face(axis, face_with(factors, seed, index, count, renderer)[0])
        name_row(row[0], f"face {index}")
    return figure


@in_house_style
def draw_domains(table: pd.DataFrame) -> Figure:
    """F1-frame of each AU on both domains' test faces, beside what always answering "present" would score.

    Args:
        table: `lesson_2.domains_per_au`.
    """
    parts = {domain: rows.set_index("au") for domain, rows in table.groupby("domain")}
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    figure = Figure(figsize=(6.2, 0.9 + 0.22 * max(len(aus), 4)), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(aus))
    values = {domain: 100 * part["f1"].reindex(aus).to_numpy() for domain, part in parts.items()}
    axis.hlines(places, values["source"], values["target"], color=GREY, linewidth=1.4)
    for domain, marker in (("source", "o"), ("target", "s")):
        colour = DOMAIN_COLOURS[domain]
        axis.scatter(
            values[domain], places, s=24, color=colour, marker=marker, label=f"{domain} test", zorder=3
        )
        rates = parts[domain]["base_rate"].reindex(aus).to_numpy()
        if domain == "target":
            always = 200 * rates / (1 + rates)
            axis.scatter(always, places, s=60, color="black", marker="|", label='always "present", target')
    axis.set_yticks(places, [au_label(au) for au in aus])
    axis.invert_yaxis()
    axis.set_xlim(-2, 102)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("F1-frame x 100")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@in_house_style
def draw_drops(table: pd.DataFrame) -> Figure:
    """Points of F1 that each factor costs by itself, and all together, with intervals (`lesson_2.drops`)."""
    figure = Figure(figsize=(5.2, 0.7 + 0.27 * len(table)), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(table))
    colours = [WHOLE if name == "all" else COST for name in table["factor"]]
    axis.barh(places, 100 * table["lost"], height=0.62, color=colours)
    axis.hlines(places, 100 * table["low"], 100 * table["high"], color="black", linewidth=1.4)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(places, ["all of them" if name == "all" else name for name in table["factor"]])
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("F1-frame lost, points x 100 (lines: 95 % over people)")
    return figure


@in_house_style
def draw_changes(table: pd.DataFrame) -> Figure:
    """Change of each AU's ROC AUC under each factor (`lesson_2.changes_per_au`); a cross where undefined."""
    factors = list(dict.fromkeys(table["factor"]))
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    grid = 100 * table.pivot(index="au", columns="factor", values="auc").reindex(index=aus, columns=factors)
    figure = Figure(figsize=(6.4, 1.0 + 0.23 * max(len(aus), 4)), layout="constrained")
    axis = figure.subplots()
    most = max(10.0, float(np.nanmax(np.abs(grid.to_numpy()), initial=0)))
    shown = axis.imshow(grid, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    for row in range(len(aus)):
        for column in range(len(factors)):
            value = grid.iat[row, column]
            text = f"{value:+.0f}".replace("-0", "0").replace("+0", "0") if np.isfinite(value) else "×"
            dark = np.isfinite(value) and abs(value) > 0.6 * most
            axis.text(
                column, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black"
            )
    axis.set_xticks(range(len(factors)), factors, rotation=30, ha="right")
    axis.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    axis.grid(visible=False)
    figure.colorbar(shown, ax=axis, shrink=0.8, label="change of ROC AUC, points x 100")
    return figure


@in_house_style
def draw_thinned(table: pd.DataFrame) -> Figure:
    """Three scores of one detector as its AUs become rarer (`lesson_2.thinned`)."""
    figure = Figure(figsize=(4.6, 2.7), layout="constrained")
    axis = figure.subplots()
    for name, (label, colour, marker) in SCORES.items():
        axis.plot(100 * table["base_rate"], 100 * table[name], color=colour, marker=marker, label=label)
    axis.invert_xaxis()
    axis.set_ylim(0, 102)
    axis.set_xlabel("mean base rate (% of faces), rarer to the right")
    axis.set_ylabel("score x 100")
    axis.legend(loc="lower left")
    return figure
