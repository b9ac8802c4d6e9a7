"""Figures of what features hold: faces decoded before and after shape and texture are exchanged.

Every picture here comes from `decoding.FaceDecoder`: what edges it has it takes from the features; the
light and the coarse colour are those of the face named (for exchanged features, the texture's), given from
the side.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from aubench.inspection import swaps
from aubench.inspection.decoding import Side, about_decoder, decode_faces, load_decoder, side_alone, side_of
from aubench.inspection.reconstructions import compare, probes_of
from aubench.inspection.shown_faces import ShownFaces
from aubench.plots.style import DOMAIN_COLOURS, face_grid, head, in_house_style, name_row, show_face, write_on
from aulib.run import load_run

BRIGHTEST_ERROR = 0.4  # of a channel's range: white in an error map
ROUNDS = {
    "rich": "decoded F",
    "self": "self:\nown shape and texture",
    "swapped": "crossed:\nthe other's shape",
    "rich2": "second round:\ncrossed back",
}
COMPARED = ("rich", "self", "rich2")  # those that should be the input again


@in_house_style
def draw_rounds(run: str | Path, source: ShownFaces, target: ShownFaces) -> tuple[Figure, pd.DataFrame]:
    """Pairs of a source and a target face through both rounds, each with its error map and its numbers.

    Two rows a pair, source above target. A run that does not separate shows decoded F only.

    Returns:
        figure; table with a row for each face and feature: pair, domain, name, feature, psnr, ssim, gmsd (see
        `picture_measures`). The crossed picture has no original, so no numbers.
    """
    model, _ = load_run(run)
    decoder = load_decoder(run, model)
    count = min(len(source), len(target))
    pairs = {"source": source[:count], "target": target[:count]}
    separates = model.config.separates and not model.config.au_from_landmarks
    if separates:
        features = swaps.exchange(model, pairs["source"].pictures, pairs["target"].pictures)
    else:
        features = {
            f"{d}.rich": model.encoder(model.standardise(f.pictures)).detach() for d, f in pairs.items()
        }
    steps = [step for step in ROUNDS if f"source.{step}" in features]
    columns = ["input", "side alone"]
    for step in steps:
        columns += [step, f"{step} error"] if step in COMPARED else [step]
    figure, axes = face_grid(2 * count, len(columns), side=1.0, left=0.5, top=0.42)
    rows = []
    for offset, (domain, faces) in enumerate(pairs.items()):
        side = side_of(faces.pictures)
        decoded = {
            step: as_pictures(decode_faces(decoder, features[f"{domain}.{step}"], side)) for step in steps
        }
        plain = as_pictures(side_alone(side, faces.pictures.shape[-1]))
        originals = as_pictures(faces.pictures)
        for pair in range(count):
            row = axes[2 * pair + offset]
            name_row(row[0], domain, DOMAIN_COLOURS[domain])
            show_face(row[0], originals[pair])
            show_face(row[1], plain[pair])
            for column, axis in zip(columns[2:], row[2:], strict=True):
                step, _, is_error = column.partition(" ")
                picture = decoded[step][pair]
                if is_error:
                    show_error(axis, picture, originals[pair])
                    continue
                show_face(axis, picture)
                if step in COMPARED:
                    numbers = compare(picture, originals[pair])
                    write_on(axis, f"{numbers['psnr']:.1f} dB  {numbers['ssim']:.2f}")
                    named = {"pair": pair, "domain": domain, "name": faces.names[pair], "feature": step}
                    rows.append(named | numbers)
    for axis, column in zip(axes[0], columns, strict=True):
        step, _, is_error = column.partition(" ")
        axis.set_title(
            "its error" if is_error and step in ROUNDS else ROUNDS.get(step, column),
            fontsize=6.5, fontweight="normal", loc="center",
        )  # fmt: skip
    return figure, pd.DataFrame(rows)


@in_house_style
def draw_runs(
    runs: dict[str, str | Path], source: ShownFaces, target: ShownFaces, step: str = "swapped"
) -> tuple[Figure, pd.DataFrame]:
    """The same target faces as several runs rebuild them: a row for each run, every decoder fitted alike.

    PSNR and SSIM are written on what should be the face again; a crossed picture has no original.

    Args:
        runs: name of the row -> run folder, every one with the same input size.
        step: of `swaps.exchange`: "swapped", "self" or "rich2". A run that does not separate shows
        decoded F.

    Returns:
        figure; table with a row for each run, face and feature ("rich", "self", "rich2"): psnr, ssim, gmsd.

    Raises:
        ValueError: decoders that were not fitted alike (steps, seed, datasets).
    """
    refuse_unlike_decoders(runs)
    count = min(len(source), len(target))
    source, target = source[:count], target[:count]
    side, originals = side_of(target.pictures), as_pictures(target.pictures)
    given = step == "swapped"  # the shape comes from the source's face: show whose
    figure, axes = face_grid(len(runs) + 1 + given, count, side=1.1, left=1.1, top=0.3)
    name_row(axes[0, 0], "target face", DOMAIN_COLOURS["target"])
    for column in range(count):
        show_face(axes[0, column], originals[column])
    if given:
        name_row(axes[1, 0], "source face\nthat gives\nthe shape", DOMAIN_COLOURS["source"])
        for axis, picture in zip(axes[1], as_pictures(source.pictures), strict=True):
            show_face(axis, picture)
    rows = []
    for row, (name, run) in zip(axes[1 + given :], runs.items(), strict=True):
        model, _ = load_run(run)
        decoder = load_decoder(run, model)
        separates = model.config.separates and not model.config.au_from_landmarks
        if separates:
            features = swaps.exchange(model, source.pictures, target.pictures)
        else:
            features = {"target.rich": model.encoder(model.standardise(target.pictures)).detach()}
        shown = f"target.{step}" if separates else "target.rich"
        pictures = {
            key: as_pictures(decode_faces(decoder, features[key], side))
            for key in {shown, *(f"target.{one}" for one in COMPARED if f"target.{one}" in features)}
        }
        for face in range(count):
            show_face(row[face], pictures[shown][face])
            for one in COMPARED:
                if f"target.{one}" in pictures:
                    numbers = compare(pictures[f"target.{one}"][face], originals[face])
                    rows.append({"run": name, "name": target.names[face], "feature": one} | numbers)
                    if f"target.{one}" == shown:
                        write_on(row[face], f"{numbers['psnr']:.1f} dB  {numbers['ssim']:.2f}")
        named = name.replace("-", "-\n", 1) if len(name) > 18 else name
        name_row(row[0], named if separates else f"{named}\n(decoded F: it\nexchanges nothing)")
    head(figure, {"swapped": "target texture with the source's shape", "self": "self-reconstruction",
                  "rich2": "second round: crossed and crossed back"}.get(step, step))  # fmt: skip
    return figure, pd.DataFrame(rows)


@in_house_style
def draw_probes(run: str | Path, faces: ShownFaces, seed: int = 0) -> tuple[Figure, pd.DataFrame]:
    """Inputs built to fail and what is rebuilt from them: in pairs of rows, the input above.

    What is rebuilt is the self-reconstruction where the run has one, else decoded F. The number is the
    highest AU
    probability: of noise or a flat colour it should be low.

    Returns:
        figure; table face, probe, psnr, ssim, gmsd against the input, the probability of every AU.
    """
    model, settings = load_run(run)
    decoder = load_decoder(run, model)
    names = list(probes_of(faces.pictures[0]))
    figure, axes = face_grid(2 * len(faces), len(names), side=1.15, left=0.7, top=0.42)
    rows = []
    for index in range(len(faces)):
        inputs = probes_of(faces.pictures[index], seed + index)
        pictures = torch.stack(list(inputs.values()))
        with torch.no_grad():
            outputs = model.read(pictures, settings["read_target_from"])
        rebuilt = decode_faces(decoder, outputs["self" if "self" in outputs else "rich"], side_of(pictures))
        probability = outputs["au_logits"].sigmoid().numpy()
        above, below = axes[2 * index], axes[2 * index + 1]
        name_row(above[0], "input")
        name_row(below[0], "rebuilt")
        for column, name in enumerate(names):
            original, picture = as_pictures(pictures)[column], as_pictures(rebuilt)[column]
            show_face(above[column], original)
            show_face(below[column], picture)
            strongest = int(probability[column].argmax())
            write_on(below[column], f"{model.config.aus[strongest]} {probability[column, strongest]:.2f}")
            row = {"face": faces.names[index], "probe": name.replace("\n", " ")} | compare(picture, original)
            rows.append(row | dict(zip(model.config.aus, probability[column].round(4), strict=True)))
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=7.5, fontweight="normal", loc="center")
    return figure, pd.DataFrame(rows)


@in_house_style
def draw_texture_by_shape(run: str | Path, faces: ShownFaces) -> tuple[Figure, pd.DataFrame]:
    """Every texture with every shape: rows give the texture, light and colour, columns the shape.

    The diagonal is self-reconstruction. What changes along a row is in the shape; what changes down a
    column is in the texture, light and colour aside, which come from the side.

    Returns:
        figure; table of `swaps.each_exchange`, faces by name: its means are `swaps.what_follows`.
    """
    model, _ = load_run(run)
    decoder = load_decoder(run, model)
    grid = swaps.grid_of(model, faces.pictures, faces.pictures)
    probability, points = swaps.read_grid(model, grid)
    side, originals = side_of(faces.pictures), as_pictures(faces.pictures)
    n = len(faces)
    figure, axes = face_grid(n + 1, n + 1, side=1.1, left=0.75, top=0.1)
    for place in range(n):
        show_face(axes[0, place + 1], originals[place])
        show_face(axes[place + 1, 0], originals[place])
        own = Side(*(part[[place] * n] for part in (side.mean, side.spread, side.colour)))
        decoded = as_pictures(decode_faces(decoder, grid[place], own))
        for axis, picture in zip(axes[place + 1, 1:], decoded, strict=True):
            show_face(axis, picture)
    corner = axes[0, 0]
    corner.text(0.95, 0.5, "shape of →", ha="right", va="center", fontsize=7.5, transform=corner.transAxes)
    corner.text(0.5, 0.08, "texture of ↓", ha="center", va="bottom", fontsize=7.5, transform=corner.transAxes)
    table = swaps.each_exchange(grid, points, probability)
    return figure, table.assign(**{part: faces.names[table[part]] for part in ("texture", "shape")})


def refuse_unlike_decoders(runs: dict[str, str | Path]) -> None:
    """ValueError unless all decoders were fitted alike: a longer fit draws better, whatever features hold."""
    fits = {}
    for name, run in runs.items():
        about = about_decoder(run) or {}
        fit = {key: value for key, value in about.items() if key != "run"}
        fits.setdefault(str(fit or "no decoder"), []).append(name)
    if len(fits) > 1:
        raise ValueError(f"these runs' decoders were not fitted alike and cannot be compared: {fits}")


def show_error(axis, picture: np.ndarray, original: np.ndarray) -> None:
    """Mean absolute difference of the channels: black none, white BRIGHTEST_ERROR and more."""
    error = np.abs(picture - original).mean(-1)
    axis.imshow(error, cmap="inferno", vmin=0, vmax=BRIGHTEST_ERROR)


def as_pictures(pictures: Tensor) -> np.ndarray:
    """(n, 3, H, W) -> (n, H, W, 3), for the eye."""
    return pictures.permute(0, 2, 3, 1).numpy()
