"""Label files as tables of AUs: every error with file and line, codes for unknown become NaN."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.files import read_text
from aulib.labels import AU_NAMES
from aulib.tables import FRAME, Rule, read_columns

SPACES = r"\s+"


def codes(columns: str, highest: int, unknown: tuple[int, ...] = ()) -> Rule:
    """Columns (a regular expression) of whole numbers from 0 to `highest`, 1 for occurrence and 5 for
    intensity, and of codes for unknown."""
    allowed = ", ".join(map(str, [*range(highest + 1), *unknown]))
    return Rule(columns, 0, highest, f"one of {allowed}", whole=True, unknown=unknown)


def read_header(path: Path) -> list[str]:
    """The cells of the first line."""
    return read_text(path).strip().partition("\n")[0].strip().removesuffix(",").split(",")


def coded_table(path: Path, unknown: tuple[int, ...]) -> pd.DataFrame:
    """Occurrence of a CSV whose header names AUs by number: indexed by frame, columns AU01_c ...

    The first column is the frame, whatever its header says (BP4D calls it 0). The others are `1`, `AU1` or
    `AU01`; columns of another name (occlusion, say) are left out.

    Raises:
        ValueError: an index before the frame, no header of AUs, an AU twice, or as `read_columns` and
            `by_frame`.
    """
    header = read_header(path)
    first, *others = (cell.strip(" '\"") for cell in header)
    if first in ("", "Unnamed: 0") or {"0", "frame"} & set(map(str.lower, others)):
        raise ValueError(
            f"{path} line 1: the first column is {first!r}, expected the frame (leave out the index "
            "that pandas writes: `index=False`)"
        )
    aus = list(filter(None, map(au_name, header[1:])))
    if not aus or len(set(aus)) < len(aus):
        found = ",".join(header)[:60]
        raise ValueError(f"{path} line 1: the header is {found!r}, expected frame and AUs, each once")
    names = ["frame", *(au if (au := au_name(name)) in AU_NAMES else "" for name in header[1:])]
    table = read_columns(path, names, [FRAME, codes(r"AU\d\d", 1, unknown)], header="")
    return label_columns(by_frame(table, path), "_c")


def intensities(
    files: dict[str, Path], separator: str = ",", header: str | None = None, unknown: tuple[int, ...] = ()
) -> pd.DataFrame:
    """AU01_r ... of a file for each AU, of lines `frame<separator>intensity`, indexed by frame (`012.jpg` is
    12); NaN where the file of an AU leaves a frame out.

    Args:
        header: as in `read_columns`.
    """
    rules, found = [FRAME, codes("intensity", 5, unknown)], {}
    for au, path in files.items():
        table = read_columns(path, ["frame", "intensity"], rules, rf"(?:\.jpg|\.png)?{separator}", header)
        found[au] = by_frame(table, path)["intensity"]
    return label_columns(pd.DataFrame(found), "_r")


def by_frame(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with its column `frame` as index; ValueError for doubled frames."""
    frames = table["frame"].astype(int)
    if len(twice := frames[frames.duplicated()]):
        raise ValueError(f"{path} line {twice.index[0] + 2}: frame {twice.iloc[0]} occurs twice")
    return table.set_index(frames).drop(columns="frame")


def au_name(text: str | int) -> str:
    """AU01 of 1, `1`, `AU1`, `AU01` and `'AU 1'`; "" of anything else."""
    found = re.fullmatch(r"['\"]?(?:AU)?[ _]?([0-9]{1,2})['\"]?", str(text).strip(), re.IGNORECASE)
    return f"AU{int(found[1]):02d}" if found and int(found[1]) else ""


def label_columns(table: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Columns AU01 ... as AU01_c or AU01_r in FACS order, float32. AUs that aulib does not name (rare ones,
    gaze and head codes) are left out."""
    return table[[au for au in AU_NAMES if au in table]].astype(np.float32).add_suffix(suffix)
