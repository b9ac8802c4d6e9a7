"""CSV files of OpenFace 2 and py-feat as tables with manifest columns, and back."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.label_tables import read_text
from aulib.manifest import shown

# py-feat has AU01 for a probability, a manifest AU01_p; what a manifest does not know becomes meta_pyfeat_...
_KNOWN = re.compile(r"[xy]_\d+|frame|face_id|FaceRect\w+|FaceScore|input|timestamp|confidence|success")
_PIXELS = (r"[xy]_\d+", -20_000, 20_000, "pixels of a picture")
RANGES_OF_OPENFACE = (
    (r"AU\d\d_r", 0, 5, "an intensity from 0 to 5"), (r"AU\d\d_c", 0, 1, "0 or 1"),
    (r"success", 0, 1, "0 or 1"), (r"confidence", 0, 1, "0 to 1"), (r"frame", 0, 1e9, "a frame's number"),
    _PIXELS,
)  # fmt: skip
RANGES_OF_PYFEAT = ((r"AU\d\d", 0, 1, "a probability"), _PIXELS)
_OPENFACE_ORDER = (
    r"image", r"frame", r"face_id", r"timestamp", r"confidence", r"success", r"gaze_\w+", r"eye_lmk_\w+",
    r"pose_\w+", r"x_\d+", r"y_\d+", r"X_\d+", r"Y_\d+", r"Z_\d+", r"p_\w+", r"AU\d\d_r", r"AU\d\d_c", r".*",
)  # fmt: skip


def read_openface(path: str | Path) -> pd.DataFrame:
    """A CSV of OpenFace 2 with all its columns; names without the space after the comma, numbers in full.

    Raises:
        ValueError: no CSV, columns that OpenFace does not write, rows of different length, text where numbers
            belong.
    """
    table = _read(Path(path))
    if not any(re.fullmatch(r"AU\d\d_[rc]|x_0", name) for name in table.columns):
        shown = ", ".join(table.columns[:5])
        raise ValueError(f"{path} has columns {shown} ..., expected OpenFace's AU01_r, AU01_c or x_0")
    _refuse_text(table, Path(path), r"AU\d\d_[rc]|[xyXYZ]_\d+|confidence|success|frame")
    _refuse_others(table, Path(path), RANGES_OF_OPENFACE)
    _refuse_twice(table, Path(path))
    return table


def write_openface(table: pd.DataFrame, path: str | Path) -> Path:
    """Write in OpenFace's order and with its `, `; unknown labels are `nan`, which OpenFace itself never
    writes.

    Columns that OpenFace does not have (image, subject, AU01_p) are kept: its readers look columns up by
    name.
    """
    order = sorted(table.columns, key=_openface_rank)
    if set(order) == set(table.columns) and _is_openface(table):
        order = list(table.columns)  # as it was read
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = table[order].to_csv(index=False, header=False, na_rep="nan", lineterminator="\n")
    header = ", ".join(_quoted(name) for name in order)
    path.write_text(
        f"{header}\n{body}" if '"' in body else f"{header}\n{body.replace(',', ', ')}", encoding="utf-8"
    )
    return path


def read_pyfeat(path: str | Path) -> pd.DataFrame:
    """A CSV of py-feat's Fex: AU01 becomes AU01_p (py-feat writes probabilities), others `meta_pyfeat_...`.

    Raises:
        ValueError: no CSV, no AU and landmark columns, text where numbers belong.
    """
    table = _read(Path(path))
    if not any(re.fullmatch(r"AU\d\d|x_0", name) for name in table.columns):
        shown = ", ".join(table.columns[:5])
        raise ValueError(f"{path} has columns {shown} ..., expected py-feat's AU01 or x_0")
    _refuse_text(table, Path(path), r"AU\d\d|[xy]_\d+")
    _refuse_others(table, Path(path), RANGES_OF_PYFEAT)
    _refuse_twice(table, Path(path))
    return table.rename(columns=_from_pyfeat)


def write_pyfeat(table: pd.DataFrame, path: str | Path) -> Path:
    """Write py-feat's columns; AU01_p (else AU01_c) becomes AU01.

    Raises:
        ValueError: the table has both AU01_p and AU01_c and they would be one column, or intensities (py-feat
            has none).
    """
    if lost := [name for name in table.columns if re.fullmatch(r"AU\d\d_r", name)]:
        raise ValueError(f"py-feat has no column for intensities, the table has {', '.join(lost[:4])}")
    names = [_to_pyfeat(name) for name in table.columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{doubled[0]} would be written twice, of AU.._p and AU.._c; keep one of them")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.set_axis(names, axis=1).to_csv(path, index=False)
    return path


def _read(path: Path) -> pd.DataFrame:
    content = read_text(path)
    try:
        table = pd.read_csv(
            io.StringIO(content), skipinitialspace=True, float_precision="round_trip", index_col=False
        )
    except Exception as error:  # pandas raises many kinds
        raise ValueError(f"{path} is no readable CSV: {' '.join(str(error).split())[:150]}") from error
    table.columns = [str(name).strip() for name in table.columns]
    if len(table.columns) == 1:
        raise ValueError(
            f"{path} has one column {table.columns[0][:60]!r}, expected several separated by commas"
        )
    if doubled := [
        name for name in table.columns if re.fullmatch(r".+\.\d+", name) and name.rsplit(".", 1)[0] in table
    ]:
        raise ValueError(f"{path}: column {doubled[0].rsplit('.', 1)[0]} occurs twice")
    if table.empty:
        raise ValueError(f"{path} has a header and no rows")
    lines = content.rstrip("\n").split("\n")
    short = [
        n for n, line in enumerate(lines[1:], 2) if line.strip() and line.count(",") != lines[0].count(",")
    ]
    if short and '"' not in content:
        found, want = lines[short[0] - 1].count(",") + 1, lines[0].count(",") + 1
        raise ValueError(f"{path} line {short[0]}: {found} cells, the header has {want}")
    return table.copy()  # in one piece


def _refuse_text(table: pd.DataFrame, path: Path, numeric: str) -> None:
    for name in table.columns:
        if re.fullmatch(numeric, name) and not pd.api.types.is_numeric_dtype(table[name]):
            values = pd.to_numeric(table[name], errors="coerce")
            wrong = table[name].notna() & values.isna()
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise ValueError(
                    f"{path} line {row + 2}: {name} is {shown(str(table[name].iloc[row]))}, expected a number"
                )
            table[name] = values


def _refuse_others(table: pd.DataFrame, path: Path, ranges: tuple) -> None:
    """Refuse numbers that cannot be what their column says; an empty cell is unknown."""
    for pattern, low, high, expected in ranges:
        for name in (name for name in table.columns if re.fullmatch(pattern, name)):
            values = table[name].to_numpy(np.float64)
            wrong = ~np.isnan(values) & ~((values >= low) & (values <= high))
            if "0 or 1" in expected:
                wrong |= ~np.isnan(values) & ~np.isin(values, (0, 1))
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"{path} line {row + 2}: {name} is {values[row]:g}, expected {expected}")


def _refuse_twice(table: pd.DataFrame, path: Path) -> None:
    """Refuse a row that stands in the file twice, cell by cell."""
    again = np.flatnonzero(table.duplicated())
    if len(again):
        raise ValueError(f"{path} line {again[0] + 2} repeats an earlier line, expected each row once")


def _from_pyfeat(name: str) -> str:
    if re.fullmatch(r"AU\d\d", name):
        return f"{name}_p"
    return name if _KNOWN.fullmatch(name) else f"meta_pyfeat_{name}"


def _to_pyfeat(name: str) -> str:
    if found := re.fullmatch(r"(AU\d\d)_[pc]", name):
        return found[1]
    return name.removeprefix("meta_pyfeat_")


def _openface_rank(name: str) -> tuple:
    kind = next(rank for rank, pattern in enumerate(_OPENFACE_ORDER) if re.fullmatch(pattern, name))
    number = re.search(r"\d+", name)
    return (kind, int(number[0]) if number and kind > 8 else 0)


def _is_openface(table: pd.DataFrame) -> bool:
    return "frame" in table.columns and table.columns[0] in ("frame", "face_id", "face")


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name or '"' in name else name
