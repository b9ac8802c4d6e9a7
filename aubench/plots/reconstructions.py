"""Figures of what features hold: faces decoded before and after shape and texture are exchanged.

Only `draw_reconstructions` shows the run's own decoder R. All other pictures come from the fitted
`decoding.FaceDecoder`: their edges come from the features, their light and coarse colour from the face.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.reconstructions import COMPARED, OODReading, as_pictures
from aubench.inspection.shown_faces import ShownFaces
from aubench.plots.style import DOMAIN_COLOURS, face_grid, head, in_house_style, name_row, show_face, write_on

BRIGHTEST_ERROR = 0.4  # of a channel's range: white in an error map
ROUNDS = {
    "rich": "decoded F",
    "self": "self:\nown shape and texture",
    "swapped": "swapped:\nthe other's shape",
    "rich2": "second round:\nswapped back",
}


@in_house_style
def draw_reconstructions(decoded: dict[tuple[str, str], np.ndarray]) -> Figure:
    """Pairs of a source and a target face, one pair per row, decoded by the run's own R.

    Args:
        decoded: `reconstructions.decode_by_r`.
    """
    pairs = len(next(iter(decoded.values())))
    figure, axes = face_grid(pairs, len(decoded), side=1.05, top=0.62)
    for column, ((domain, name), pictures) in zip(axes.T, decoded.items(), strict=True):
        column[0].set_title(
            f"{domain} {name}", fontsize=7.5, color=DOMAIN_COLOURS[domain], loc="center", fontweight="normal"
        )
        for axis, picture in zip(column, pictures, strict=True):
            show_face(axis, picture)
    return figure


@in_house_style
def draw_rounds(pictures: dict[str, np.ndarray], scores: pd.DataFrame) -> Figure:
    """Pairs through both rounds, source above target, each picture with its error map, PSNR and SSIM.

    Args:
        pictures, scores: `reconstructions.decode_rounds`.
    """
    columns = ["input", "side alone"]
    for step in [step for step in ROUNDS if f"source.{step}" in pictures]:
        columns += [step, f"{step} error"] if step in COMPARED else [step]
    pairs = len(pictures["source.input"])
    figure, axes = face_grid(2 * pairs, len(columns), side=1.0, left=0.5, top=0.42)
    numbers = scores.set_index(["pair", "domain", "feature"])[["psnr", "ssim"]]
    for place, row in enumerate(axes):
        pair, domain = place // 2, ("source", "target")[place % 2]
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        for column, axis in zip(columns, row, strict=True):
            step = column.removesuffix(" error")
            picture = pictures[f"{domain}.{step}"][pair]
            if step != column:
                show_error(axis, picture, pictures[f"{domain}.input"][pair])
                continue
            show_face(axis, picture)
            if step in COMPARED:
                write_scores(axis, numbers.loc[(pair, domain, step)])
    for axis, column in zip(axes[0], columns, strict=True):
        title = "its error" if column.endswith(" error") else ROUNDS.get(column, column)
        axis.set_title(title, fontsize=6.5, fontweight="normal", loc="center")
    return figure


@in_house_style
def draw_runs(
    decoded: dict[str, tuple[str, np.ndarray]],
    scores: pd.DataFrame,
    source: ShownFaces,
    target: ShownFaces,
    step: str = "swapped",
) -> Figure:
    """The same target faces as several runs rebuild them, one row per run.

    Args:
        decoded, scores: `reconstructions.decode_runs` of these faces and this step.
    """
    count = min(len(source), len(target))
    given = step == "swapped"  # the shape comes from the source's face, which is shown too
    figure, axes = face_grid(len(decoded) + 1 + given, count, side=1.1, left=1.1, top=0.3)
    name_row(axes[0, 0], "target face", DOMAIN_COLOURS["target"])
    for axis, picture in zip(axes[0], as_pictures(target.pictures[:count]), strict=True):
        show_face(axis, picture)
    if given:
        name_row(axes[1, 0], "source face\nthat gives\nthe shape", DOMAIN_COLOURS["source"])
        for axis, picture in zip(axes[1], as_pictures(source.pictures[:count]), strict=True):
            show_face(axis, picture)
    for row, (name, (feature, pictures)) in zip(axes[1 + given :], decoded.items(), strict=True):
        own = scores[(scores["run"] == name) & (scores["feature"] == feature)]
        for face, axis in enumerate(row):
            show_face(axis, pictures[face])
            if feature in COMPARED:
                write_scores(axis, own.iloc[face])
        named = name.replace("-", "-\n", 1) if len(name) > 18 else name
        name_row(row[0], named if feature == step else f"{named}\n(decoded F:\nno exchange)")
    titles = {
        "swapped": "target texture with the source's shape",
        "self": "self-reconstruction",
        "rich2": "second round: swapped and swapped back",
    }
    head(figure, titles[step])
    return figure


@in_house_style
def draw_ood_inputs(readings: list[OODReading], table: pd.DataFrame, aus: tuple[str, ...]) -> Figure:
    """Out-of-distribution inputs above what is rebuilt from them, with the highest AU probability.

    Args:
        readings, table: `reconstructions.read_ood_inputs`.  aus: of the run.
    """
    kinds = list(dict.fromkeys(table["input"]))
    figure, axes = face_grid(2 * len(readings), len(kinds), side=1.15, left=0.7, top=0.42)
    for place, reading in enumerate(readings):
        above, below = axes[2 * place], axes[2 * place + 1]
        name_row(above[0], "input")
        name_row(below[0], "rebuilt")
        for column in range(len(kinds)):
            show_face(above[column], reading.inputs[column])
            show_face(below[column], reading.rebuilt[column])
            strongest = int(reading.probability[column].argmax())
            write_on(below[column], f"{aus[strongest]} {reading.probability[column, strongest]:.2f}")
    for axis, kind in zip(axes[0], kinds, strict=True):
        axis.set_title(
            kind.replace(" occluded", "\noccluded"), fontsize=7.5, fontweight="normal", loc="center"
        )
    return figure


@in_house_style
def draw_texture_by_shape(pictures: np.ndarray, originals: np.ndarray) -> Figure:
    """Every texture with every shape: rows give the texture, light and colour, columns the shape.

    The diagonal is the self-reconstruction.

    Args:
        pictures: (n, n, H, H, 3), from `reconstructions.decode_texture_by_shape`.  originals: (n, H, H, 3).
    """
    n = len(originals)
    figure, axes = face_grid(n + 1, n + 1, side=1.1, left=0.75, top=0.1)
    for place in range(n):
        show_face(axes[0, place + 1], originals[place])
        show_face(axes[place + 1, 0], originals[place])
        for axis, picture in zip(axes[place + 1, 1:], pictures[place], strict=True):
            show_face(axis, picture)
    corner = axes[0, 0]
    corner.text(0.95, 0.5, "shape of →", ha="right", va="center", fontsize=7.5, transform=corner.transAxes)
    corner.text(0.5, 0.08, "texture of ↓", ha="center", va="bottom", fontsize=7.5, transform=corner.transAxes)
    return figure


def write_scores(axis, scores: pd.Series) -> None:
    write_on(axis, f"{scores['psnr']:.1f} dB  {scores['ssim']:.2f}")


def show_error(axis, picture: np.ndarray, original: np.ndarray) -> None:
    """Mean absolute difference over channels: black is zero, white is BRIGHTEST_ERROR or more."""
    error = np.abs(picture - original).mean(-1)
    axis.imshow(error, cmap="inferno", vmin=0, vmax=BRIGHTEST_ERROR)
