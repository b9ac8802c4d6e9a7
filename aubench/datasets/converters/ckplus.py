"""CK+: the peak picture of 593 posed sequences of 123 people, AUs with or without intensity.

Tree: `FACS/S005/001/S005_001_00000011_facs.txt`, lines `1.0000000e+00 3.0000000e+00` = AU and intensity, 0
where the intensity was not coded; `cohn-kanade-images/S005/001/S005_001_00000011.png`;
`Landmarks/.../..._landmarks.txt`, 68 lines of x and y [OpenGraphAU and several public loaders; Lucey et al.
2010]. An AU that is not named is absent, a file with a blank line has none (a note counts them), a file of
no bytes is an error. Nothing says how many AUs a file should name, so lines that are missing cannot be told;
a line that is cut can, as all numbers of a file in exponent notation are of one length. Here every AU that is
named counts as present; OpenGraphAU counts it from intensity 2.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.label_tables import (
    intensity_frame,
    occurrence_frame,
    read_text,
    rows_of,
    whole_number,
)
from aubench.datasets.converters.raw_session import Expected, Session, Source, known_au
from aubench.datasets.converters.raw_tree import PICTURES, Tree

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27)
EXPECTED = Expected(
    subjects=123,
    sessions=593,
    frames=593,
    aus=tuple(f"AU{number:02d}" for number in CODED),
    rates={
        "AU01": 0.292,
        "AU02": 0.196,
        "AU04": 0.322,
        "AU05": 0.172,
        "AU06": 0.206,
        "AU07": 0.201,
        "AU09": 0.125,
        "AU11": 0.056,
        "AU12": 0.187,
        "AU15": 0.150,
        "AU20": 0.130,
        "AU23": 0.100,
        "AU24": 0.096,
        "AU25": 0.484,
        "AU27": 0.137,
    },  # fmt: skip
    at_least=0,
    sources="subjects, sequences: Lucey et al. 2010; base rates: PMC3443486, table 2, but AU17 and AU26",
)
_NAME = r"(S\d{3})_(\d{3})_(\d{8})"


def find(raw: Tree) -> list[Source]:
    """One source a sequence.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    labels = raw.label_files(rf"{_NAME}_facs\.txt", "FACS/S005/001/S005_001_00000011_facs.txt")
    pictures = {p.stem.lower(): p for p in raw.everywhere(rf"{_NAME}\.\w+") if p.suffix.lower() in PICTURES}
    landmarks = {path.stem.lower(): path for path in raw.everywhere(rf"{_NAME}_landmarks\.txt")}
    sources = []
    for path in labels:
        stem = path.stem[: -len("_facs")]
        subject, sequence, _ = re.fullmatch(_NAME, stem, re.IGNORECASE).groups()
        files = {
            "labels": path,
            "picture": pictures.get(stem.lower()),
            "landmarks": landmarks.get(f"{stem.lower()}_landmarks"),
        }
        sources.append(Source(f"{subject.upper()}/{sequence}", subject.upper(), files))
    return sources


def read(source: Source) -> Session:
    """The one coded frame of a sequence.

    Raises:
        ValueError: a line is not AU and intensity, or cut off, an AU has two intensities, or the landmarks
            are not 68 points.
    """
    path = source.files["labels"]
    coded: dict[int, int] = {}
    rows = rows_of(path, None) if read_text(path).strip() else []
    exponents = any("e" in cell.lower() for _, cells in rows for cell in cells)
    for line, cells in rows:
        if len(cells) != 2:
            raise ValueError(f"{path} line {line}: {len(cells)} numbers, expected AU and intensity")
        if exponents and len(cells[1]) != len(rows[0][1][0]):
            raise ValueError(
                f"{path} line {line}: the intensity is {cells[1][:40]!r}, expected it written as "
                f"{rows[0][1][0][:40]!r} is (a file cut off?)"
            )
        number = whole_number(cells[0], path, line, "the AU")
        strength = whole_number(cells[1], path, line, "the intensity")
        if coded.setdefault(number, strength) != strength:
            raise ValueError(
                f"{path} line {line}: AU {number} has intensity {strength}, before it had {coded[number]}; "
                f"expected each AU once"
            )
    occurrence = occurrence_frame({number: [float(number in coded)] for number in CODED}, (), path)
    strengths = {n: [np.nan if coded.get(n) == 0 else coded.get(n, 0)] for n in CODED if known_au(n)}
    return Session(
        frames=[path.stem[: -len("_facs")].split("_")[-1]],
        pictures=[source.files["picture"]],
        labels=pd.concat([occurrence, intensity_frame(strengths, (), path)], axis=1),
        landmarks=_landmarks(source.files["landmarks"]),
        notes=[] if coded else ["no AU is named in the label file: all count as absent"],
    )


def _landmarks(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    rows = rows_of(path, None)
    try:
        points = np.array([[float(cell) for cell in cells] for _, cells in rows])
    except ValueError as error:
        raise ValueError(f"{path}: {error}, expected 68 lines of x and y") from error
    if points.shape != (68, 2):
        raise ValueError(f"{path} holds {points.shape} numbers, expected 68 lines of x and y")
    return points[None]
