"""Figures of what a run sees: reconstructions, attention, the first screen of the README.

The faces are the fixed few that the run keeps. A model that reads standardised luminance
decodes to standardised luminance; it is shown in grey, given back the mean and the spread of the face
it belongs to.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from aubench.inspection.decoding import (
    FaceDecoder,
    about_decoder,
    decode,
    decode_faces,
    load_decoder,
    shown_input,
    side_of,
)
from aubench.plots.style import (
    DOMAIN_COLOURS,
    au_label,
    face_grid,
    head,
    in_house_style,
    name_row,
    show_face,
    write_on,
)
from aubench.report.results import read_samples
from aulib.batches import centre_crop
from aulib.model import AUModel
from aulib.run import load_run

# A sign and a colour: the colour alone says nothing to some readers.
RIGHT, WRONG, MISSED = ("✓", "#0072B2"), ("✗", "#D55E00"), ("–", "#666666")


@in_house_style
def draw_reconstructions(run: str | Path, count: int = 6) -> Figure:
    """Two rounds made visible on pairs of a source and a target face.

    Columns: I, R(F), the cross-domain reconstruction R(F~) with the other face's shape and this face's
    texture, and the second round R(F^), which should be the face again; first of the source face, then of
    the target's. A run without separation has I and R(F) only. R was trained beside the model and only
    shows what features hold.
    """
    model, settings = load_run(run)
    faces = {domain: sample_pictures(run, model, domain) for domain in ("source", "target")}
    count = min(count, *(len(pictures) for pictures in faces.values()))
    chosen = {domain: _spread_out(pictures, count) for domain, pictures in faces.items()}
    decoded = {d: {"I": shown_input(model, chosen[d])} for d in chosen}
    with torch.no_grad():
        both = torch.cat([chosen["source"], chosen["target"]])
        if model.config.separates and not model.config.au_from_landmarks:
            outputs = model(both, count, separate=True)
            features = {"R(F)": "rich", "R(F~)\nother's shape": "swapped", "R(F^)\nsecond round": "rich2"}
            for domain in decoded:
                for name, key in features.items():
                    decoded[domain][name] = decode(model, outputs[f"{key}_{domain[0]}"], chosen[domain])
        else:
            rich = model.encoder(model.standardise(both))
            for domain, feature in zip(decoded, rich.split(count), strict=True):
                decoded[domain]["R(F)"] = decode(model, feature, chosen[domain])
    columns = [(domain, name) for domain in decoded for name in decoded[domain]]
    figure, axes = face_grid(count, len(columns), side=1.05, top=0.62)
    for row, place in zip(axes, range(count), strict=True):
        for axis, (domain, name) in zip(row, columns, strict=True):
            show_face(axis, decoded[domain][name][place])
    for axis, (domain, name) in zip(axes[0], columns, strict=True):
        heading = f"source {name}" if domain == "source" else f"target {name}"
        axis.set_title(heading, fontsize=7.5, color=DOMAIN_COLOURS[domain], loc="center", fontweight="normal")
    return figure


@in_house_style
def draw_attention(
    run: str | Path, domain: str = "target", count: int = 6, aus: list[str] | None = None
) -> Figure:
    """Where each AU's evidence lies: the positive part of its map over the face, one scale for each AU.

    D_au's logit is the mean of this map, so it is exactly what the answer is made of; but it has few cells,
    seen through receptive fields that are wider than a cell. The first column is the face with the highest
    probability.

    Raises:
        ValueError: the run reads AUs from landmark coordinates and so has no maps, or does not know an AU.
    """
    model, settings = load_run(run)
    if model.config.au_from_landmarks:
        raise ValueError(f"{run} reads AUs from landmark coordinates: it has no attention to draw")
    names = list(model.config.aus)
    if unknown := [au for au in aus or [] if au not in names]:
        raise ValueError(f"{run} does not know {unknown}; it knows {names}")
    pictures = _spread_out(sample_pictures(run, model, domain), count)
    evidence, probability = read_evidence(model, pictures, settings[f"read_{domain}_from"])
    shown = shown_input(model, pictures)
    aus = aus or names
    figure, axes = face_grid(len(aus), len(pictures) + 1, side=0.95, left=1.35, top=0.3)
    for row, au in zip(axes, aus, strict=True):
        index = names.index(au)
        maps = evidence[:, index].clip(min=0)
        brightest = max(float(np.quantile(maps, 0.995)), 1e-6)
        name_row(row[0], au_label(au).replace(" ", "\n", 1))
        strongest = int(probability[:, index].argmax())
        show_face(row[0], shown[strongest])
        write_on(row[0], "strongest", corner="top")
        for place, axis in enumerate(row[1:]):
            lay_over(axis, shown[place], maps[place] / brightest)
            write_on(axis, f"{probability[place, index]:.2f}")
    head(figure, f"{domain}: evidence for each AU, and its probability", DOMAIN_COLOURS[domain])
    return figure


@in_house_style
def draw_first_screen(run: str | Path, au: str = "", count: int = 6, domain: str = "target") -> Figure:
    """On a few faces: the picture, its reconstruction, the attention of an AU, the AUs found.

    Of the faces that the run keeps, those that show the most AUs between them by label, whatever the run
    makes of them; without labels, evenly spread ones. The reconstruction is in colour where the run has a
    fitted decoder (`decoding.fit_decoder`), else by R.

    Args:
        au: whose attention; by default of each face the AU that the run is surest of. One scale an AU.
        count: faces of each domain.  domain: source, target or both.
    """
    model, settings = load_run(run)
    names = list(model.config.aus)
    if au and au not in names:
        raise ValueError(f"{run} does not know {au}; it knows {names}")
    decoder = load_decoder(run, model) if about_decoder(run) else None
    shown = [
        face
        for each in (("source", "target") if domain == "both" else (domain,))
        for face in _read_faces(run, model, each, settings[f"read_{each}_from"], decoder, count)
    ]
    rows = ["face", "reconstruction\nof what is read"]
    if "evidence" in shown[0]:
        seen = au_label(au).replace(" ", "\n", 1) if au else "the AU\nit is surest of"
        rows.append(f"where\n{seen}\nis seen")
        brightest = np.quantile([face["evidence"] for face in shown], 0.995, axis=(0, 2, 3)).clip(min=1e-6)
    figure, axes = face_grid(len(rows) + 1, len(shown), side=1.25, left=1.05, top=0.3)
    for column, face in zip(axes.T, shown, strict=True):
        column[0].set_title(
            face["domain"], fontsize=8, color=DOMAIN_COLOURS[face["domain"]], fontweight="normal"
        )
        show_face(column[0], face["picture"])
        show_face(column[1], face["rebuilt"])
        if "evidence" in face:
            index = names.index(au) if au else int(face["probability"].argmax())
            lay_over(column[2], face["input"], face["evidence"][index] / brightest[index])
            write_on(column[2], names[index])
        _answer(column[-1], face["probability"], face["occurrence"], names)
    for axis, name in zip(axes[:, 0], [*rows, "AUs found\n✓ rightly\n✗ wrongly\n– missed"], strict=True):
        name_row(axis, name)
    return figure


@torch.no_grad()
def _read_faces(
    run: str | Path, model: AUModel, domain: str, read_from: str, decoder: FaceDecoder | None, count: int
) -> list[dict]:
    """What the first screen shows of each of a domain's most telling kept faces."""
    samples = read_samples(run, domain)
    places = _telling(samples.occurrence, count)
    pictures = sample_pictures(run, model, domain)[places]
    outputs = model.read(pictures, read_from)
    features = outputs["rich" if read_from == "features" else "self"]
    if decoder is None:
        rebuilt = decode(model, features, pictures)
    else:
        rebuilt = decode_faces(decoder, features, side_of(pictures)).permute(0, 2, 3, 1).numpy()
    found = {
        "picture": pictures.permute(0, 2, 3, 1).numpy(),
        "input": shown_input(model, pictures),
        "rebuilt": rebuilt,
        "probability": outputs["au_logits"].sigmoid().numpy(),
        "occurrence": samples.occurrence[places],
    }
    if "evidence" in outputs:
        found["evidence"] = upsampled(outputs["evidence"], pictures.shape[-1]).clip(min=0)
    return [
        {"domain": domain} | {name: values[place] for name, values in found.items()}
        for place in range(len(places))
    ]


