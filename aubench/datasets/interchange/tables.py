"""CSV tables of OpenFace 2 and py-feat: the numbers that columns hold; writers that give the file back.

Columns that a rule names hold numbers within its bounds; all others keep the text of the file, so that
writing them changes nothing.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from aulib.files import result_file
from aulib.tables import FRAME, INTENSITY, OCCURRENCE, PIXELS, Fault, Rule, read_table, refuse, shown

NAME_COLUMNS = ("image", "filename", "file", "input", "name")  # may hold a picture's name; the first there is
SUCCESS = Rule(r"success", 0, 1, "0, 1 or an empty cell", whole=True)
CONFIDENCE = Rule(r"confidence", 0, 1, "a number from 0 to 1")
PROBABILITY = Rule(r"AU\d\d_p", 0, 1, "a probability from 0 to 1")
LANDMARKS = (PIXELS, FRAME, SUCCESS)
OPENFACE = (*LANDMARKS, INTENSITY, OCCURRENCE, CONFIDENCE, Rule(r"[XYZ]_\d+", -1e9, 1e9, "millimetres"))
PYFEAT = (*LANDMARKS, PROBABILITY._replace(columns=r"AU\d\d"))

_OPENFACE_ORDER = (
    r"image", r"frame", r"face_id", r"timestamp", r"confidence", r"success", r"gaze_", r"eye_lmk_", r"pose_",
    r"x_", r"y_", r"X_", r"Y_", r"Z_", r"p_", r"AU\d\d_r", r"AU\d\d_c",
)  # fmt: skip
_KEPT_OF_PYFEAT = re.compile(
    rf"[xy]_\d+|frame|face_id|FaceRect\w+|FaceScore|timestamp|confidence|success|{'|'.join(NAME_COLUMNS)}"
)


def read_openface(path: str | Path, note: Callable[[str], None] = lambda text: None) -> pd.DataFrame:
    """A CSV of OpenFace 2 with all its columns; names without the space after the comma.

    Args:
        note: called with what was read otherwise than it is written: codes for unknown labels.

    Returns:
        what `aulib.tables.read_table` does; no row if the file has a header alone, as for a picture without
        a face.

    Raises:
        ValueError: no such table, a row twice, or any fault, with file and line.
    """
    return read_rows(path, OPENFACE, r"AU\d\d_[rc]|x_0", "OpenFace's AU01_r, AU01_c or x_0", note)


def read_pyfeat(path: str | Path, note: Callable[[str], None] = lambda text: None) -> pd.DataFrame:
    """The same of a CSV of py-feat's Fex: AU01, a probability, becomes AU01_p; what no manifest knows
    `meta_pyfeat_...`."""
    table = read_rows(path, PYFEAT, r"AU\d\d|x_0", "py-feat's AU01 or x_0", note)

    def renamed(name: str) -> str:
        if re.fullmatch(r"AU\d\d", name):
            return f"{name}_p"
        return name if _KEPT_OF_PYFEAT.fullmatch(name) else f"meta_pyfeat_{name}"

    return table.rename(columns=renamed)


def read_rows(
    path: str | Path,
    rules: tuple[Rule, ...],
    required: str,
    example: str,
    note: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Rows of faces; `required` is a regular expression of columns of which one is needed."""
    table, faults = read_table(path, rules, keep_text=True)
    twice = table.index[table.duplicated()]
    faults += [Fault(row, "the row repeats an earlier one, expected each once") for row in twice]
    refuse(faults, path)
    for fault in faults:
        note(f"{path} line {fault.row + 2}: {fault.text}")
    if not any(re.fullmatch(required, name) for name in table.columns):
        raise ValueError(f"{path} has columns {', '.join(table.columns[:5])[:200]} ..., expected {example}")
    return table


def write_openface(table: pd.DataFrame, path: str | Path) -> Path:
    """Write in OpenFace's order and with its `, `; unknown labels are `nan`, which OpenFace never writes.

    Columns that OpenFace does not have (image, subject, AU01_p) are kept: its readers look columns up by
    name. A table that begins as OpenFace's do keeps its order.
    """

    def rank(name: str) -> int:
        found = (number for number, start in enumerate(_OPENFACE_ORDER) if re.match(start, name))
        return next(found, len(_OPENFACE_ORDER))

    table, columns = _whole(table), list(table.columns)
    if columns[0] not in ("frame", "face_id", "face"):
        columns.sort(key=rank)
    header = ", ".join(f'"{name}"' if re.search('[,"]', name) else name for name in columns)
    body = table[columns].to_csv(index=False, header=False, na_rep="nan", lineterminator="\n")
    if '"' not in body:
        body = body.replace(",", ", ")
    with result_file(path, "export") as partial:
        partial.write_text(f"{header}\n{body}", encoding="utf-8")
    return Path(path)


def write_pyfeat(table: pd.DataFrame, path: str | Path) -> Path:
    """Write py-feat's columns; AU01_p (else AU01_c) becomes AU01.

    Raises:
        ValueError: the table has AU01_p and AU01_c, which would be one column, intensities, which py-feat
            does not have, or a value outside 0 to 1.
    """
    if lost := [name for name in table.columns if re.fullmatch(r"AU\d\d_r", name)]:
        raise ValueError(f"py-feat has no column for intensities, the table has {', '.join(lost[:4])}")
    names = [re.sub(r"^(AU\d\d)_[pc]$", r"\1", name).removeprefix("meta_pyfeat_") for name in table.columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{doubled[0]} would be written twice, of AU.._p and AU.._c; keep one of them")
    for name in table.filter(regex=r"^AU\d\d_[pc]$"):
        numbers = pd.to_numeric(table[name], errors="coerce").dropna()
        if len(outside := numbers[~numbers.between(0, 1)]):
            raise ValueError(f"{name} holds {outside.iloc[0]:g}, expected 0 to 1 as in py-feat's tables")
    with result_file(path, "export") as partial:
        _whole(table).set_axis(names, axis=1).to_csv(partial, index=False)
    return Path(path)


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers that are whole in every file are written so."""
    whole = {}
    for name in {"frame", "success"} & set(table):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = table.loc[(numbers % 1 != 0) & ~table[name].isin(["", None]) & table[name].notna(), name]
        if len(wrong):
            raise ValueError(f"column {name} holds {shown(str(wrong.iloc[0]))}, expected whole numbers")
        whole[name] = numbers.astype("Int64")
    return table.assign(**whole)
