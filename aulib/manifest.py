"""Checks of a manifest: every fault has its row, what was found and what was expected.

Rows are counted as in a spreadsheet: the header is row 1, the first image is row 2.
"""

import difflib
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.labels import AU_NAMES

SPLITS = ("train", "val", "test")
MAX_FAULTS = 10
MAX_COORDINATE = 20_000  # pixels; more than any camera has, so the unit or the parsing is wrong
MIN_FACE = 8  # pixels; the longer side of the landmarks' bounding box

# Columns of OpenFace, py-feat and `aulib predict` that may be in a manifest and are not read.
_TOLERATED = re.compile(
    r"frame|face_id|face|timestamp|confidence|success|note|input|pose_\w+|gaze_\w+|eye_lmk_\w+|p_\w+|[XYZ]_\d+"
    r"|AU\d\d_p|FaceRect\w+|FaceScore|meta_\w+"
)


def check_columns(columns: list[str], manifest: Path) -> None:
    """Raises ValueError for missing, unknown or repeated columns, or an unknown landmark layout."""
    _report(column_faults(columns), manifest, header=True)


def column_faults(columns: list[str]) -> list[str]:
    """What is wrong with a manifest's column names."""
    if len(columns) == 1 and (mark := re.search(r"image([;\t|])", columns[0])):
        return [f"columns are separated by {mark[1]!r}, expected ','"]
    faults = [f"column `{name}` is missing" for name in ("image", "subject", "split") if name not in columns]
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    faults += [f"column `{name}` occurs twice" for name in doubled]
    known = ["image", "subject", "split", *(f"{au}_{kind}" for au in AU_NAMES for kind in "cr")]
    for name in columns:
        if name in known or re.fullmatch(r"[xy]_\d+", name) or _TOLERATED.fullmatch(name):
            continue
        near = _near(name, known)
        hint = f"; did you mean `{near}`?" if near else ""
        faults.append(
            f"column `{name[:60]}` is unknown{hint} (a column of your own may be called `meta_...`)"
        )
    x = {int(name[2:]) for name in columns if re.fullmatch(r"x_\d+", name)}
    y = {int(name[2:]) for name in columns if re.fullmatch(r"y_\d+", name)}
    if x or y:
        expected = set(range(49 if max(x | y) < 49 else 68))
        missing = [f"x_{point}" for point in sorted(expected - x)]
        missing += [f"y_{point}" for point in sorted(expected - y)]
        extra = sorted((x | y) - expected)
        if missing or extra:
            detail = f"missing {', '.join(missing[:4])}" if missing else f"too many, from point {extra[0]}"
            faults.append(
                f"landmarks have {len(x)} x and {len(y)} y columns ({detail}), "
                "expected x_0..x_67 and y_0..y_67, or both 0..48"
            )
    return faults


def _near(name: str, known: list[str]) -> str | None:
    """The most similar known column, if one is similar."""
    if au := re.fullmatch(r"au_?(\d{1,2})(?:_?([cr]))?", name.lower()):  # AU1_c, au12, AU_4_r
        name = f"AU{int(au[1]):02d}_{au[2] or 'c'}"
        return name if name in known else None
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)), None)


def check_cells(cells: pd.DataFrame, manifest: Path) -> None:
    """Raises ValueError for a cell of these text columns that is neither empty nor a number."""
    faults = []
    for column in cells.columns:
        text = cells[column].fillna("").astype(str).str.strip()
        is_number = pd.to_numeric(text.where(text != "", "nan"), errors="coerce").notna()
        is_missing = text.str.lower().isin(["", "nan", "na", "n/a", "null", "none"])
        for row in np.flatnonzero(~(is_number | is_missing))[:MAX_FAULTS]:
            faults.append((row, f"{column} is {shown(text.iloc[row])}, expected a number or an empty cell"))
    _report_rows(faults, manifest)


def check_numbers(table: pd.DataFrame, manifest: Path) -> None:
    """Raises ValueError for a column of a parquet manifest that should hold numbers and does not."""
    faults = [
        f"column `{column}` holds {table[column].dtype}, expected numbers"
        for column in table.columns
        if not (pd.api.types.is_numeric_dtype(table[column]) or table[column].isna().all())
    ]
    _report(faults, manifest, header=True)


def check_rows(table: pd.DataFrame, root: Path, manifest: Path) -> None:
    """Raises ValueError for missing or repeated images, a subject in two splits, or values out of range."""
    if table.empty:
        raise ValueError(f"{manifest} has a header and no rows, expected one row per image")
    _report_rows(row_faults(table, root), manifest)


def row_faults(table: pd.DataFrame, root: Path, limit: int = MAX_FAULTS) -> list[tuple[int, str]]:
    """(row from 0, fault) of a table with correct columns; about `limit` of each kind."""
    checks = (_split_faults, _label_faults, _landmark_faults)
    faults = [fault for check in checks for fault in check(table, limit)]
    return faults + _image_faults(table, root, limit)


def _split_faults(table: pd.DataFrame, limit: int) -> list[tuple[int, str]]:
    faults = []
    for row in np.flatnonzero(~table["split"].isin(SPLITS))[:limit]:
        faults.append((row, f"split is {table['split'].iloc[row]!r}, expected train, val or test"))
    for row in np.flatnonzero(table["subject"] == "")[:limit]:
        faults.append((row, "subject is empty, expected a name (splits must not share people)"))
    pairs = table[["subject", "split"]].drop_duplicates()  # keeps the first row of each pair
    pairs = pairs[pairs["subject"] != ""]
    for subject, rows in pairs[pairs["subject"].duplicated(keep=False)].groupby("subject", sort=False):
        (first, second), (split, other) = rows.index[:2], rows["split"].iloc[:2]
        text = f"subject {subject!r} is in split {other!r} here and in {split!r} in row {first + 2}"
        faults.append((second, f"{text}, expected each subject in one split"))
    return faults


