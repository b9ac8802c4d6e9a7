"""EmotioNet: pictures from the web. The tree and the source of each fact: docs/datasets/emotionet.md."""

import csv
import io
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd

from aubench.datasets.converters.converter import PictureList
from aubench.datasets.converters.label_tables import au_name
from aubench.datasets.converters.raw_session import Expected, Source
from aubench.datasets.converters.raw_tree import Tree
from aulib.files import read_text
from aulib.images import is_picture_name
from aulib.labels import AU_NAMES

CODES = {"0": 0.0, "1": 1.0, "999": float("nan"), "9": float("nan"), "-1": float("nan")}
AUTOMATIC = ["URL", "original URL", *(f"AU {number}" for number in range(1, 61))]
INSTALL = "pip install 'aulib[datasets]'"
RATES_BY_HAND = {  # lkq52110/au-recognition, EmotioNet_test_label_fold1-3.txt
    "AU01": 0.059, "AU02": 0.028, "AU04": 0.116, "AU05": 0.035, "AU06": 0.186, "AU09": 0.020,
    "AU12": 0.306, "AU17": 0.020, "AU20": 0.005, "AU25": 0.470, "AU26": 0.084, "AU43": 0.027,
}  # fmt: skip


class EmotioNet(PictureList):
    """Pictures by the names in their URLs."""

    expected = Expected(
        aus=tuple(RATES_BY_HAND),
        sources="AUs: a public loader of the manual set; ADLD's lists: 10,544 val and 10,544 test pictures; "
        "base rates: of labels by hand, counted in that loader's test lists (24,598 pictures of three "
        "folds); those of automatic labels are not known to us",
    )
    files = {"labels": r"dataFile_\d+\.txt|emotionet_facs[^/]*\.xlsx"}
    example = "dataFile_0001.txt or emotionet_facs*.xlsx"
    one_folder = False

    def expected_of(self, sources: list[Source]) -> Expected:
        """With base rates if all labels are by hand."""
        automatic = any(source.files["labels"].suffix.lower() == ".txt" for source in sources)
        return self.expected if automatic else replace(self.expected, rates=RATES_BY_HAND)

    def read_splits(self, tree: Tree) -> dict[str, str]:
        splits: dict[str, str] = {}
        for path, groups in tree.find(r"EmotioNet_(?P<split>train|val|test)_path\.txt"):
            for line in read_text(tree.root / path).splitlines():
                splits.setdefault(PurePosixPath(line.strip()).stem, groups["split"].lower())
        return splits

    def read_table(self, path: Path) -> pd.DataFrame:
        table = _read_cells(path)
        urls = next((column for column in table.columns if column.upper() == "URL"), None)
        aus = {column: au_name(column) for column in table.columns if column.upper().startswith("AU")}
        if urls is None or not any(aus.values()):
            found = ", ".join(table.columns[:6])
            raise ValueError(f"{path} has columns {found}, expected URL and 'AU 1' ...")
        by_hand = path.suffix.lower() != ".txt"
        codes = CODES | ({"": float("nan")} if by_hand else {})
        labels = {
            f"{au}_c": _codes(table[column], codes, path, first_row=2 if by_hand else 1)
            for column, au in aus.items()
            if au in AU_NAMES
        }
        images = [_file_name(url) for url in table[urls]]
        rows = pd.DataFrame({"image": images} | labels, index=range(1, len(table) + 1))
        return rows.assign(fault=_faults(rows, table[urls]))


def _read_cells(path: Path) -> pd.DataFrame:
    """Every cell as text, "" where empty.

    Raises:
        ValueError: the table cannot be read, or has no row.
        ModuleNotFoundError: a workbook needs openpyxl.
    """
    try:
        if path.suffix.lower() == ".txt":
            text = io.StringIO(read_text(path))
            table = pd.read_csv(
                text, sep="\t", header=None, dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False
            )
            if len(table.columns) < len(AUTOMATIC):
                raise ValueError(f"{len(table.columns)} cells in a row, expected URL, original URL, 60 AUs")
            table = table[table.columns[: len(AUTOMATIC)]].set_axis(AUTOMATIC, axis=1)
            if (short := table["AU 60"] == "").any():
                raise ValueError(f"row {short.idxmax() + 1} has fewer cells than the others")
        else:
            table = pd.read_excel(path, dtype=object)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path.name} needs openpyxl: {INSTALL}") from error
    except Exception as error:  # damaged tables raise many kinds
        raise ValueError(f"{path} is no readable table: {' '.join(str(error).split())[:150]}") from error
    if not len(table):
        raise ValueError(f"{path} holds no row, expected one per picture")
    table.columns = [str(name).strip().strip("'\"").strip() for name in table.columns]
    return table.fillna("").astype(str)


def _codes(cells: pd.Series, codes: dict[str, float], path: Path, first_row: int) -> np.ndarray:
    """Labels; rows are counted as a spreadsheet does."""
    text = cells.str.strip().str.removesuffix(".0")
    wrong = ~text.isin(list(codes))
    if wrong.any():
        position = int(wrong.to_numpy().argmax())
        raise ValueError(
            f"{path} row {position + first_row}: {cells.name} is {cells.iloc[position][:40]!r}, expected one "
            f"of {', '.join(code or 'nothing' for code in codes)}"
        )
    return text.map(codes).to_numpy(np.float32)


def _file_name(url: str) -> str:
    """The last part of a URL's path."""
    return PurePosixPath(unquote(urlsplit(url.strip().strip("'\"")).path).replace("\\", "/")).name


def _faults(rows: pd.DataFrame, urls: pd.Series) -> list[str]:
    """Why a row cannot be used; "" if it can."""
    faults = pd.Series("", rows.index)
    for row in rows.index[[not is_picture_name(name) for name in rows["image"]]]:
        faults[row] = f"row {row} names no picture: its URL is {urls.iloc[row - 1][:60]!r}"
    names = rows["image"].str.lower()
    for name, same in rows[names.duplicated(keep=False) & (faults == "")].groupby(names, sort=False):
        agree = len(same.drop(columns="image").drop_duplicates()) == 1
        for row in same.index[1:] if agree else same.index:
            other = same.index[0] if row != same.index[0] else same.index[1]
            faults[row] = (
                f"row {row} names {name}, as row {other} does with {'the same' if agree else 'other'} labels"
            )
    return faults.to_list()
