"""Read a manifest tolerantly: a cell that cannot be read becomes a finding and is left empty."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.doctor.findings import Finding
from aulib.dataset import manifest_path
from aulib.manifest import column_faults, row_faults

LIMIT = 2000  # faults of a kind that are collected
TEXT = ("image", "subject", "split")
_NUMBER = re.compile(r"AU\d\d_[cr]|[xy]_\d+")


def read_tolerantly(root: Path) -> tuple[pd.DataFrame, list[Finding]]:
    """The manifest with text and float columns (NaN where a cell is no number), and its faults.

    Raises:
        FileNotFoundError: no manifest.  ValueError: two manifests, or no table at all.
    """
    path = manifest_path(root)
    if path.suffix == ".parquet":
        try:
            table, findings = pd.read_parquet(path), []
        except Exception as error:
            raise ValueError(
                f"{path} is no readable parquet: {' '.join(str(error).split())[:150]}"
            ) from error
        table.columns = [str(column).strip() for column in table.columns]
    else:
        table, findings = _read_csv(path)
    findings += [Finding("columns", "error", fault) for fault in column_faults(list(table.columns))]
    table = table.loc[:, ~table.columns.duplicated()]
    for column in table.columns:
        if column in TEXT:
            table[column] = table[column].fillna("").astype(str).str.strip()
        elif _NUMBER.fullmatch(column):
            table[column], found = _numbers(table[column])
            findings += found
    if any("landmarks have" in finding.text for finding in findings):  # half a layout cannot be checked
        table = table[[column for column in table.columns if not re.fullmatch(r"[xy]_\d+", column)]]
    return table.copy(), findings


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[Finding]]:
    data, findings = path.read_bytes(), []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = data[: error.start].count(b"\n") + 1
        findings.append(
            Finding("file", "error", f"{path.name} line {where} is not UTF-8 (byte {error.start})")
        )
        text = data.decode("utf-8-sig", errors="replace")
    bad: list[int] = []
    try:
        with warnings.catch_warnings(record=True) as said:  # pandas only warns where it cuts rows off
            warnings.simplefilter("always")
            table = pd.read_csv(
                io.StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False,
                engine="python", on_bad_lines=lambda cells: bad.append(len(cells)),
            )  # fmt: skip
    except Exception as error:  # pandas raises many kinds
        raise ValueError(f"{path} is no readable CSV: {' '.join(str(error).split())[:150]}") from error
    if any("Length of header" in str(warning.message) for warning in said):
        findings.append(
            Finding("file", "error", "the rows have more cells than the header; the last are ignored")
        )
    if bad:
        width = len(table.columns)
        text = f"{len(bad)} rows have more cells ({bad[0]}) than the header ({width}) and were left out"
        findings.append(Finding("file", "error", text))
    table.columns = [re.sub(r"\.\d+$", "", str(column).strip()) for column in table.columns]
    if len(table.columns) == 1:
        text = f"one column {table.columns[0][:50]!r}: separated by other than commas?"
        findings.append(Finding("file", "error", text))
    return table, findings


def _numbers(column: pd.Series) -> tuple[pd.Series, list[Finding]]:
    text = column.astype(str).str.strip()
    missing = column.isna() | text.str.lower().isin(["", "nan", "na", "n/a", "null", "none"])
    values = pd.to_numeric(text.where(~missing), errors="coerce").astype(np.float64)
    wrong = np.flatnonzero(~missing & values.isna())
    found = []
    if len(wrong):
        shown = f"{column.name} is {text.iloc[wrong[0]]!r}, expected a number or an empty cell"
        found.append(Finding("cells", "error", shown, tuple(wrong.tolist())))
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and a finding
        return values.astype(np.float32), found


def check_cells(table: pd.DataFrame, root: Path) -> list[Finding]:
    """Every fault that `read_dataset` would refuse, without its limit of ten."""
    if table.empty:
        return [Finding("rows", "error", "the manifest has a header and no rows")]
    findings = [Finding("rows", "error", text, (int(row),)) for row, text in row_faults(table, root, LIMIT)]
    return findings + _unlisted(table, root)


def _unlisted(table: pd.DataFrame, root: Path) -> list[Finding]:
    """Pictures in the folders of listed pictures that the manifest does not name."""
    listed, extra = set(table["image"]), []
    for folder in {image.rpartition("/")[0] for image in listed if image and ".." not in image}:
        if (root / folder).is_dir() and not folder.startswith("/"):
            for path in sorted((root / folder).iterdir()):
                name = f"{folder}/{path.name}" if folder else path.name
                if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp") and name not in listed:
                    extra.append(name)
    if not extra:
        return []
    return [
        Finding(
            "unlisted", "note", f"{len(extra)} pictures are not in the manifest, {sorted(extra)[0]} for one"
        )
    ]


def with_valid_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Codes that are no label (9, 999) become unknown; `check_cells` reports them."""
    table = table.copy()
    for column in table.columns:
        if column[:2] == "AU" and column.endswith("_c"):
            table[column] = table[column].where(table[column].isin((0, 1)))
        elif column[:2] == "AU" and column.endswith("_r"):
            table[column] = table[column].where(table[column].between(0, 5))
    return table


def without_outside_paths(table: pd.DataFrame) -> pd.DataFrame:
    """Paths that leave the folder become a missing picture; `check_cells` reports them."""
    leaves = table["image"].str.startswith("/") | table["image"].str.contains(
        r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[A-Za-z]:"
    )
    return table.assign(image=table["image"].where(~leaves, ".outside"))


def with_valid_landmarks(table: pd.DataFrame) -> pd.DataFrame:
    """Landmarks that cannot be pixels become missing; `check_cells` reports them."""
    columns = [c for c in table.columns if c[:2] in ("x_", "y_")]
    if not columns:
        return table
    points = table[columns].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        wrong = (
            ~np.isfinite(points).all(axis=1)
            | (np.abs(points) > 20_000).any(axis=1)
            | (np.ptp(points, axis=1) < 8)
        )
    table = table.copy()
    table.loc[wrong, columns] = np.nan
    return table
