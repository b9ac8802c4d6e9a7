"""EmotioNet: pictures from the web, AU labels by a detector (a million) or by hand (some 25,000).

Automatic labels: `dataFile_0001.txt` ..., TAB separated, no header: URL, original URL, then AU 1 to 60; 0, 1,
999 for unknown [three independent public loaders]. By hand: `emotionet_facs*.xlsx`, a header with `URL` and
`'AU 1'` ..., URLs that end in a stray quote [a public loader]. A picture is found by the file name in its
URL, in a folder N_0000000001 or anywhere; of two with one name the first is taken, and noted. Nobody knows
which pictures show the same person, so each is its own subject. ADLD's `EmotioNet_{train,val,test}_path.txt`,
put anywhere below RAW, give the splits.

A row whose URL names no picture is skipped, and so are rows that name one picture twice (all but the first
where they agree). Automatic files have neither a header nor a known number of rows, so rows that are missing
cannot be told.
"""

import os
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pandas as pd

from aubench.datasets.converters.label_tables import au_number, occurrence_frame, plain_float, read_text
from aubench.datasets.converters.raw_session import Expected, Session, Source, known_au
from aubench.datasets.converters.raw_tree import PICTURES, Tree
from aubench.datasets.converters.resume import stamp

UNKNOWN = (999, 9, -1)
ROWS = 2000  # label rows a source
AU_COLUMNS = 60
INSTALL = "pip install 'aulib[datasets]'"
EXPECTED = Expected(
    aus=("AU01", "AU02", "AU04", "AU05", "AU06", "AU09", "AU12", "AU17", "AU20", "AU25", "AU26", "AU43"),
    sources="AUs: a public loader of the manual set; ADLD's lists: 10,544 val and 10,544 test pictures; base "
    "rates: of labels by hand, counted in that loader's test lists (24,598 pictures of three folds); those "
    "of automatic labels are not known to us",
)
BY_HAND = {  # lkq52110/au-recognition, EmotioNet_test_label_fold1-3.txt
    "AU01": 0.059, "AU02": 0.028, "AU04": 0.116, "AU05": 0.035, "AU06": 0.186, "AU09": 0.020,
    "AU12": 0.306, "AU17": 0.020, "AU20": 0.005, "AU25": 0.470, "AU26": 0.084, "AU43": 0.027,
}  # fmt: skip


def find(raw: Tree) -> list[Source]:
    """Some ROWS label rows a source.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    labels = raw.label_files(
        r"dataFile_\d+\.txt|emotionet_facs.*\.(xlsx|csv)", "dataFile_0001.txt or emotionet_facs*.xlsx"
    )
    lists = {f"list {kind}": path for kind in ("train", "val", "test") for path in _list(raw, kind)}
    there, notes = _pictures(raw)
    sources = []
    for path in labels:
        table = _table(path, stamp(path))
        pictures = [there.get(_file_name(url).lower()) for url in table["url"]]
        for first in range(0, len(table), ROWS):
            name = path.stem if len(table) <= ROWS else f"{path.stem}-{first // ROWS:04d}"
            rows = (first, min(first + ROWS, len(table)))
            files = {"labels": path} | lists
            sources.append(Source(name, "", files, "", rows, tuple(pictures[slice(*rows)]), notes))
            notes = ()
    return sources


def expected(sources: list[Source]) -> Expected:
    """Base rates are known of the labels by hand only."""
    by_hand = all(source.files["labels"].suffix.lower() != ".txt" for source in sources)
    return replace(EXPECTED, rates=BY_HAND) if by_hand else EXPECTED


def _list(raw: Tree, kind: str) -> list[Path]:
    return raw.everywhere(rf"EmotioNet_{kind}_path\.txt")[:1]


def read(source: Source) -> Session:
    """Pictures by the names in their URLs.

    Raises:
        ValueError: no row, a row with too few cells, a label that is no code.
    """
    path = source.files["labels"]
    table = _table(path, stamp(path)).iloc[slice(*source.rows)].reset_index(drop=True)
    names = [_file_name(url) for url in table["url"]]
    labels = {number: table[number].tolist() for number in table.columns if isinstance(number, int)}
    return Session(
        frames=[
            f"{PurePosixPath(name).stem} (row {row})".strip() if fault else PurePosixPath(name).stem
            for row, (name, fault) in enumerate(zip(names, table["fault"], strict=True), source.rows[0] + 1)
        ],
        pictures=list(source.pictures),
        labels=occurrence_frame(labels, UNKNOWN, path),
        subjects=[PurePosixPath(name).stem for name in names],
        splits=[_split(source, PurePosixPath(name).stem) for name in names],
        faults={row: fault for row, fault in enumerate(table["fault"]) if fault},
    )


def _split(source: Source, stem: str) -> str:
    """train, val or test by ADLD's lists; "" for a picture that no list names, or without lists."""
    for kind in ("train", "val", "test"):
        if (path := source.files.get(f"list {kind}")) and stem in _listed(path):
            return kind
    return ""


