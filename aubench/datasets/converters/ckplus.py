"""CK+: last pictures of posed sequences. The tree and the source of each fact: docs/datasets/ckplus.md."""

from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.converter import Converter
from aubench.datasets.converters.label_tables import SPACES, au_name, codes, label_columns
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aulib.files import read_text
from aulib.tables import MAX_COORDINATE, Rule, read_columns

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27)
AUS = tuple(map(au_name, CODED))
PICTURE = r"(?P<subject>S\d{3})_(?P<session>\d{3})_(?P<frame>\d{8})"


class CKPlus(Converter):
    """One session of one frame per sequence."""

    expected = Expected(
        subjects=123,
        sessions=593,
        frames=593,
        aus=AUS,
        rates={
            "AU01": 0.292, "AU02": 0.196, "AU04": 0.322, "AU05": 0.172, "AU06": 0.206,
            "AU07": 0.201, "AU09": 0.125, "AU11": 0.056, "AU12": 0.187, "AU15": 0.150,
            "AU20": 0.130, "AU23": 0.100, "AU24": 0.096, "AU25": 0.484, "AU27": 0.137,
        },
        at_least=0,
        sources="subjects, sequences: Lucey et al. 2010; base rates: PMC3443486, table 2, but AU17 and AU26",
    )  # fmt: skip
    files = {
        "labels": rf"{PICTURE}_facs\.txt",
        "pictures": rf"{PICTURE}\.(?:png|jpe?g|tiff?|bmp)",
        "landmarks": rf"{PICTURE}_landmarks\.txt",
    }
    example = "FACS/S005/001/S005_001_00000011_facs.txt"

    def read(self, source: Source) -> Session:
        path = source.files["labels"]
        coded = _read_facs(path)
        occurrence = pd.DataFrame([[float(au in coded) for au in AUS]], columns=AUS)
        intensity = pd.DataFrame([[coded.get(au, 0) for au in AUS]], columns=AUS)
        not_coded = intensity.eq(0) & occurrence.eq(1)
        labels = [label_columns(occurrence, "_c"), label_columns(intensity.mask(not_coded), "_r")]
        return Session(
            frames=[path.stem.split("_")[2]],
            pictures=[source.files.get("pictures")],
            labels=pd.concat(labels, axis=1),
            landmarks=_read_landmarks(source.files["landmarks"]) if "landmarks" in source.files else None,
            notes=[] if coded else ["no AU is named in the label file: all count as absent"],
        )

    def num_label_rows(self, source: Source) -> int:
        return 1


def _read_facs(path: Path) -> dict[str, int]:
    """AU -> intensity."""
    if not read_text(path).strip():
        return {}
    columns = ["AU", "intensity"]
    text = read_columns(path, columns, [], SPACES)
    table = read_columns(
        path, columns, [Rule("AU", 0, 999, "an AU", whole=True), codes("intensity", 5)], SPACES
    )
    example = text["AU"].iloc[0]
    coded: dict[str, int] = {}
    for row, (au, intensity) in table.astype(int).iterrows():
        if "e" in example.lower() and len(text["intensity"][row]) != len(example):
            raise ValueError(
                f"{path} line {row + 2}: the intensity is {text['intensity'][row][:40]!r}, expected as many "
                f"digits as in {example} (was the file cut off?)"
            )
        if coded.setdefault(au_name(au), intensity) != intensity:
            raise ValueError(
                f"{path} line {row + 2}: AU {au} has intensity {intensity} here, {coded[au_name(au)]} above"
            )
    return coded


def _read_landmarks(path: Path) -> np.ndarray:
    """(1, 68, 2) pixels."""
    rule = Rule("x|y", -MAX_COORDINATE, MAX_COORDINATE, "pixels of the picture")
    points = read_columns(path, ["x", "y"], [rule], SPACES).to_numpy()
    if len(points) != 68:
        raise ValueError(f"{path} has {len(points)} points, expected 68 lines of x and y")
    return points[None]