def _label_faults(table: pd.DataFrame, limit: int) -> list[tuple[int, str]]:
    faults = []
    for column in table.columns:
        if re.fullmatch(r"AU\d\d_c", column):
            values = table[column].to_numpy(dtype=np.float32)
            wrong = ~(np.isnan(values) | (values == 0) | (values == 1))
            expected = "0, 1 or an empty cell"
        elif re.fullmatch(r"AU\d\d_r", column):
            values = table[column].to_numpy(dtype=np.float32)
            wrong = ~(np.isnan(values) | ((values >= 0) & (values <= 5)))
            expected = "0 to 5 or an empty cell"
        else:
            continue
        for row in np.flatnonzero(wrong)[:limit]:
            code = values[row] in (9, 99, 999, -1)
            hint = " (a code for unknown? leave the cell empty then)" if code else ""
            faults.append((row, f"{column} is {values[row]:g}, expected {expected}{hint}"))
    return faults


def _landmark_faults(table: pd.DataFrame, limit: int) -> list[tuple[int, str]]:
    num_landmarks = sum(re.fullmatch(r"x_\d+", column) is not None for column in table.columns)
    if not num_landmarks:
        return []
    x = table[[f"x_{point}" for point in range(num_landmarks)]].to_numpy(dtype=np.float32)  # (N, K)
    y = table[[f"y_{point}" for point in range(num_landmarks)]].to_numpy(dtype=np.float32)
    given = (~np.isnan(x)).sum(axis=1) + (~np.isnan(y)).sum(axis=1)
    faults = []
    for row in np.flatnonzero((given > 0) & (given < 2 * num_landmarks))[:limit]:
        empty = 2 * num_landmarks - given[row]
        faults.append((row, f"{empty} of {2 * num_landmarks} landmark cells are empty, expected all or none"))
    complete = np.flatnonzero(given == 2 * num_landmarks)
    x, y = x[complete], y[complete]
    with np.errstate(invalid="ignore"):  # infinities are caught by the first test
        farthest = np.maximum(np.abs(x).max(axis=1, initial=0), np.abs(y).max(axis=1, initial=0))
        box = np.maximum(np.ptp(x, axis=1), np.ptp(y, axis=1)) if len(complete) else np.zeros(0)
    for position in np.flatnonzero(~(farthest <= MAX_COORDINATE))[:limit]:
        text = f"a landmark coordinate is {farthest[position]:g}, expected pixels of the image"
        faults.append((complete[position], text))
    for position in np.flatnonzero(box < MIN_FACE)[:limit]:
        text = f"the landmarks span {box[position]:.3g} pixels, expected at least {MIN_FACE}"
        faults.append((complete[position], f"{text} (pixels of the image, not shares of its width)"))
    return faults


def _image_faults(table: pd.DataFrame, root: Path, limit: int) -> list[tuple[int, str]]:
    images = table["image"]
    faults = []
    for row in np.flatnonzero(images == "")[:limit]:
        faults.append((row, "image is empty, expected a path relative to the dataset folder"))
    first_row: dict[str, int] = {}
    listings: dict[str, set[str]] = {}
    for row, image in enumerate(images):
        if len(faults) >= limit:
            break
        if not image:
            continue
        if (earlier := first_row.setdefault(image, row)) != row:
            faults.append(
                (row, f"image {shown(image)} is also in row {earlier + 2}, expected each image once")
            )
            continue
        folder, _, name = image.rpartition("/")
        if folder not in listings:  # one listing per folder instead of one stat per image
            listings[folder] = _files_in(root, folder)
        if name not in listings[folder]:
            faults.append((row, _missing_image(image, root)))
    return faults


def _files_in(root: Path, folder: str) -> set[str]:
    if folder.startswith("/") or ".." in folder.split("/"):
        return set()
    try:
        with os.scandir(root / folder) as entries:
            return {entry.name for entry in entries if _is_file(entry)}
    except (OSError, ValueError):  # no such folder, or a name that is too long or has a NUL
        return set()


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def shown(text: str) -> str:
    """The text in quotes, shortened, for a message."""
    return repr(text) if len(text) <= 80 else f"{text[:60]!r}..."


def _missing_image(image: str, root: Path) -> str:
    if image.startswith("/") or ".." in image.split("/") or re.match(r"[A-Za-z]:", image):
        return f"image is {shown(image)}, expected a path relative to the dataset folder and inside it"
    if "\\" in image:
        return f"image {shown(image)} has backslashes, expected `/` between folders"
    return f"image {shown(image)} does not exist in {root}"


def _report_rows(faults: list[tuple[int, str]], manifest: Path) -> None:
    faults = sorted(faults, key=lambda fault: int(fault[0]))
    _report([f"row {row + 2}: {text}" for row, text in faults], manifest)


def _report(faults: list[str], manifest: Path, header: bool = False) -> None:
    if not faults:
        return
    shown = "\n  ".join(faults[:MAX_FAULTS])
    more = "" if len(faults) <= MAX_FAULTS else "\n  ... and more"
    where = "in its columns" if header else "(rows as in a spreadsheet: the header is row 1)"
    raise ValueError(f"{manifest} {where}:\n  {shown}{more}")
