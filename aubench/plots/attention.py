"""Figures of where an AU is read: maps beside the region it truly moves, landmark responses, curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aubench.inspection.attention import (
    FRACTIONS,
    above_even,
    attribution_maps,
    evidence_maps,
    landmark_maps,
    mass_inside,
    rollout_maps,
    smoothed,
)
from aubench.inspection.attention_study import region_means
from aubench.inspection.shown_faces import ShownFaces, luminance
from aubench.plots.insides import lay_over
from aubench.plots.style import (
    au_label,
    face_grid,
    head,
    in_house_style,
    method_colour,
    name_row,
    show_face,
    write_on,
)
from aulib.objective import finds_landmarks
from aulib.run import load_run

REGION_COLOUR = "#56B4E9"
LANDMARK_PARTS = {
    "brows": range(17, 27),
    "eyes": range(36, 48),
    "nose": range(27, 36),
    "mouth": range(48, 68),
    "jaw line": range(0, 17),
}
LANDMARK_PARTS_49 = {
    "brows": range(0, 10),
    "eyes": range(19, 31),
    "nose": range(10, 19),
    "mouth": range(31, 49),
}


@in_house_style
def draw_evidence_beside_gradients(
    run: str | Path, faces: ShownFaces, aus: list[str], regions: np.ndarray | None = None, columns: int = 6
) -> tuple[Figure, pd.DataFrame]:
    """For each AU: on the faces where it is strongest, the class activation map and integrated gradients.

    Two rows an AU. Outlined: where the AU truly moves the surface, if regions are given. The numbers are
    the AU's probability and, with regions, the share of the map's positive mass inside.

    Args:
        faces: among which the strongest of each AU are shown, `columns` of them.
        regions: (n, A', H, W) bool of the n faces and the AUs named.

    Returns:
        figure; table au, name, map ("evidence" or "gradients"), probability, logit, gap (what is missing of
        the logit in the evidence's mean; in the gradients' sum, of its rise over a flat face's), inside, area
        (the region's share of the picture).
    """
    model, settings = load_run(run)
    read_from, known = settings["read_target_from"], list(model.config.aus)
    if unknown := [au for au in aus if au not in known]:
        raise ValueError(f"{run} does not know {unknown}; it knows {known}")
    evidence, probability = evidence_maps(model, faces.pictures, read_from)
    grey, columns, rows = luminance(faces.pictures), min(columns, len(faces)), []
    figure, axes = face_grid(2 * len(aus), columns, side=1.1, left=1.35)
    for place, au in enumerate(aus):
        index = known.index(au)
        strongest = probability[:, index].argsort(descending=True)[:columns].tolist()
        gradients, unexplained = attribution_maps(model, faces.pictures[strongest], index, read_from)
        with torch.no_grad():
            logits = model.read(faces.pictures[strongest], read_from)["au_logits"][:, index]
        gaps = {"evidence": logits - evidence[strongest, index].mean((1, 2)), "gradients": unexplained}
        maps = {
            "evidence": evidence[strongest, index].clamp(min=0).numpy(),
            "gradients": smoothed(gradients).clamp(min=0).numpy(),
        }
        name_row(axes[2 * place, 0], au_label(au).replace(" ", "\n", 1) + "\n\nevidence")
        name_row(axes[2 * place + 1, 0], "gradients")
        for offset, (name, found) in enumerate(maps.items()):
            brightest = max(float(np.quantile(found, 0.995)), 1e-9)
            for column, face in enumerate(strongest):
                axis = axes[2 * place + offset, column]
                lay_over(axis, grey[face], found[column] / brightest)
                row = {"au": au, "name": faces.names[face], "map": name}
                row |= {"probability": float(probability[face, index]), "logit": float(logits[column])}
                row |= {"gap": float(gaps[name][column])}
                text = f"{row['probability']:.2f}"
                if regions is not None:
                    outline(axis, regions[face, place])
                    row["inside"] = float(mass_inside(found[column], regions[face, place]))
                    row["area"] = float(regions[face, place].mean())
                    text = (
                        f"{row['inside']:.0%} inside" if offset else f"p {text}  {row['inside']:.0%} inside"
                    )
                write_on(axis, text if regions is not None or not offset else "")
                rows.append(row)
    return figure, pd.DataFrame(rows)


@in_house_style
def draw_landmark_responses(run: str | Path, faces: ShownFaces) -> tuple[Figure, pd.DataFrame]:
    """Where the landmark detector responds, part by part, with the points it is read as (and the true ones).

    Returns:
        figure; table name, landmark, peak (largest share in one cell's neighbourhood), error (pixels, NaN
        without given landmarks).

    Raises:
        ValueError: the run learned no landmarks.
    """
    model, settings = load_run(run)
    if not finds_landmarks(settings["weights"]):
        raise ValueError(f"{run} learned no landmarks ({settings['method']}): its responses mean nothing")
    maps, points = landmark_maps(model, faces.pictures)
    parts = LANDMARK_PARTS if maps.shape[1] == 68 else LANDMARK_PARTS_49
    grey = luminance(faces.pictures)
    figure, axes = face_grid(len(parts) + 1, len(faces), side=1.1, left=0.75)
    for row, (name, part) in zip(axes, parts.items(), strict=False):
        name_row(row[0], name)
        for face, axis in enumerate(row):
            response = maps[face, list(part)].amax(0).numpy()
            lay_over(axis, grey[face], response / max(response.max(), 1e-9))
    name_row(axes[-1, 0], "read as\n(white: given)")
    for face, axis in enumerate(axes[-1]):
        show_face(axis, grey[face], faces.landmarks[face].numpy(), "white")
        axis.scatter(*points[face].T.numpy(), s=2.2, c="#D55E00", linewidths=0)
    error = (points - faces.landmarks).norm(dim=-1)
    table = pd.DataFrame(
        {
            "name": np.repeat(faces.names, maps.shape[1]),
            "landmark": np.tile(np.arange(maps.shape[1]), len(faces)),
            "peak": maps.flatten(2).amax(-1).flatten().numpy(),
            "error": error.flatten().numpy(),
        }
    )
    return figure, table


@in_house_style
def draw_rollout(run: str | Path, faces: ShownFaces) -> tuple[Figure, pd.DataFrame]:
    """Attention rollout of a transformer encoder over each face, one map for all AUs.

    Bright is where it is above an even map, of which the number says how many times at most.

    Returns:
        figure; table name, peak (that number), entropy (nats: log of the number of pixels if it is even).

    Raises:
        ValueError: the encoder is no transformer that attends over the whole face; see
        `rollout.rollout_maps`.
    """
    model, _ = load_run(run)
    maps = rollout_maps(model, faces.pictures)
    grey = luminance(faces.pictures)
    figure, axes = face_grid(1, len(faces), side=1.2, top=0.3)
    excess, peak = above_even(maps)
    for face, axis in enumerate(axes[0]):
        lay_over(axis, grey[face], excess[face].numpy())
        write_on(axis, f"{peak[face]:.2f} x even")
    head(figure, f"attention rollout of {model.config.backbone}")
    entropy = -(maps * maps.clamp(min=1e-12).log()).sum((1, 2))
    return figure, pd.DataFrame({"name": faces.names, "peak": peak.numpy(), "entropy": entropy.numpy()})


@in_house_style
def draw_mass_inside(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Share of attention inside each AU's true region: every run, against chance and the best possible.

    Args:
        table: `attention_study.region_table`, run by run.

    Returns:
        figure; the means drawn: au, run, map, inside, low, high, area, best, others, n.
    """
    drawn = region_means(table)
    aus, runs = list(dict.fromkeys(drawn["au"])), list(dict.fromkeys(drawn["run"]))
    figure = Figure(figsize=(7.2, 0.34 * len(aus) + 1.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    y = np.arange(len(aus))
    for axis, kind in zip(panels, ("evidence", "gradients"), strict=True):
        some = drawn[drawn["map"] == kind]
        one_run = some[some["run"] == runs[0]].set_index("au").reindex(aus)
        axis.barh(y, 100 * one_run["area"], height=0.8, color="#DDDDDD", label="chance: the region's area")
        if kind == "evidence":
            axis.scatter(
                100 * one_run["best"], y, marker="|", s=60, c="black", label="best that maps so coarse can do"
            )
        for place, name in enumerate(runs):
            own = some[some["run"] == name].set_index("au").reindex(aus)
            offset = (place - (len(runs) - 1) / 2) * 0.5 / max(1, len(runs) - 1)
            bars = 100 * np.abs(own[["low", "high"]].to_numpy().T - own["inside"].to_numpy())
            axis.errorbar(
                100 * own["inside"], y + offset, xerr=bars, fmt="osD^v"[place % 5], ms=3.5, lw=1,
                color=method_colour(name, runs), label=name,
            )  # fmt: skip
        axis.set_title({"evidence": "evidence maps", "gradients": "integrated gradients"}[kind])
        axis.set_xlabel("% of attention inside the AU's region")
    panels[0].set_yticks(y, [au_label(au) for au in aus])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure, drawn


@in_house_style
def draw_curves(curves: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Deletion and insertion: the probability of a present AU while pixels go, the map's highest first.

    Args:
        curves: `attention_study.curve_table`.

    Returns:
        figure; the table it draws.
    """
    runs = list(dict.fromkeys(curves["run"]))
    figure = Figure(figsize=(7.2, 2.6 * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), 2, sharey=True, squeeze=False)
    colours = {"evidence": "#D55E00", "gradients": "#0072B2", "random": "#888888", "region": "black"}
    for row, run in zip(panels, runs, strict=True):
        for axis, kind in zip(row, ("deletion", "insertion"), strict=True):
            some = curves[(curves["run"] == run) & (curves["curve"] == kind)]
            for name, own in some.groupby("map", sort=False):
                mean = own.groupby("fraction")["probability"].mean().reindex(FRACTIONS)
                dashes = {"random": "--", "region": ":"}.get(name, "-")
                axis.plot(100 * np.array(FRACTIONS), mean, dashes, color=colours[name], lw=1.4, label=name)
            axis.set_title(f"{run}: {kind}")
            axis.set_xlabel(f"% of pixels {'blurred' if kind == 'deletion' else 'shown'}")
            axis.set_ylim(0, 1)
        row[0].set_ylabel("probability of the AU")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure, curves


def outline(axis, region: np.ndarray) -> None:
    """The border of a region over a face."""
    if region.any():
        axis.contour(region.astype(float), levels=[0.5], colors=[REGION_COLOUR], linewidths=0.8)
