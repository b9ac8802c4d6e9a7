"""EmotioNet: pictures from the web. The tree and the source of each fact: docs/datasets/emotionet.md."""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pandas as pd

from aubench.datasets.converters.converter import PictureList, any_capitals
from aubench.datasets.converters.label_tables import au_name, codes, label_columns
from aubench.datasets.converters.raw_session import Expected, Source
from aubench.datasets.converters.raw_tree import Tree
from aulib.files import read_text
from aulib.images import is_picture_name
from aulib.labels import AU_NAMES
from aulib.tables import read_columns, read_table, refuse

CODES = codes(rf"AU[ _]?0?({'|'.join(str(int(au[2:])) for au in AU_NAMES)})", 1, (999, 9, -1))
AUTOMATIC = ["URL", "original URL", *(f"AU {number}" for number in range(1, 61))]
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
        if path.suffix.lower() == ".txt":
            table = read_columns(path, AUTOMATIC, [CODES], r"\t")
        else:
            table, faults = read_table(path, [CODES], keep_text=True)
            refuse(faults, path, "row")
        urls = next((column for column in table.columns if column.upper() == "URL"), None)
        if urls is None or not any(map(au_name, table.columns)) or table.empty:
            found = f"{len(table)} rows of {', '.join(table.columns[:6])}"
            raise ValueError(f"{path} has {found}, expected URL and 'AU 1' ...")
        table.index += 2  # as an editor and a spreadsheet count
        rows = label_columns(table.rename(columns=au_name), "_c")
        rows.insert(0, "image", [_file_name(url) for url in table[urls]])
        return rows.assign(fault=_faults(rows, table[urls]))


def _file_name(url: str) -> str:
    """The last part of a URL's path."""
    return PurePosixPath(unquote(urlsplit(url.strip().strip("'\"")).path).replace("\\", "/")).name


def _faults(rows: pd.DataFrame, urls: pd.Series) -> list[str]:
    """Why a row cannot be used; "" if it can."""
    faults = pd.Series("", rows.index)
    for row in rows.index[[not is_picture_name(name) for name in rows["image"]]]:
        faults[row] = f"row {row} names no picture: its URL is {urls[row][:60]!r}"
    names = rows["image"].map(any_capitals)
    for name, same in rows[names.duplicated(keep=False) & (faults == "")].groupby(names, sort=False):
        agree = len(same.drop(columns="image").drop_duplicates()) == 1
        for row in same.index[1:] if agree else same.index:
            other = same.index[0] if row != same.index[0] else same.index[1]
            faults[row] = (
                f"row {row} names {name}, as row {other} does with {'the same' if agree else 'other'} labels"
            )
    return faults.to_list()