def sample_pictures(run: str | Path, model: AUModel, domain: str) -> Tensor:
    """The run's kept faces as the model is shown them at test time: (n, 3, H, H) in [0, 1]."""
    samples = read_samples(run, domain)
    return centre_crop(samples.images, samples.landmarks, model.config.image_size)[0]


def read_evidence(model: AUModel, pictures: Tensor, read_from: str) -> tuple[np.ndarray, np.ndarray]:
    """Evidence maps at the size of the picture, (n, A, H, H), and probabilities, (n, A)."""
    with torch.no_grad():
        outputs = model.read(pictures, read_from)
    return upsampled(outputs["evidence"], pictures.shape[-1]), outputs["au_logits"].sigmoid().numpy()


def upsampled(maps: Tensor, size: int) -> np.ndarray:
    """(n, A, h, w) -> (n, A, size, size), bilinear."""
    return F.interpolate(maps.float(), (size, size), mode="bilinear", align_corners=False).numpy()


def lay_over(axis: Axes, face: np.ndarray, strength: np.ndarray) -> None:
    """A map in [0, 1] over a face, in colour where it is strong and transparent where it is weak."""
    show_face(axis, face)
    strength = strength.clip(0, 1)
    axis.imshow(strength, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * strength, interpolation="bilinear")


def _answer(axis: Axes, probability: np.ndarray, occurrence: np.ndarray, names: list[str]) -> None:
    """The AUs found on a face, right or wrong where labels tell, and those missed."""
    lines = []
    for au, value, truth in zip(names, probability, occurrence, strict=True):
        sign, colour = ("", "black") if np.isnan(truth) else RIGHT if truth == 1 else WRONG
        if value < 0.5:
            if truth != 1:
                continue
            sign, colour = MISSED
        lines.append((f"{sign} {au} {value:.2f}".strip(), colour))
    for place, (text, colour) in enumerate(lines):
        column, line = divmod(place, 8)
        axis.text(
            0.04 + 0.5 * column,
            0.95 - 0.12 * line,
            text,
            color=colour,
            fontsize=6,
            va="top",
            transform=axis.transAxes,
        )
    if not lines:
        axis.text(0.04, 0.95, "none", fontsize=6, va="top", transform=axis.transAxes)


def _telling(occurrence: np.ndarray, count: int) -> list[int]:
    """Places of `count` faces, each the one that adds the most AUs to those shown; (n, A) labels."""
    present = np.nan_to_num(occurrence) == 1
    if not present.any():
        return list(_places(len(present), count))
    chosen: list[int] = []
    for _ in range(min(count, len(present))):
        shown = present[chosen].sum(0)
        gain = (present / (1 + shown) ** 2).sum(1)  # an AU shown already counts little
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return sorted(chosen)


def _places(available: int, count: int) -> np.ndarray:
    return np.linspace(0, available - 1, min(count, available)).astype(int)


def _spread_out(pictures: Tensor, count: int) -> Tensor:
    return pictures[_places(len(pictures), count)]
