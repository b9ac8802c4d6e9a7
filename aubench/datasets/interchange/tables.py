"""CSV tables of OpenFace 2, py-feat and other tools: one strict reader, and writers that give the file back.

Columns that a rule names hold numbers within its bounds; all others keep the text of the file, so that
writing them changes nothing.
"""

import csv
import io
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from aulib.files import read_text, result_file
from aulib.tables import MAX_COORDINATE, shown


class Rule(NamedTuple):
    """Columns that hold numbers, and which numbers; an empty cell is always fine."""

    columns: str  # a regular expression
    low: float
    high: float
    expected: str


PIXELS = Rule(r"[xy]_\d+", -MAX_COORDINATE, MAX_COORDINATE, "pixels of a picture")
FRAME = Rule(r"frame", 0, 1e9, "a frame number")
SUCCESS = Rule(r"success", 0, 1, "0 or 1")
OPENFACE = (
    Rule(r"AU\d\d_r", 0, 5, "an intensity from 0 to 5"),
    Rule(r"AU\d\d_c", 0, 1, "0 or 1"),
    Rule(r"confidence", 0, 1, "a number from 0 to 1"),
    Rule(r"[XYZ]_\d+", -1e9, 1e9, "millimetres"),
    PIXELS, FRAME, SUCCESS,
)  # fmt: skip
PYFEAT = (Rule(r"AU\d\d", 0, 1, "a probability"), PIXELS, FRAME, SUCCESS)

_OPENFACE_ORDER = (
    r"image", r"frame", r"face_id", r"timestamp", r"confidence", r"success", r"gaze_", r"eye_lmk_", r"pose_",
    r"x_", r"y_", r"X_", r"Y_", r"Z_", r"p_", r"AU\d\d_r", r"AU\d\d_c",
)  # fmt: skip
_KEPT_OF_PYFEAT = re.compile(
    r"[xy]_\d+|frame|face_id|FaceRect\w+|FaceScore|input|timestamp|confidence|success"
)