@lru_cache(maxsize=3)
def _listed(path: Path) -> frozenset[str]:
    return frozenset(
        PurePosixPath(line.strip()).stem for line in read_text(path).splitlines() if line.strip()
    )


def _pictures(raw: Tree) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Lower-case file name -> picture, in all folders; and a note if two folders have the same names."""
    found: dict[str, Path] = {}
    doubled: list[tuple[Path, Path]] = []
    for folder in raw.with_pictures([folder for _, folder in raw.folders]):
        for name in raw.names_in(folder):
            if os.path.splitext(name)[1].lower() in PICTURES:
                path = folder / name
                if (first := found.setdefault(name.lower(), path)) is not path:
                    doubled.append((first.parent, folder))
    if not doubled:
        return found, ()
    taken, other = doubled[0]
    note = f"{len(doubled)} pictures are in two folders, such as {taken} and {other}; the first is taken"
    return found, (note,)


def _file_name(url: str) -> str:
    """The last part of a URL's path: no folder can be left by it."""
    return PurePosixPath(unquote(urlsplit(url.strip().strip("'\"")).path).replace("\\", "/")).name


@lru_cache(maxsize=1)
def _table(path: Path, _changed: tuple[int, int]) -> pd.DataFrame:
    """`url`, a column for each AU number that aulib names, and `fault`, why a row cannot be used ("" if it
    can)."""
    table = _automatic(path) if path.suffix.lower() == ".txt" else _manual(path)
    if not len(table):
        raise ValueError(f"{path} holds no row, expected one a picture")
    return table.assign(fault=_faults(table))


def _faults(table: pd.DataFrame) -> list[str]:
    names = [_file_name(url).lower() for url in table["url"]]
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    faults = [""] * len(table)
    for name, rows in rows_of.items():
        if os.path.splitext(name)[1] not in PICTURES:
            for row in rows:
                faults[row] = f"row {row + 1} names no picture: its URL is {table['url'].iloc[row][:60]!r}"
        elif len(rows) > 1:
            labels = table.drop(columns="url").iloc[rows]
            same = len(labels.drop_duplicates()) == 1
            for row in rows[1:] if same else rows:
                other = rows[0] if row != rows[0] else rows[1]
                agree = "the same" if same else "other"
                faults[row] = f"row {row + 1} names {name}, as row {other + 1} does with {agree} labels"
    return faults


def _automatic(path: Path) -> pd.DataFrame:
    columns: dict = {"url": []} | {number: [] for number in range(1, AU_COLUMNS + 1) if known_au(number)}
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        cells = text.rstrip().split("\t")
        if len(cells) < 2 + AU_COLUMNS:
            raise ValueError(
                f"{path} line {line}: {len(cells)} cells separated by tabs, expected URL, original URL and "
                f"60 AUs"
            )
        columns["url"].append(cells[0])
        for number in range(1, AU_COLUMNS + 1):
            if number in columns:
                columns[number].append(_code(cells[number + 1], path, line))
    return pd.DataFrame(columns)


def _code(text: str, path: Path, line: int) -> float:
    if (code := plain_float(text)) != code:
        raise ValueError(f"{path} line {line}: a label is {text[:40]!r}, expected 0, 1 or 999")
    return code


def _manual(path: Path) -> pd.DataFrame:
    try:
        read = pd.read_csv if path.suffix.lower() == ".csv" else pd.read_excel
        table = read(path, dtype=object)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path.name} needs openpyxl: {INSTALL}") from error
    except Exception as error:  # a damaged workbook raises many kinds
        raise ValueError(f"{path} is no readable table: {' '.join(str(error).split())[:150]}") from error
    table.columns = [str(name).strip().strip("'\"").strip() for name in table.columns]
    url = next((name for name in table.columns if name.upper() == "URL"), None)
    numbers = {name: au_number(name) for name in table.columns if re.match(r"AU", name, re.IGNORECASE)}
    if url is None or not any(numbers.values()):
        raise ValueError(f"{path} has columns {', '.join(table.columns[:6])}, expected URL and 'AU 1' ...")
    values = {
        number: [_cell(cell, path, row, name) for row, cell in enumerate(table[name], 2)]
        for name, number in numbers.items()
        if number is not None and known_au(number)
    }
    return pd.DataFrame({"url": table[url].fillna("").astype(str)} | values)


def _cell(cell, path: Path, row: int, name: str) -> float:
    """A label of the workbook, NaN where the cell is empty; rows counted as a spreadsheet does."""
    if cell is None or cell != cell or not str(cell).strip():
        return float("nan")
    if (code := plain_float(str(cell))) != code:
        raise ValueError(f"{path} row {row}: {name} is {str(cell)[:40]!r}, expected 0, 1, 999 or nothing")
    return code
