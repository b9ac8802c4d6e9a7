"""Figures of where an AU is read: maps next to the true region, landmark responses, deletion curves."""

from itertools import cycle

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from torch import Tensor

from aubench.inspection.attention import above_uniform
from aubench.inspection.attention_study import Explained
from aubench.inspection.shown_faces import ShownFaces, grey_pictures
from aubench.plots.style import (
    MAP_COLOURS,
    REGION_COLOUR,
    au_label,
    face_grid,
    in_house_style,
    method_colour,
    name_row,
    offsets,
    row_panels,
    show_face,
    show_faces,
    write_on,
)
from aulib.landmarks import layout_of

MAP_DASHES = {"evidence": "", "gradients": "", "random": (3, 2), "region": (1, 2)}


@in_house_style
def draw_attention(
    shown: np.ndarray, evidence: Tensor, logits: Tensor, aus: tuple[str, ...], domain: str = "target"
) -> Figure:
    """The positive part of each AU's evidence map over the faces, on one scale per AU.

    The AU's logit is the mean of its map. The first column is the face with the highest probability.

    Args:
        shown: (n, H, H) or (n, H, H, 3), the faces as the network sees them.
        evidence, logits: (n, A, H, H) and (n, A), from `attention.evidence_maps`.
        aus: the A AUs of the run.
    """
    title = f"{domain}: evidence for each AU, and its probability"
    figure, axes = face_grid(len(aus), len(shown) + 1, side=0.95, left=1.35, title=title, domain=domain)
    for index, (row, au) in enumerate(zip(axes, aus, strict=True)):
        probability = logits[:, index].sigmoid()
        show_faces(row, [shown[int(probability.argmax())]], name=au_label(au, "\n"))
        write_on(row[0], "strongest", corner="top")
        texts = [f"{value:.2f}" for value in probability]
        show_faces(row[1:], shown, texts, maps=on_one_scale(evidence[:, index]))
    return figure


@in_house_style
def draw_evidence_and_gradients(
    explained: Explained, table: pd.DataFrame, faces: ShownFaces, regions: np.ndarray | None = None
) -> Figure:
    """For each AU, on its faces: evidence maps above integrated gradients.

    The outline is the region where the AU truly moves the surface, if regions are given. The numbers are the
    AU's probability and the share of the map's positive mass inside the region.

    Args:
        explained, table: `attention_study.explain` of these faces, and its `map_table`.
        regions: (n, A', H, W) bool of the n faces and the AUs explained.
    """
    grey, aus = grey_pictures(faces.pictures), [au for au, shown in explained.places.items() if len(shown)]
    columns = max(map(len, explained.places.values()))
    figure, axes = face_grid(2 * len(aus), columns, side=1.1, left=1.35)
    for au, *cells in zip(aus, axes[::2], axes[1::2], strict=True):
        shown = explained.places[au]
        rows = table[table["au"] == au]
        maps = {
            "evidence": explained.evidence[shown, explained.index(au)],
            "gradients": explained.gradients[au],
        }
        names = au_label(au, "\n") + "\n\nevidence", "gradients"
        for row, name, (kind, found) in zip(cells, names, maps.items(), strict=True):
            of_kind = rows[rows["map"] == kind]
            texts = of_kind["probability"].map("p {:.2f}".format) if kind == "evidence" else ()
            show_faces(row, grey[shown], texts, name, maps=on_one_scale(found))
            if regions is None:
                continue
            outlines = regions[shown, list(explained.places).index(au)]
            for axis, share, region in zip(row, of_kind["inside"], outlines, strict=False):
                write_on(axis, f"{share:.0%} inside", corner="top")
                if region.any():
                    axis.contour(region.astype(float), levels=[0.5], colors=[REGION_COLOUR], linewidths=0.8)
    return figure


@in_house_style
def draw_landmark_responses(faces: ShownFaces, maps: Tensor, points: Tensor) -> Figure:
    """Where the landmark detector responds, by part of the face; last row, the landmarks read and given.

    Args:
        maps, points: (n, K, H, H) and (n, K, 2), from `attention.landmark_maps`; K is 68 or 49.
    """
    parts = layout_of(maps.shape[1]).parts
    grey = grey_pictures(faces.pictures)
    figure, axes = face_grid(len(parts) + 1, len(faces), side=1.1, left=0.75)
    for row, (name, part) in zip(axes, parts.items(), strict=False):
        response = maps[:, list(part)].amax(1)
        brightest = response.amax((1, 2), keepdim=True).clamp(min=1e-9)
        show_faces(row, grey, name=name, maps=(response / brightest).numpy())
    name_row(axes[-1, 0], "orange: read\nwhite: given")
    for axis, face, given, read in zip(axes[-1], grey, faces.landmarks.numpy(), points.numpy(), strict=True):
        show_face(axis, face, given, "white")
        axis.scatter(*read.T, s=2.2, c="#D55E00", linewidths=0)
    return figure