def csv_files(path: str | Path) -> list[Path]:
    """The CSV itself, or all CSVs of a folder, sorted.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(path)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise FileNotFoundError(
            f"{path} does not exist or holds no .csv file, expected a CSV or a folder of them"
        )
    return files


def read_openface(path: str | Path) -> pd.DataFrame:
    """A CSV of OpenFace 2 with all its columns; names without the space after the comma.

    Raises:
        ValueError: see `read_table`.
    """
    return read_table(Path(path), OPENFACE, r"AU\d\d_[rc]|x_0", "OpenFace's AU01_r, AU01_c or x_0")


def read_pyfeat(path: str | Path) -> pd.DataFrame:
    """A CSV of py-feat's Fex: AU01, a probability, becomes AU01_p; what no manifest knows `meta_pyfeat_...`.

    Raises:
        ValueError: see `read_table`.
    """
    table = read_table(Path(path), PYFEAT, r"AU\d\d|x_0", "py-feat's AU01 or x_0")

    def renamed(name: str) -> str:
        if re.fullmatch(r"AU\d\d", name):
            return f"{name}_p"
        return name if _KEPT_OF_PYFEAT.fullmatch(name) else f"meta_pyfeat_{name}"

    return table.rename(columns=renamed)


def read_table(path: Path, rules: tuple[Rule, ...], required: str, example: str) -> pd.DataFrame:
    """A CSV with a header, in which spaces may follow commas.

    Args:
        required: regular expression of which the table needs a column; `example` names one in the error.

    Returns:
        numbers where `rules` name a column, NaN in empty cells; text elsewhere.

    Raises:
        ValueError: no CSV, no such column, rows of different length, one row twice, or a cell against a rule;
            with file and line.
    """
    content = read_text(path)
    number = re.compile("|".join(rule.columns for rule in rules)).fullmatch
    try:
        header = next(csv.reader(content.split("\n", 1)[:1], skipinitialspace=True))
        texts = {name: object for name in header if not number(name.strip())}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row is longer than the header
            table = pd.read_csv(
                io.StringIO(content), dtype=texts, skipinitialspace=True, index_col=False, low_memory=False
            )
    except Exception as error:  # pandas raises many kinds
        raise ValueError(f"{path} is no readable CSV: {' '.join(str(error).split())[:150]}") from error
    table.columns = [str(name).strip() for name in table.columns]
    _refuse_damage(table, content, path)
    table = table.drop(columns=_nameless(table, path))
    if not any(re.fullmatch(required, name) for name in table.columns):
        raise ValueError(f"{path} has columns {', '.join(table.columns[:5])[:200]} ..., expected {example}")
    for rule in rules:
        if columns := list(filter(re.compile(rule.columns).fullmatch, table.columns)):
            _check_numbers(table, columns, rule, path)
    return table.copy()  # in one piece; pandas warns of tables made column by column


def _nameless(table: pd.DataFrame, path: Path) -> list[str]:
    """Columns without a name that say nothing: the index that pandas writes first, and empty ones."""
    nameless = [name for name in table.columns if re.fullmatch(r"Unnamed: \d+", name)]
    for name in nameless:
        number = table.columns.get_loc(name)
        if number and table[name].notna().any():
            raise ValueError(f"{path}: column {number + 1} has no name, expected one in the header")
    return nameless


def _refuse_damage(table: pd.DataFrame, content: str, path: Path) -> None:
    columns = list(table.columns)
    if len(columns) == 1:
        raise ValueError(f"{path} has one column {columns[0][:60]!r}, expected several separated by commas")
    originals = [name.rpartition(".")[0] for name in columns if re.fullmatch(r".+\.\d+", name)]
    if doubled := [name for name in originals if name in columns]:  # pandas calls the second one name.1
        raise ValueError(f"{path}: column {doubled[0]} occurs twice")
    if table.empty:
        raise ValueError(f"{path} has a header and no rows")
    seen, wanted = set(), content.partition("\n")[0].count(",") + 1
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        if line in seen:
            raise ValueError(f"{path} line {number} repeats an earlier line, expected each row once")
        seen.add(line)
        cells = line.count(",") + 1
        if cells != wanted and '"' not in content:  # commas inside quotes separate no cells
            raise ValueError(f"{path} line {number}: {cells} cells, the header has {wanted}")


def _check_numbers(table: pd.DataFrame, columns: list[str], rule: Rule, path: Path) -> None:
    """ValueError unless all cells are empty or follow the rule."""
    for name, dtype in table[columns].dtypes.items():
        if dtype.kind not in "iuf":  # some cell is text
            values = pd.to_numeric(table[name].astype(str), errors="coerce")
            wrong = np.flatnonzero(table[name].notna() & values.isna())
            if len(wrong):
                found = shown(str(table[name].iloc[wrong[0]]))
                raise ValueError(f"{path} line {wrong[0] + 2}: {name} is {found}, expected {rule.expected}")
            table[name] = values
    values = table[columns].to_numpy(np.float64)
    allowed = (
        np.isin(values, (0, 1)) if rule.expected == "0 or 1" else (values >= rule.low) & (values <= rule.high)
    )
    for row, column in np.argwhere(~np.isnan(values) & ~allowed)[:1]:
        found = f"{columns[column]} is {values[row, column]:g}"
        raise ValueError(f"{path} line {row + 2}: {found}, expected {rule.expected}")


def write_openface(table: pd.DataFrame, path: str | Path) -> Path:
    """Write in OpenFace's order and with its `, `; unknown labels are `nan`, which OpenFace never writes.

    Columns that OpenFace does not have (image, subject, AU01_p) are kept: its readers look columns up by
    name. A table that begins as OpenFace's do keeps its order.
    """

    def rank(name: str) -> int:
        found = (number for number, start in enumerate(_OPENFACE_ORDER) if re.match(start, name))
        return next(found, len(_OPENFACE_ORDER))

    columns = list(table.columns)
    if columns[0] not in ("frame", "face_id", "face"):
        columns.sort(key=rank)
    header = ", ".join(f'"{name}"' if re.search('[,"]', name) else name for name in columns)
    body = table[columns].to_csv(index=False, header=False, na_rep="nan", lineterminator="\n")
    if '"' not in body:
        body = body.replace(",", ", ")
    with result_file(path) as partial:
        partial.write_text(f"{header}\n{body}", encoding="utf-8")
    return Path(path)


def write_pyfeat(table: pd.DataFrame, path: str | Path) -> Path:
    """Write py-feat's columns; AU01_p (else AU01_c) becomes AU01.

    Raises:
        ValueError: the table has AU01_p and AU01_c, which would be one column, or intensities, which py-feat
            does not have.
    """
    if lost := [name for name in table.columns if re.fullmatch(r"AU\d\d_r", name)]:
        raise ValueError(f"py-feat has no column for intensities, the table has {', '.join(lost[:4])}")
    names = [re.sub(r"^(AU\d\d)_[pc]$", r"\1", name).removeprefix("meta_pyfeat_") for name in table.columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{doubled[0]} would be written twice, of AU.._p and AU.._c; keep one of them")
    with result_file(path) as partial:
        table.set_axis(names, axis=1).to_csv(partial, index=False)
    return Path(path)
