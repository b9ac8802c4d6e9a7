"""The one reader of tables, and the one normal form of names.

Manifests (CSV, parquet), the CSV files of other tools and label files of raw sets are read here and nowhere
else:

- A CSV is UTF-8 with a header, commas between cells (spaces may follow them) and points in decimals. Another
  encoding, separator or decimal mark is refused by its name, and so is a row of more or fewer cells than the
  header.
- A cell is missing if it is empty or one of NaN's names on any system, such as -nan(ind). In AU labels 9 and
  999 are missing, too.
- Names (NAMES) are text: 001 stays 001. They are compared in `normal_form`.
- A fault names its row, its column, what was found and what is accepted.
"""

import csv
import importlib.util
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from aulib.files import BEGINS, decoded, read_text, reading, what_it_is

NAMES = ("image", "subject", "split", "filename", "file", "input", "name", "meta_source")  # columns of text
MAX_COORDINATE = 20_000  # pixels; more than any camera has, so the unit or the parsing is wrong
MOST = 2000  # faults of a kind that are collected
SHOWN = 10  # faults in one message
_NAN = r"nan|s?nan\([^)]*\)|1\.#(?:qnan|snan|ind)\d*"
_MISSING = re.compile(rf"(?:[-+]?(?:{_NAN})|#?n/?a|null|none|<na>)?", re.IGNORECASE)
_PLAIN_MISSING = ["", "nan", "NaN", "NA", "None", "-nan", "nan(ind)", "-nan(ind)", "1.#QNAN", "-1.#IND"]
_NO_RESULT = re.compile(  # a cell in a sheet's XML; t="str" is a result that is text, which may be empty
    rb"""<c\b(?![^>]*\bt="str")[^>]*?\br="(\w+)"[^>]*><f\b[^>]*(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>"""
)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|[-+]?inf(?:inity)?", re.IGNORECASE)


class Rule(NamedTuple):
    """Columns that hold numbers, and which; a missing cell is always fine.

    Attributes:
        columns: a regular expression.
        unknown: codes that other tools write for a missing number.
    """

    columns: str
    low: float
    high: float
    expected: str
    whole: bool = False
    unknown: tuple[int, ...] = ()

    def names(self, table: pd.DataFrame) -> list[str]:
        """The columns of a table that the rule is about."""
        return list(filter(re.compile(self.columns).fullmatch, table.columns))

    def refuses(self, values):
        """Which numbers, of an array or table, are not allowed; NaN is."""
        return (values < self.low) | (values > self.high) | (self.whole & (values % 1 > 0))


OCCURRENCE = Rule(r"AU\d\d_c", 0, 1, "0, 1 or an empty cell", whole=True, unknown=(9, 999))
INTENSITY = Rule(r"AU\d\d_r", 0, 5, "0 to 5 or an empty cell", unknown=(9, 999))
FRAME = Rule(r"frame", 0, 1e9, "a frame number", whole=True)
PIXELS = Rule(r"[xy]_\d+", -MAX_COORDINATE, MAX_COORDINATE, "pixels of the picture or an empty cell")


class Fault(NamedTuple):
    """What is wrong with a table.

    Attributes:
        row: from 0 below the header; -1 is the header.
        note: it is no fault, only something to know.
    """

    row: int
    text: str
    note: bool = False


def normal_form(name: str) -> str:
    """The one spelling in which names of pictures and people are compared.

    Unicode NFC (macOS writes accents apart, NFD), `/` between folders, no `./`, no spaces around.
    """
    name = unicodedata.normalize("NFC", name).strip().replace("\\", "/")
    return str(PurePosixPath(name)) if re.search(r"\./|//|/$", name) else name


def person_name(name: str) -> str:
    """The normal form of a person's name; "" for one of the names of a missing cell, such as NA."""
    return "" if _MISSING.fullmatch(name.strip()) else normal_form(name)