@in_house_style
def draw_rollout(faces: ShownFaces, maps: Tensor, encoder: str) -> Figure:
    """Attention rollout over each face, one map for all AUs; bright where it is above a uniform map.

    The number is the highest value relative to a uniform map.

    Args:
        maps: (n, H, H) from `attention.rollout_maps`.  encoder: its name, for the title.
    """
    figure, axes = face_grid(1, len(faces), side=1.2, title=f"attention rollout of {encoder}")
    excess, peaks = above_uniform(maps)
    texts = [f"{peak:.2f} x uniform" for peak in peaks]
    show_faces(axes[0], grey_pictures(faces.pictures), texts, maps=excess.numpy())
    return figure


@in_house_style
def draw_mass_inside(means: pd.DataFrame) -> Figure:
    """Share of attention inside each AU's true region, per run, with chance and the best possible map.

    Args:
        means: `attention_study.region_means`, run by run.
    """
    aus, runs = list(means["au"].unique()), list(means["run"].unique())
    figure, panels = row_panels([au_label(au) for au in aus], 2, width=7.2, room=1.2, row=0.34, sharex=True)
    places = np.arange(len(aus))
    titles = {"evidence": "evidence maps", "gradients": "integrated gradients"}
    for axis, (kind, title) in zip(panels, titles.items(), strict=True):
        by_run = {
            run: rows.set_index("au").reindex(aus) for run, rows in means[means["map"] == kind].groupby("run")
        }
        area, best = 100 * by_run[runs[0]]["area"], 100 * by_run[runs[0]]["best"]
        axis.barh(places, area, height=0.8, color="#DDDDDD", label="chance: the region's area")
        if kind == "evidence":
            axis.scatter(best, places, marker="|", s=60, c="black", label="best map of this resolution")
        for run, offset, marker in zip(runs, offsets(len(runs), 0.6), cycle("osD^v"), strict=False):
            inside, low, high = 100 * by_run[run][["inside", "low", "high"]].to_numpy().T
            colour = method_colour(run, runs)
            axis.hlines(places + offset, low, high, color=colour, linewidth=1)
            axis.plot(inside, places + offset, marker, color=colour, markersize=3.5, label=run)
        axis.set_title(title)
        axis.set_xlabel("% of attention inside the AU's region")
        axis.set_xlim(left=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@in_house_style
def draw_deletion_curves(curves: pd.DataFrame) -> Figure:
    """Deletion and insertion: probability of a present AU while pixels are replaced, highest first.

    Args:
        curves: `attention_study.curve_table`.
    """
    runs = list(curves["run"].unique())
    figure = Figure(figsize=(7.2, 2.6 * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), 2, sharey=True, squeeze=False)
    curves = curves.assign(pixels=100 * curves["fraction"])
    for row, run in zip(panels, runs, strict=True):
        for axis, kind in zip(row, ("deletion", "insertion"), strict=True):
            shown = curves[(curves["run"] == run) & (curves["curve"] == kind)]
            seaborn.lineplot(  # the mean over faces
                shown, x="pixels", y="probability", hue="map", style="map", palette=MAP_COLOURS,
                dashes=MAP_DASHES, errorbar=None, linewidth=1.4, legend=axis is panels[0, 0], ax=axis,
            )  # fmt: skip
            axis.set_title(f"{run}: {kind}")
            axis.set_xlabel(f"% of pixels {'blurred' if kind == 'deletion' else 'shown'}")
            axis.set_ylim(0, 1)
        row[0].set_ylabel("probability of the AU")
    panels[0, 0].get_legend().remove()
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def on_one_scale(maps: Tensor) -> np.ndarray:
    """The positive part of maps (n, H, W) as strengths: 1 is bright on any of them."""
    maps = maps.clamp(min=0).numpy()
    return maps / max(float(np.quantile(maps, 0.995)), 1e-9)
