"""Figures of faces: contact sheets, rows of faces, a run's first screen, the same faces in several runs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aubench.inspection.first_screen import FaceRead
from aubench.inspection.heads import HeadRows
from aubench.inspection.side_by_side import SameFaces
from aubench.plots.style import (
    DOMAIN_COLOURS,
    MISSED,
    RIGHT,
    WRONG,
    au_label,
    face_grid,
    in_house_style,
    name_columns,
    name_row,
    show_face,
    show_faces,
    write_on,
)


@in_house_style
def draw_faces(
    images: list[np.ndarray] | np.ndarray,
    landmarks: np.ndarray | None = None,
    captions: list[str] | None = None,
    columns: int = 8,
    title: str = "",
    domain: str = "",
) -> Figure:
    """A contact sheet, with landmarks over the faces if given.

    Args:
        images: pictures (H, W, 3) uint8.  landmarks: (n, K, 2) pixels of them.  captions: n short texts.
        domain: "source" or "target" sets the title in the domain's colour.
    """
    if not len(images):
        raise ValueError("no faces to draw")
    columns = min(columns, len(images))
    figure, axes = face_grid(-(-len(images) // columns), columns, side=1.15, title=title, domain=domain)
    for index, image in enumerate(images):
        show_face(axes.flat[index], image, None if landmarks is None else landmarks[index])
        if captions:
            write_on(axes.flat[index], captions[index])
    return figure


@in_house_style
def draw_face_rows(rows: HeadRows, title: str, domain: str = "") -> Figure:
    """Rows of faces with a text on each; rows named by AUs get the AU's name.

    Args:
        rows: of `heads.strongest_faces` or `heads.best_and_worst`.
        domain: "source" or "target" sets the title in the domain's colour.
    """
    columns = max(map(len, rows.values()))
    figure, axes = face_grid(len(rows), columns, side=1.5, left=1.35, title=title, domain=domain)
    for row, (name, faces) in zip(axes, rows.items(), strict=True):
        show_faces(row, *zip(*faces, strict=True), au_label(name, "\n"))
    return figure


@in_house_style
def draw_first_screen(faces: list[FaceRead], aus: tuple[str, ...]) -> Figure:
    """On a few faces: the picture, its reconstruction, where its most probable AU is read, the AUs found.

    Evidence has one scale per AU.

    Args:
        faces, aus: `first_screen.read_kept_faces`.
    """
    rows, has_maps = ["face", "reconstruction\nof what is read"], faces[0].evidence is not None
    if has_maps:
        rows.append("where\nits most\nprobable AU\nis read")
        brightest = np.quantile([face.evidence for face in faces], 0.995, axis=(0, 2, 3)).clip(min=1e-6)
    figure, axes = face_grid(len(rows) + 1, len(faces), side=1.25, left=1.05, top=0.3)
    for column, face in zip(axes.T, faces, strict=True):
        name_columns(column[:1], [face.domain], DOMAIN_COLOURS[face.domain])
        show_faces(column[:2], [face.picture, face.rebuilt])
        if has_maps:
            index = int(face.probability.argmax())
            strength = face.evidence[index] / brightest[index]
            show_faces(column[2:], [face.network_input], [aus[index]], maps=[strength])
        _list_aus(column[-1], face.probability, face.occurrence, aus)
    for axis, name in zip(axes[:, 0], [*rows, "AUs found\n✓ correct\n✗ wrong\n– missed"], strict=True):
        name_row(axis, name)
    return figure


def _list_aus(axis: Axes, probability: np.ndarray, occurrence: np.ndarray, names: tuple[str, ...]) -> None:
    """The AUs found on a face, correct or wrong where labels exist, and the missed ones."""
    lines = []
    for au, value, truth in zip(names, probability, occurrence, strict=True):
        if value >= 0.5:
            sign, colour = ("", "black") if np.isnan(truth) else RIGHT if truth == 1 else WRONG
        elif truth == 1:
            sign, colour = MISSED
        else:
            continue
        lines.append((f"{sign} {au} {value:.2f}".strip(), colour))
    for line, (text, colour) in enumerate(lines or [("none", "black")]):  # a long list goes on below its cell
        axis.text(
            0.04, 0.95 - 0.11 * line, text, color=colour, fontsize=6, va="top", transform=axis.transAxes
        )


@in_house_style
def draw_same_faces(faces: SameFaces, names: dict[str, str], au: str) -> Figure:
    """Faces that all runs keep, and each run's evidence for one AU with its probability.

    Evidence has one scale per run. A run without a map of the AU says so next to its plain faces.

    Args:
        faces: `side_by_side.same_faces`.  names: run -> its name.
    """
    figure, axes = face_grid(len(names) + 1, len(faces.table), side=1.05, left=1.35, top=0.06)
    labels = faces.table["true"].map({0.0: "absent", 1.0: "present"}).fillna("unknown")
    show_faces(axes[0], faces.pictures, labels, au_label(au, "\n"))
    for row, (run, name) in zip(axes[1:], names.items(), strict=True):
        texts = faces.table[run].map("{:.2f}".format)
        name = name.replace(", ", "\n").replace(" (", "\n(")
        if (maps := faces.evidence[run]) is None:
            name, maps = f"{name}\nhas no map", ()
        show_faces(row, faces.network_input[run], texts, name, maps=maps)
    return figure