def read_table(
    path: str | Path, rules: Iterable[Rule], dtype: type = np.float64, keep_text: bool = False
) -> tuple[pd.DataFrame, list[Fault]]:
    """A CSV, parquet table or workbook (.xlsx) as far as it can be read, and its faults.

    Args:
        rules: columns of numbers; their cells that are none, or none that the rule allows, are faults.
        keep_text: other columns stay text as it is in the file; else their type is inferred.

    Returns:
        columns of `rules` as `dtype`, NaN where missing; NAMES as text, "" where missing. The index is the
        row in the file, from 0 below the header, without blank lines and rows that are no rows. A column
        that occurs twice is there once; one without a name, as the index that pandas writes, is left out.

    Raises:
        ValueError: it is no table at all (another encoding, one column, damaged).
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        with reading(path, "a parquet table"):
            table, faults = pd.read_parquet(path), []
        index = table.index  # may hold frames or names
        unnamed = index.names == [None] and pd.api.types.is_integer_dtype(index)
        table = table.reset_index(drop=unnamed, names=[name or "" for name in index.names])
        table.columns = [str(name).strip() for name in table.columns]
    elif path.suffix.lower() == ".xlsx":
        table, faults = _read_workbook(path), []
    else:
        table, faults = _read_csv(path, [rule.columns for rule in rules], dtype, keep_text)
    for number in np.flatnonzero(table.columns == ""):
        cells = _text(table.iloc[:, number])
        if (cells != "").any() and (number or not cells.str.fullmatch(r"\d+").all()):
            some = shown(cells[cells != ""].iloc[0])
            faults.append(Fault(-1, f"column {number + 1} has no name, and holds {some}; give it one"))
    table = table.loc[:, table.columns != ""]  # the first may be the numbers that pandas writes
    points = {name: f"{name[:2]}{int(name[2:6])}" for name in PIXELS.names(table)}
    odd = [name for name, expected in points.items() if name != expected]
    faults += [Fault(-1, f"column `{name[:60]}` is no landmark, expected `{points[name]}`") for name in odd]
    table = table.drop(columns=odd)
    doubled = sorted(set(table.columns[table.columns.duplicated()]))
    faults += [Fault(-1, f"column `{name}` occurs twice") for name in doubled]
    return by_rules(table.loc[:, ~table.columns.duplicated()], faults, rules, dtype)


def read_columns(
    path: str | Path,
    columns: Sequence[str],
    rules: Iterable[Rule],
    separator: str = ",",
    header: str | None = None,
) -> pd.DataFrame:
    """A text file of rows without a header, or with one that says less than `columns`.

    Blank lines and comments (#) are left out; one separator may end a line. Unlike in `read_table`, a number
    may not be missing.

    Args:
        columns: names of the columns; those called "" are left out.
        separator: a regular expression.
        header: a regular expression; a first line that begins so is left out.

    Returns:
        columns of `rules` as float64, others as text; the index is the number of the line less 2, as in
        `Fault`.

    Raises:
        ValueError: another encoding, no row, or any fault.
    """
    lines = [(row, line.strip()) for row, line in enumerate(read_text(path).split("\n"), -1)]
    lines = [(row, line) for row, line in lines if line and line[0] != "#"]
    if lines and header is not None and re.match(header, lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise ValueError(f"{path} holds no row of data")
    rows, faults = {}, []
    for row, line in lines:
        cells = re.split(separator, re.sub(f"(?:{separator})$", "", line))
        if len(cells) == len(columns):
            rows[row] = cells
        else:
            faults.append(Fault(row, f"{len(cells)} cells, expected {len(columns)}"))
    refuse(faults, path)
    table = pd.DataFrame.from_dict(rows, "index", "str", columns).loc[:, np.array(columns) != ""]
    table, faults = by_rules(table, faults, rules, np.float64, needed=True)
    refuse(faults, path)
    return table


def by_rules(
    table: pd.DataFrame, faults: list[Fault], rules: Iterable[Rule], dtype: type, needed: bool = False
) -> tuple[pd.DataFrame, list[Fault]]:
    """Texts without spaces around them, numbers by the rules; and the faults, with those of the cells.

    needed: a missing number is a fault.
    """
    texts = (name for name in table if name in NAMES or isinstance(table[name].dtype, pd.StringDtype))
    cells = {name: _text(table[name]) for name in texts}
    for rule in rules:
        for name in rule.names(table):
            if table[name].dtype != dtype:
                cells[name], found = _numbers(table[name], rule, needed)
                cells[name] = cells[name].astype(dtype)
                faults += found
    table = table.assign(**cells).copy()  # in one piece
    for rule in rules:
        faults += _apply(rule, table)
    return table, faults


def refuse(faults: list[Fault], path: str | Path, unit: str = "line") -> None:
    """Raise ValueError with up to SHOWN faults, each with its line: the header is line (or row) 1."""
    found = sorted((fault for fault in faults if not fault.note), key=lambda fault: fault.row)
    if found:
        texts = [f"{unit} {fault.row + 2}: {fault.text}" for fault in found[:SHOWN]]
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ValueError(f"{path} " + "\n  ".join(texts) + more)


def shown(text: str) -> str:
    """The text in quotes, shortened, for a message."""
    return repr(text) if len(text) <= 80 else f"{text[:60]!r}..."


def _read_workbook(path: Path) -> pd.DataFrame:
    """All cells of a workbook's only sheet as text."""
    if importlib.util.find_spec("openpyxl") is None:
        raise ModuleNotFoundError(f"{path.name} needs openpyxl: pip install 'aulib[datasets]'")
    with reading(path, "a workbook"):
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, keep_default_na=False)
        cell = _without_result(path)
    if cell:
        raise ValueError(f"{path} cell {cell} is a formula without a result; save its value instead")
    sheets = {name: sheet for name, sheet in sheets.items() if len(sheet)}
    if len(sheets) != 1:
        found = f"{len(sheets)} sheets with cells" + (f", {', '.join(sheets)}" if sheets else "")
        raise ValueError(f"{path} has {found}; expected one")
    (cells,) = sheets.values()
    cells = cells.where(cells.notna(), "").astype("str")
    table = cells[1:].reset_index(drop=True)
    table.columns = [name.strip(" '\"") for name in cells.iloc[0]]
    if (table.columns == "").all():
        raise ValueError(f"{path} row 1 is blank, expected a header")
    return table


