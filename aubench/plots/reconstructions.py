"""Figures of what features hold: faces decoded before and after shape and texture are exchanged.

Pictures of the fitted `decoding.FaceDecoder` have their edges from the features, their light and coarse
colour from the face.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.reconstructions import COMPARED
from aubench.inspection.shown_faces import ShownFaces, as_pictures
from aubench.plots.style import (
    DOMAIN_COLOURS,
    face_grid,
    in_house_style,
    name_columns,
    name_row,
    show_face,
    show_faces,
    write_on,
)

BRIGHTEST_ERROR = 0.4  # of a channel's range, mean over channels: white in an error map
ROUNDS = {
    "rich": "decoded F",
    "self": "self:\nown shape\nand texture",
    "swapped": "swapped:\nthe other's\nshape",
    "rich2": "second\nround:\nswapped back",
}
TITLES = {
    "swapped": "target texture with the source's shape",
    "rich2": "second round: swapped and swapped back",
}


@in_house_style
def draw_rounds(pictures: dict[str, np.ndarray], scores: pd.DataFrame) -> Figure:
    """Pairs through both rounds, source above target, each picture with its error map, PSNR and SSIM.

    Args:
        pictures, scores: `reconstructions.decode_rounds`.
    """
    steps = [step for step in ("input", "side alone", *ROUNDS) if f"source.{step}" in pictures]
    titles = []
    for step in steps:
        titles += [ROUNDS.get(step, step), *(["its error"] if step in COMPARED else [])]
    pairs = len(pictures["source.input"])
    figure, axes = face_grid(2 * pairs, len(titles), side=1.0, left=0.5, top=0.5)
    numbers = scores.set_index(["pair", "domain", "feature"])
    for place, row in enumerate(axes):
        pair, domain = place // 2, ("source", "target")[place % 2]
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        cells = iter(row)
        for step in steps:
            picture, axis = pictures[f"{domain}.{step}"][pair], next(cells)
            show_face(axis, picture)
            if step in COMPARED:
                write_on(axis, _quality(numbers.loc[(pair, domain, step)]))
                error = np.abs(picture - pictures[f"{domain}.input"][pair])
                error = error.mean(-1) if error.ndim == 3 else error
                next(cells).imshow(error, cmap="inferno", vmin=0, vmax=BRIGHTEST_ERROR)
    name_columns(axes[0], titles)
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
    rows = [("target face", DOMAIN_COLOURS["target"], as_pictures(target.pictures), ())]
    if step == "swapped":  # the shape comes from the source's face, which is shown too
        name = "source face\nthat gives\nthe shape"
        rows.append((name, DOMAIN_COLOURS["source"], as_pictures(source.pictures), ()))
    for name, (feature, pictures) in decoded.items():
        own = scores[(scores["run"] == name) & (scores["feature"] == feature)]  # none of an exchanged feature
        name = name.replace("-", "-\n", 1) if len(name) > 18 else name
        name = name if feature == step else f"{name}\n(decoded F:\nno exchange)"
        rows.append((name, "black", pictures, [_quality(row) for _, row in own.iterrows()]))
    figure, axes = face_grid(len(rows), count, side=1.1, left=1.1, title=TITLES[step])
    for axes_row, (name, colour, pictures, texts) in zip(axes, rows, strict=True):
        show_faces(axes_row, pictures, texts, name, colour)
    return figure


@in_house_style
def draw_ood_inputs(inputs: np.ndarray, rebuilt: np.ndarray, table: pd.DataFrame) -> Figure:
    """Out-of-distribution inputs above what is rebuilt from them, with the highest AU probability.

    Args:
        inputs, rebuilt, table: `reconstructions.read_ood_inputs`.
    """
    figure, axes = face_grid(2 * len(inputs), inputs.shape[1], side=1.15, left=0.7, top=0.42)
    probability = table.filter(like="AU")
    highest = probability.idxmax(axis=1) + probability.max(axis=1).map(" {:.2f}".format)
    texts = highest.to_numpy().reshape(inputs.shape[:2])
    for place in range(len(inputs)):
        show_faces(axes[2 * place], inputs[place], name="input")
        show_faces(axes[2 * place + 1], rebuilt[place], texts[place], "rebuilt")
    kinds = table["input"].unique()
    name_columns(axes[0], [kind.replace(" occluded", "\noccluded") for kind in kinds])
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
    show_faces(axes[0, 1:], originals)
    for row, original, made in zip(axes[1:], originals, pictures, strict=True):
        show_faces(row, [original, *made])
    corner = {"fontsize": 7.5, "transform": axes[0, 0].transAxes}
    axes[0, 0].text(0.95, 0.5, "shape of →", ha="right", va="center", **corner)
    axes[0, 0].text(0.5, 0.08, "texture of ↓", ha="center", va="bottom", **corner)
    return figure


def _quality(scores: pd.Series) -> str:
    return f"{scores['psnr']:.1f} dB  {scores['ssim']:.2f}"
