"""The figures of lesson 4, and sliders that fade shape and texture."""

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image

from aubench.inspection.decoding import decode
from aubench.inspection.shown_faces import ShownFaces
from aubench.plots.style import (
    DOMAIN_COLOURS,
    face_grid,
    in_house_style,
    name_columns,
    name_row,
    offsets,
    row_panels,
    show_face,
)
from aubench.widgets import drawing
from aubench.widgets.drawing import bars
from aulib.model import AUModel, cells_to_pixels, expected_cells
from instrument import Instrument
from lesson_4 import MEAN_FACE, READERS, has_adversary, take_apart

COLUMNS = (
    "face",
    "shape S:\nall maps, summed",
    "texture Z:\nmean strength",
    "D_lm reads F:\nits landmarks",
)
COLUMNS_OF_ADVERSARY = ("A_lm reads Z:\nits landmarks", "A_lm reads Z:\nall maps, summed")
RUN_STYLES = (("o", "#CC6677"), ("D", "#117733"), ("s", "#88CCEE"))  # marker and colour of each run
FEATURES = {"F": "F rich feature", "S": "S shape", "Z": "Z texture"}
SIDE = 208  # pixels of each picture of the instrument


@in_house_style
def draw_halves(model: AUModel, faces: dict[str, ShownFaces]) -> Figure:
    """Each face with its S and Z, and the landmarks that D_lm and, if the model has one, A_lm read."""
    columns = COLUMNS + (COLUMNS_OF_ADVERSARY if has_adversary(model) else ())
    figure, axes = face_grid(sum(map(len, faces.values())), len(columns), side=1.15, left=0.6, top=0.42)
    rows = iter(axes)
    for domain, shown in faces.items():
        halves = take_apart(model, shown.pictures)
        for place, row in zip(range(len(shown)), rows, strict=False):
            picture = shown.pictures[place].permute(1, 2, 0).numpy()
            if not place:
                name_row(row[0], domain, DOMAIN_COLOURS[domain])
            show_face(row[0], picture)
            row[1].imshow(halves.shape[place].sum(0).sqrt().numpy(), cmap="inferno")
            row[2].imshow(halves.texture[place].abs().mean(0).numpy(), cmap="inferno")
            show_face(row[3], picture, halves.from_rich[place])
            if halves.maps is not None:
                show_face(row[4], picture, halves.from_texture[place], "#E69F00")
                row[5].imshow(halves.maps[place].sqrt().numpy(), cmap="inferno", vmin=0)
    name_columns(axes[0], columns)
    return figure


@in_house_style
def draw_found(tables: dict[str, pd.DataFrame]) -> Figure:
    """Landmark error of each reader in both domains, one mark per run (`lesson_4.landmarks_found`)."""
    panels = {
        f"{domain} test faces": {run: table[domain] for run, table in tables.items()}
        for domain in DOMAIN_COLOURS
    }
    figure = _draw_panels(panels, list(READERS), "landmark error, % of the eye distance")
    for axis, (domain, colour) in zip(figure.axes, DOMAIN_COLOURS.items(), strict=True):
        mean_face = next(iter(tables.values())).loc[MEAN_FACE, domain]
        axis.axvline(mean_face, color="#444444", lw=0.8, ls="--")
        axis.set_title(f"{domain} test faces", color=colour)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axis.xaxis.set_minor_formatter(lambda value, place: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    return figure


@in_house_style
def draw_leaks(tables: dict[str, pd.DataFrame]) -> Figure:
    """AUC of linear probes on F, S and Z, one mark per run (`lesson_4.what_leaks`); dashed is chance."""
    what = next(iter(tables.values())).index
    panels = {f"probe for {row}": {run: table.loc[row] for run, table in tables.items()} for row in what}
    figure = _draw_panels(panels, list(FEATURES.values()), "ROC AUC")
    for axis in figure.axes:
        axis.axvline(0.5, color="#444444", lw=0.8, ls="--")
    lowest = min(float(table.min().min()) for table in tables.values())
    figure.axes[0].set_xlim(min(0.4, lowest - 0.03), 1.02)
    return figure


def _draw_panels(panels: dict[str, dict[str, pd.Series]], rows: list[str], label: str) -> Figure:
    """Panels side by side with common rows. panels: title -> run -> one value per row."""
    figure, axes = row_panels(rows, len(panels), sharex=True)
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        places = offsets(len(values), 0.5)
        for (run, one), offset, (marker, colour) in zip(values.items(), places, RUN_STYLES, strict=False):
            axis.plot(one, np.arange(len(rows)) + offset, marker, color=colour, label=run, ms=5)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel(label)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(handles[0]))
    return figure


def fading(model: AUModel, faces: dict[str, ShownFaces]) -> Instrument:
    """Sliders for the share of S and of Z that is kept; G puts the rest together and the heads read it.

    Args:
        faces: domain -> a few faces; S and Z fade towards the means of all of them.
    """
    halves = {domain: take_apart(model, some.pictures) for domain, some in faces.items()}
    mean_shape = torch.cat([half.shape for half in halves.values()]).mean(0)
    mean_texture = torch.cat([half.texture for half in halves.values()]).mean(0)

    @torch.no_grad()
    def answer(domain: str, face: int, shape: float, texture: float) -> tuple[bytes, str]:
        shown, half = faces[domain][[face]], halves[domain]
        features = model.reconstruction(
            (shape * half.shape[face] + (1 - shape) * mean_shape)[None],
            (texture * half.texture[face] + (1 - texture) * mean_texture)[None],
        )
        maps = model.landmark_attention(model.landmark_head(features))
        found = cells_to_pixels(expected_cells(maps), maps.shape[-1], shown.pictures.shape[-1])[0].numpy()
        true = shown.landmarks[0].numpy()
        picture = shown.pictures[0].permute(1, 2, 0).numpy()
        rebuilt = decode(model, features, shown.pictures)[0]
        both = Image.new("RGB", (2 * SIDE + 8, SIDE), "white")
        both.paste(drawing.with_landmarks(picture, None, true, SIDE), (0, 0))
        both.paste(drawing.with_landmarks(rebuilt, found, None, SIDE), (SIDE + 8, 0))
        probability = dict(
            zip(model.config.aus, model.au_head(features)[0].sigmoid()[0].tolist(), strict=True)
        )
        known = zip(model.config.aus, shown.occurrence[0], strict=True)
        occurrence = {au: bool(value) for au, value in known if not np.isnan(value)}
        off = np.linalg.norm(found - true, axis=1).mean()
        text = (
            "<p>Left: the face and its true landmarks. Right: G's feature, decoded by the run's R, with the "
            f"landmarks read from it, {off:.1f} pixels off.</p>"
        )
        return drawing.jpeg(both), text + bars(probability, occurrence, names=True)

    controls = {
        "domain": widgets.Dropdown(options=list(faces), value=list(faces)[-1], description="domain"),
        "face": widgets.IntSlider(min=0, max=min(map(len, faces.values())) - 1, description="face"),
        "shape": widgets.FloatSlider(value=1, min=0, max=1, step=0.05, description="shape kept"),
        "texture": widgets.FloatSlider(value=1, min=0, max=1, step=0.05, description="texture kept"),
    }
    return Instrument(answer, controls, 2 * SIDE + 8, "jpeg", aside="text")