def _without_result(path: Path) -> str:
    """The first cell with a formula of which the workbook holds no result, as scripts write it; "" without
    one. It would be read as an empty cell."""
    with zipfile.ZipFile(path) as book:
        for name in filter(re.compile(r"xl/worksheets/[^/]+\.xml").fullmatch, book.namelist()):
            if found := _NO_RESULT.search(book.read(name)):
                return found[1].decode()
    return ""


def _read_csv(
    path: Path, numbers: list[str], dtype: type, keep_text: bool
) -> tuple[pd.DataFrame, list[Fault]]:
    """By pyarrow, for 200,000 rows in seconds; row by row where it does not split them as an editor does."""
    import pyarrow as pa

    data = path.read_bytes().rstrip()
    if not data or data[:200].lstrip().lower().startswith(tuple(BEGINS)):
        raise ValueError(f"{path}: expected a table, found {what_it_is(path)}")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of old Macs
    columns = _header(decoded(data, path), path)
    is_number = re.compile("|".join(numbers)).fullmatch
    types = {name: pa.string() for name in columns if name in NAMES or keep_text}
    types |= {name: pa.from_numpy_dtype(dtype) for name in columns if is_number(name)}
    with suppress(pa.ArrowInvalid):  # a row of another length, or a cell that is no number
        table = _by_arrow(data, columns, types)
        if len(table) == data.count(b"\n") and b', "' not in data:  # no blank lines, no open quotes
            return table, []
    rows, faults = {}, []
    for line, row in enumerate(decoded(data, path).replace("\r\n", "\n").split("\n")[1:]):
        if not row.strip():
            continue
        try:
            (cells,) = csv.reader([row], skipinitialspace=True, strict=True)
        except csv.Error as error:
            faults.append(Fault(line, f"cannot be split into cells, which may hold no line break: {error}"))
            continue
        if len(cells) == len(columns):
            rows[line] = cells
        elif len(faults) < MOST:
            faults.append(Fault(line, _wrong_length(cells, row, len(columns))))
    again = io.StringIO()
    csv.writer(again, quoting=csv.QUOTE_ALL).writerows([columns, *rows.values()])
    types |= {name: pa.string() for name in columns if is_number(name)}
    return _by_arrow(again.getvalue().encode(), columns, types).set_axis(list(rows), axis=0), faults


