"""Label files as tables: text read strictly, every error with file and line, codes for unknown become NaN."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.files import read_text
from aulib.labels import AU_NAMES

OCCURRENCE, INTENSITY = range(2), range(6)


def rows_of(path: Path, separator: str | None) -> list[tuple[int, list[str]]]:
    """(line number from 1, cells) of the lines that are neither blank nor # comments.

    One separator at the end of a line is ignored; None separates at spaces.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            cells = line.removesuffix(separator or " ").split(separator)
            rows.append((number, [cell.strip() for cell in cells]))
    if not rows:
        raise ValueError(f"{path} holds no line with data")
    return rows


def whole_number(text: str, path: Path, line: int, what: str) -> int:
    """The cell as an int; 3.0 and 1.0000000e+00 are whole. Digits must be ASCII."""
    try:
        number = float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        number = np.nan
    if not abs(number) <= 1e9 or number != int(number):
        raise ValueError(f"{path} line {line}: {what} is {text[:40]!r}, expected a whole number")
    return int(number)


def number_table(path: Path, rows: list[tuple[int, list[str]]], names: list[str]) -> pd.DataFrame:
    """Rows of `rows_of` as whole numbers, one column per name; columns named "" are left out.

    Raises:
        ValueError: no row, a row with fewer or more cells than names, a cell that is no whole number.
    """
    if not rows:
        raise ValueError(f"{path} holds no row below its header, expected one per frame")
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(f"{path} line {line}: {len(cells)} cells, expected {len(names)}")
    return pd.DataFrame(
        {
            name: [whole_number(cells[column], path, line, name) for line, cells in rows]
            for column, name in enumerate(names)
            if name
        }
    )


def by_frame(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its column `frame` as index; ValueError for negative and doubled frames."""
    wrong = table["frame"][(table["frame"] < 0) | table["frame"].duplicated()]
    if len(wrong):
        raise ValueError(f"{path}: frame {wrong.iloc[0]} is negative or occurs twice")
    return table.set_index("frame")


def coded_table(path: Path) -> pd.DataFrame:
    """Codes of a CSV whose header names AUs by number: indexed by frame, columns AU01 ...

    The first column is the frame, whatever its header says (BP4D calls it 0). The others are `1`, `AU1` or
    `AU01`; columns of another name (occlusion, say) are left out.

    Raises:
        ValueError: no header of AUs, an AU twice, or as `number_table` and `by_frame`.
    """
    (line, header), *rows = rows_of(path, ",")
    names = ["frame", *(au_name(name) for name in header[1:])]
    named = [name for name in names if name]
    if len(named) == 1 or len(set(named)) < len(named):
        found = ",".join(header)[:60]
        raise ValueError(f"{path} line {line}: the header is {found!r}, expected frame and AUs, each once")
    return by_frame(number_table(path, rows, names), path)


def frame_values(path: Path, separator: str | None = ",", header: bool = False) -> pd.Series:
    """Intensities of a file of lines `frame<separator>intensity`, indexed by frame (`012.jpg` is 12).

    Args:
        header: the first line may be a header (it begins with a letter).
    """
    rows = rows_of(path, separator)
    if header and re.match(r"[A-Za-z]", rows[0][1][0]):
        rows = rows[1:]
    rows = [(line, [re.sub(r"\.(jpg|png)$", "", cells[0]), *cells[1:]]) for line, cells in rows]
    return by_frame(number_table(path, rows, ["frame", "intensity"]), path)["intensity"]


def au_name(text: str | int) -> str:
    """AU01 of 1, `1`, `AU1`, `AU01` and `'AU 1'`; "" of anything else."""
    found = re.fullmatch(r"['\"]?(?:AU)?[ _]?([0-9]{1,2})['\"]?", str(text).strip(), re.IGNORECASE)
    return f"AU{int(found[1]):02d}" if found and int(found[1]) else ""


def label_columns(codes: pd.DataFrame, allowed: range, unknown: tuple[int, ...], path: Path) -> pd.DataFrame:
    """Columns AU01 ... of codes as AU01_c (`allowed` OCCURRENCE) or AU01_r (INTENSITY).

    Codes in `unknown` become NaN. AUs that aulib does not name (rare ones, gaze and head codes) are left out.

    Raises:
        ValueError: a code is neither allowed nor unknown, with its AU and frame.
    """
    codes = codes[[name for name in sorted(codes.columns) if name in AU_NAMES]].astype(np.float32)
    codes = codes.mask(codes.isin(unknown))
    wrong = codes.notna() & ~codes.isin(allowed)
    if wrong.any(axis=None):
        frame, au = wrong.stack().idxmax()
        expected = ", ".join(map(str, [*allowed, *unknown]))
        raise ValueError(f"{path}: {au} is {codes.at[frame, au]:g} in frame {frame}, expected {expected}")
    return codes.add_suffix("_c" if allowed is OCCURRENCE else "_r")
