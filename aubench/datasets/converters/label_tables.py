"""Label files as tables: text read strictly, every fault with file and line, codes for unknown become NaN."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Source, au_name, known_au

MAX_TEXT = 200_000_000  # bytes; no label file of these sets comes near


def read_text(path: Path) -> str:
    """A text file as UTF-8, byte order mark and carriage returns removed.

    Raises:
        ValueError: it is empty, too large, UTF-16, not UTF-8, or holds NUL bytes.
    """
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path} is empty")
    if size > MAX_TEXT:
        raise ValueError(f"{path} has {size} bytes, more than any label file ({MAX_TEXT})")
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"{path} is UTF-16, expected UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}") from error
    if "\x00" in text:
        raise ValueError(f"{path} holds NUL bytes, expected text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def rows_of(path: Path, separator: str | None) -> list[tuple[int, list[str]]]:
    """(line number from 1, cells) of every line that is not blank and no # comment; None splits at spaces."""
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            rows.append((number, [cell.strip() for cell in line.strip().split(separator)]))
    if not rows:
        raise ValueError(f"{path} holds no line with data")
    return rows


def count_label_rows(source: Source) -> int | None:
    """Frames that a source's label file lists, for the report of one that cannot be read; None if that is not
    to be told. A first line with letters, or of numbers that run on (BP4D's), is a header."""
    if source.rows:
        return source.rows[1] - source.rows[0]
    if "picture" in source.files:  # a label file a picture
        return 1
    for key, path in source.files.items():
        if path is None or not key.startswith(("labels", "au ", "AU")):
            continue
        try:
            rows = rows_of(path, None)
        except (OSError, ValueError):  # another AU's file may do
            continue
        header = [cell for cell in re.split(r"[,\s]+", " ".join(rows[0][1])) if cell]
        named = any(re.fullmatch(r"[A-Za-z]+\d{0,2}", cell) for cell in header)
        return len(rows) - (named or header[:3] == ["0", "1", "2"])
    return None


def whole_number(text: str, path: Path, line: int, what: str) -> int:
    """The cell as an int; 3.0 and 1.0000000e+00 are whole, NaN, inf and 3.5 are errors with file and line."""
    number = plain_float(text)
    if not number == number or abs(number) > 1e9 or number != int(number):
        raise ValueError(f"{path} line {line}: {what} is {text[:40]!r}, expected a whole number")
    return int(number)


def plain_float(text: str) -> float:
    """The number that ASCII digits write, NaN of anything else: Python itself reads digits of every script,
    and 1_0 as 10."""
    try:
        return float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def refuse_doubled(frames: list, path: Path) -> None:
    """ValueError if a frame occurs twice."""
    twice = [frame for frame, count in Counter(frames).items() if count > 1]
    if twice:
        raise ValueError(
            f"{path}: frame {twice[0]} occurs twice ({len(twice)} such frames), expected each once"
        )


def frame_values(
    path: Path, separator: str | None, header: bool = False, exactly: bool = False
) -> dict[int | str, int]:
    """Frame -> value of a file of lines `frame<separator>value`; a frame that is a file name stays text.

    Args:
        separator: between cells; None splits at spaces, and the first cell is then a picture's name.
        header: the first line may be a header (it begins with a letter).
        exactly: refuse cells behind the second.

    Raises:
        ValueError: too few or too many cells, a cell that is no whole number, a frame twice.
    """
    rows = rows_of(path, separator)
    if header and re.match(r"[A-Za-z]", rows[0][1][0]):
        rows = rows[1:]
    values: dict[int | str, int] = {}
    for line, cells in rows:
        if len(cells) < 2 or (exactly and len(cells) > 2):
            raise ValueError(f"{path} line {line}: {len(cells)} cells, expected frame and intensity")
        frame = cells[0] if separator is None else whole_number(cells[0], path, line, "the frame")
        if frame in values:
            raise ValueError(f"{path} line {line}: frame {frame} occurs twice, expected each once")
        values[frame] = whole_number(cells[1], path, line, "the intensity")
    return values


def coded_table(path: Path, separator: str = ",") -> tuple[list[int], dict[int, list[int]]]:
    """A table whose header names AUs by number: frame numbers, and AU number -> values.

    The first column is the frame, whatever its header says (BP4D calls it 0). The others are `1` or `AU1` or
    `AU01`; columns of another name (occlusion, say) are left out.

    Raises:
        ValueError: no header of AUs, no row below it, a row with too few or too many cells, a cell that is no
            number, a negative frame, a frame twice.
    """
    (line, header), *rows = rows_of(path, separator)
    while header and not header[-1]:  # a comma at the end of the line
        header.pop()
    columns = {
        index: number for index, name in enumerate(header[1:], 1) if (number := au_number(name)) is not None
    }
    if not columns:
        raise ValueError(
            f"{path} line {line}: the header is {separator.join(header)[:60]!r}, "
            f"expected frame and AU numbers separated by {separator!r}"
        )
    if len(set(columns.values())) < len(columns):
        raise ValueError(f"{path} line {line}: an AU occurs twice in the header")
    if not rows:
        raise ValueError(f"{path} holds no row below its header in line {line}, expected one a frame")
    wanted = {index: number for index, number in columns.items() if known_au(number)}
    frames: list[int] = []
    values: dict[int, list[int]] = {number: [] for number in wanted.values()}
    for line, cells in rows:
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            raise ValueError(f"{path} line {line}: {len(cells)} cells, the header has {len(header)}")
        frames.append(whole_number(cells[0], path, line, "the frame"))
        if frames[-1] < 0:
            raise ValueError(f"{path} line {line}: the frame is {frames[-1]}, expected 0 or more")
        for index, number in wanted.items():
            values[number].append(whole_number(cells[index], path, line, au_name(number)))
    refuse_doubled(frames, path)
    return frames, values


def au_number(name: str) -> int | None:
    """1 of `1`, `AU1`, `AU01`, `'AU 1'`; None of anything else."""
    text = name.strip().strip("'\"").upper().removeprefix("AU").strip(" _")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 100 else None


def occurrence_frame(
    columns: dict[int, list | np.ndarray], unknown: tuple[int, ...], path: Path
) -> pd.DataFrame:
    """AU number -> values as a table of AU01_c ...; codes of `unknown` become NaN.

    Raises:
        ValueError: a value is neither 0, 1 nor one of `unknown`, with its AU and row.
    """
    return _checked(columns, unknown, path, "c", (0, 1))


def intensity_frame(
    columns: dict[int, list | np.ndarray], unknown: tuple[int, ...], path: Path
) -> pd.DataFrame:
    """AU number -> values 0-5 as a table of AU01_r ...; codes of `unknown` become NaN."""
    return _checked(columns, unknown, path, "r", (0, 1, 2, 3, 4, 5))


def _checked(columns, unknown, path, kind, allowed) -> pd.DataFrame:
    table = {}
    for number in sorted(columns):
        if not known_au(number):
            continue
        values = np.asarray(columns[number], dtype=np.float32).copy()
        values[np.isin(values, unknown)] = np.nan
        wrong = np.flatnonzero(~(np.isnan(values) | np.isin(values, allowed)))
        if len(wrong):
            expected = f"{allowed[0]} to {allowed[-1]}" + (
                f" or {', '.join(map(str, unknown))}" if unknown else ""
            )
            raise ValueError(
                f"{path}: {au_name(number)} is {values[wrong[0]]:g} in data row {wrong[0] + 1}, expected "
                f"{expected}"
            )
        table[f"{au_name(number)}_{kind}"] = values
    return pd.DataFrame(table)