def _header(text: str, path: Path) -> list[str]:
    """Names of the columns."""
    first, _, rest = text.partition("\n")
    try:
        columns = [name.strip() for name in next(csv.reader([first.strip()], skipinitialspace=True), [])]
    except csv.Error as error:  # a cell of megabytes, or only carriage returns
        raise ValueError(f"{path} has no readable header: {error}") from error
    if len(columns) > 1:
        return columns
    if mark := next((mark for mark in ";\t|" if mark in first), ""):
        decimals = " and decimals by ',', expected '.'" if re.search(r"\d,\d", rest[:10_000]) else ""
        raise ValueError(f"{path} line 1: columns are separated by {mark!r}, expected ','{decimals}")
    raise ValueError(f"{path} line 1 is {shown(first.strip())}, expected a header with ',' between columns")


def _by_arrow(data: bytes, columns: list[str], types: dict) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    options = {
        "read_options": arrow_csv.ReadOptions(column_names=columns, skip_rows=1),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=types, null_values=_PLAIN_MISSING, strings_can_be_null=False
        ),
    }
    try:  # by blocks, in half the memory, but the first block decides the types of other columns
        table = arrow_csv.open_csv(pa.BufferReader(data), **options).read_all()
    except pa.ArrowInvalid:
        table = arrow_csv.read_csv(pa.BufferReader(data), **options)
    return table.to_pandas(self_destruct=True)


def _wrong_length(cells: list[str], row: str, expected: int) -> str:
    text = f"{len(cells)} cells, the header has {expected}"
    if len(cells) == expected + 1 and not cells[-1].strip():
        return f"{text}: does the row end with a comma?"
    halves = sum(cell.strip().lstrip("-").isdigit() for cell in cells)
    if 0 < 2 * (len(cells) - expected) <= halves and not re.search(r"\d\.\d", row):
        return f"{text}: have decimals a comma? A point is expected"
    mark = next((mark for mark in ";\t|" if row.count(mark) + 1 == expected), "")
    return f"{text}: cells are separated by {mark!r}, expected ','" if mark else text


def _text(column: pd.Series) -> pd.Series:
    """The column as text without spaces around, "" where a cell is missing."""
    if not isinstance(column.dtype, pd.StringDtype):
        column = column.astype(object).where(column.notna(), "").astype(str)
    return column.fillna("").str.strip()


def _numbers(column: pd.Series, rule: Rule, needed: bool) -> tuple[pd.Series, list[Fault]]:
    """The column as float64, NaN where a cell is missing or no number."""
    if pd.api.types.is_numeric_dtype(column):  # bool is
        return column.astype(object).astype("Float64").astype(np.float64), []
    text = _text(column)
    number = text.str.fullmatch(_NUMBER)
    values = pd.Series(np.nan, column.index)
    values[number] = text[number].astype(object).map(float)
    faults = []
    for row in text.index[~number & (needed | ~text.str.fullmatch(_MISSING))][:MOST]:
        hint = " (with a decimal point)" if re.fullmatch(r"[-+]?\d+,\d+", text[row]) else ""
        faults.append(Fault(row, f"{column.name} is {shown(text[row])}, expected {rule.expected}{hint}"))
    return values, faults


def _apply(rule: Rule, table: pd.DataFrame) -> list[Fault]:
    """Set codes for unknown to NaN; what the rule does not allow is a fault, one per row."""
    if not (columns := rule.names(table)):
        return []
    values, faults = table[columns].to_numpy(), []
    for code in rule.unknown:
        coded = values == code
        for column in np.flatnonzero(coded.any(axis=0)):
            rows = table.index[coded[:, column]]
            text = f"{columns[column]} is {code} in {len(rows)} rows, read as empty cells"
            faults.append(Fault(rows[0], text, note=True))
            table[columns[column]] = table[columns[column]].mask(coded[:, column])
    values = np.where(np.isin(values, rule.unknown), np.nan, values) if faults else values
    with np.errstate(invalid="ignore"):
        wrong = rule.refuses(values)
    for row in np.flatnonzero(wrong.any(axis=1))[:MOST]:
        column = int(wrong[row].argmax())
        found = f"{columns[column]} is {values[row, column]:g}, expected {rule.expected}"
        hint = " (a code for unknown? leave the cell empty then)" if values[row, column] in (99, -1) else ""
        faults.append(Fault(table.index[row], found + hint))
    return faults
