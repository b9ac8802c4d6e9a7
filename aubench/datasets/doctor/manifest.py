"""A manifest read tolerantly: a cell that cannot be read becomes a finding and is left empty."""

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.doctor.diagnosis import Finding
from aulib.dataset import manifest_path
from aulib.manifest import MAX_COORDINATE, MIN_FACE, SPLITS, column_faults, row_faults

LIMIT = 2000  # faults of a kind that are collected
MIN_PEOPLE = 3  # in a split
TEXT = ("image", "subject", "split")
OUTSIDE = r"^/|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)"  # paths that leave the folder
_NUMBER = re.compile(r"AU\d\d_[cr]|[xy]_\d+")


def read_tolerantly(root: Path) -> tuple[pd.DataFrame, list[Finding]]:
    """The manifest with text and float32 columns (NaN where a cell is no number), and its faults.

    Raises:
        FileNotFoundError: no manifest.  ValueError: two manifests, or no table at all.
    """
    path = manifest_path(root)
    try:
        table, findings = (pd.read_parquet(path), []) if path.suffix == ".parquet" else _read_csv(path)
    except Exception as error:  # pandas raises many kinds
        kind = path.suffix[1:]
        raise ValueError(f"{path} is no readable {kind}: {' '.join(str(error).split())[:150]}") from error
    table.columns = [str(column).strip() for column in table.columns]
    findings += [Finding("columns", "error", fault) for fault in column_faults(list(table.columns))]
    table = table.loc[:, ~table.columns.duplicated()].copy()
    for column in table.columns:
        if column in TEXT:
            table[column] = table[column].fillna("").astype(str).str.strip()
        elif _NUMBER.fullmatch(column):
            table[column], found = _numbers(table[column])
            findings += found
    if any("landmarks have" in finding.text for finding in findings):  # half a layout cannot be checked
        table = table.drop(columns=_landmark_columns(table))
    return table.copy(), findings


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[Finding]]:
    data, faults = path.read_bytes(), []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        faults.append(f"{path.name} line {line} is not UTF-8 (byte {error.start})")
        text = data.decode("utf-8-sig", errors="replace")
    too_long: list[int] = []  # cells of rows that are left out
    with warnings.catch_warnings(record=True) as caught:  # pandas only warns where it cuts rows off
        warnings.simplefilter("always")
        table = pd.read_csv(
            io.StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False,
            engine="python", on_bad_lines=lambda cells: too_long.append(len(cells)),
        )  # fmt: skip
    if any("Length of header" in str(warning.message) for warning in caught):
        faults.append("the rows have more cells than the header; the last are ignored")
    width = len(table.columns)
    if too_long:
        faults.append(
            f"{len(too_long)} rows have more cells ({too_long[0]}) than the header ({width}), left out"
        )
    if width == 1:
        faults.append(f"one column {str(table.columns[0])[:50]!r}: separated by other than commas?")
    table.columns = [
        re.sub(r"\.\d+$", "", str(column)) for column in table.columns
    ]  # pandas numbers doubled ones
    return table, [Finding("file", "error", fault) for fault in faults]


def _numbers(column: pd.Series) -> tuple[pd.Series, list[Finding]]:
    text = column.astype(str).str.strip()
    missing = column.isna() | text.str.lower().isin(["", "nan", "na", "n/a", "null", "none"])
    values = pd.to_numeric(text.where(~missing), errors="coerce").astype(np.float64)
    wrong = tuple(np.flatnonzero(~missing & values.isna()).tolist())
    found = []
    if wrong:
        shown = f"{column.name} is {text.iloc[wrong[0]]!r}, expected a number or an empty cell"
        found.append(Finding("cells", "error", shown, wrong))
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and a finding
        return values.astype(np.float32), found


def _landmark_columns(table: pd.DataFrame) -> list[str]:
    return [column for column in table.columns if re.fullmatch(r"[xy]_\d+", column)]


def usable_part(table: pd.DataFrame) -> pd.DataFrame:
    """The table without what `check_cells` reports: labels that are none (9, 999) and landmarks that cannot
    be pixels become unknown, and a path that leaves the folder becomes a missing picture."""
    table = table.copy()
    for column in table.columns:
        if re.fullmatch(r"AU\d\d_c", column):
            table[column] = table[column].where(table[column].isin((0, 1)))
        elif re.fullmatch(r"AU\d\d_r", column):
            table[column] = table[column].where(table[column].between(0, 5))
    table["image"] = table["image"].mask(table["image"].str.contains(OUTSIDE), ".outside")
    if columns := _landmark_columns(table):
        points = table[columns].to_numpy(np.float64)
        with np.errstate(invalid="ignore"):
            sound = (np.abs(points).max(axis=1) <= MAX_COORDINATE) & (np.ptp(points, axis=1) >= MIN_FACE)
        table.loc[~sound, columns] = np.nan
    return table


def check_cells(table: pd.DataFrame, root: Path) -> Iterator[Finding]:
    """Every fault that `read_dataset` would refuse, without its limit of ten; and pictures not listed."""
    for row, text in row_faults(table, root, LIMIT):
        yield Finding("rows", "error", text, (int(row),))
    listed, extra = set(table["image"]), []
    inside = table["image"][(table["image"] != "") & ~table["image"].str.contains(OUTSIDE)]
    for folder in inside.str.rpartition("/")[0].unique():
        for path in (root / folder).iterdir() if (root / folder).is_dir() else ():
            name = path.relative_to(root).as_posix()
            if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp") and name not in listed:
                extra.append(name)
    if extra:
        text = f"{len(extra)} pictures are not in the manifest, {min(extra)} for one"
        yield Finding("unlisted", "note", text)


def check_splits(table: pd.DataFrame) -> Iterator[Finding]:
    """Small splits, and people who may be in two splits under two names."""
    for split in SPLITS:
        people = table.loc[table["split"] == split, "subject"].nunique()
        if people == 0:
            yield Finding("splits", "warning", f"split {split} is empty")
        elif people < MIN_PEOPLE:
            text = f"split {split} has {people} subjects: intervals over people mean little"
            yield Finding("splits", "note", text)
    yield from _similar_names(table)
    yield from _shared_folders(table)


def _similar_names(table: pd.DataFrame) -> Iterator[Finding]:
    """F001, f001, F1 and F-001 are probably one person."""
    plain = table["subject"].str.casefold().str.replace(r"[\W_]+", "", regex=True)
    plain = plain.str.replace(r"(?<!\d)0+(?=\d)", "", regex=True)
    for name, rows in table.groupby(plain, sort=False):
        if name and rows["subject"].nunique() > 1:
            splits = sorted(set(rows["split"]))
            names = ", ".join(map(repr, rows["subject"].unique()[:4]))
            text = f"subjects {names} may be one person (splits {', '.join(splits)})"
            level = "error" if len(splits) > 1 else "warning"
            yield Finding("splits", level, text, _first_rows(rows))


def _shared_folders(table: pd.DataFrame) -> Iterator[Finding]:
    """A folder of pictures whose people are in several splits, where most folders hold one person."""
    folders = table["image"].str.rpartition("/")[0]
    people = table.groupby(folders)["subject"].nunique()
    if len(people) < 3 or np.median(people) > 1:  # pictures of everyone lie together
        return
    sound = table["split"].isin(SPLITS) & (table["subject"] != "")  # others are findings already
    for folder, rows in table[sound].groupby(folders[sound], sort=False):
        if rows["split"].nunique() > 1:
            names = " and ".join(rows["subject"].unique()[:4])
            splits = " and ".join(sorted(set(rows["split"])))
            text = f"folder {folder} holds {names} in splits {splits}: one person, two names?"
            yield Finding("splits", "warning", text, _first_rows(rows))


def _first_rows(rows: pd.DataFrame) -> tuple[int, ...]:
    """The first row of each subject."""
    return tuple(rows.drop_duplicates("subject").index.tolist())
