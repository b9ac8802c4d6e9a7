"""List files of JAA-Net, ADLD and ME-GraphAU as tables with manifest columns, and back.

JAA-Net and ADLD: `X_path.txt`, `X_land.txt` (x1 y1 ... x49 y49), `X_AUoccur.txt`, in one row order, and made
of those `X_biocular.txt` (squared distance of the eye centres) and `X_weight.txt`. ME-GraphAU:
`BP4D_train_img_path_fold1.txt`, `BP4D_train_label_fold1.txt`, and made of those `BP4D_weight_fold1.txt` and
`BP4D_train_AU_relation_fold1.txt`.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.label_tables import read_text
from aulib.labels import AU_NAMES
from aulib.landmarks import to_49
from aulib.manifest import MAX_COORDINATE
from aulib.protocols import BP4D_AUS, DISFA_8, GFT_AUS, PROTOCOLS

CODES = (9, 999)  # JAA-Net's and ADLD's for unknown
# Which AUs the columns are is written nowhere in these files; their number tells.
AUS_BY_NUMBER = {12: BP4D_AUS, 8: DISFA_8, 10: GFT_AUS, 6: PROTOCOLS["adld"].aus}


def read_jaanet(prefix: str | Path, aus: list[str] | None = None, first_pixel: int = 0) -> pd.DataFrame:
    """`PREFIX_path.txt`, `PREFIX_AUoccur.txt` and, if it is there, `PREFIX_land.txt`.

    Args:
        aus: what the columns are; by default told from their number (12 BP4D, 8 DISFA, 10 GFT, 6 ADLD).
        first_pixel: 1 for landmarks of raw pictures as MATLAB counts, 0 for those of aligned pictures.

    Returns:
        image, AU01_c ... (NaN for 9 and 999), x_0 ... y_48.

    Raises:
        FileNotFoundError: a list is missing.  ValueError: lists of different length, a code that is none,
            both
            9 and 999 in one file (only one could be written back).
    """
    paths = _lines(Path(f"{prefix}_path.txt"))
    table = {"image": paths}
    table |= _occurrence(Path(f"{prefix}_AUoccur.txt"), len(paths), aus or _named_aus(f"{prefix}_AUs.txt"))
    land = Path(f"{prefix}_land.txt")
    if land.is_file():
        points = _numbers(land, len(paths), 98).reshape(-1, 49, 2) - first_pixel
        far = np.flatnonzero(np.abs(points).max(axis=(1, 2)) > MAX_COORDINATE)
        if len(far):
            found = points[far[0]].flat[np.abs(points[far[0]]).argmax()]
            raise ValueError(f"{land} line {far[0] + 1}: {found:g} is no pixel of a picture")
        table |= {f"{axis}_{k}": points[:, k, i] for i, axis in enumerate("xy") for k in range(49)}
    return pd.DataFrame(table)


def write_jaanet(
    table: pd.DataFrame, prefix: str | Path, unknown: int = 9, first_pixel: int = 0
) -> list[Path]:
    """All five lists; `unknown` is 9 for JAA-Net, 999 for ADLD. Weights count only labels that are known, and
    an AU that is never present has weight 0.

    Raises:
        ValueError: a row without landmarks, paths with line breaks, or no landmark columns.
    """
    labels = _label_columns(table)
    codes = table[labels].to_numpy(np.float64)
    points = _points(table) + first_pixel
    left, right = points[:, 19:25].mean(axis=1), points[:, 25:31].mean(axis=1)
    present, known = np.nansum(codes, axis=0), (~np.isnan(codes)).sum(axis=0)
    inverse = np.divide(known, present, out=np.zeros(len(labels)), where=present > 0)
    weights = inverse / max(inverse.sum(), 1e-12) * len(labels)
    return [
        _write_lines(f"{prefix}_path.txt", _paths(table)),
        _write_lines(
            f"{prefix}_land.txt", ["\t".join(map(repr, row)) for row in points.reshape(-1, 98).tolist()]
        ),
        _write_lines(f"{prefix}_AUoccur.txt", _coded(codes, unknown)),
        _write_lines(f"{prefix}_biocular.txt", [f"{d:f}" for d in ((left - right) ** 2).sum(axis=1)]),
        _write_lines(f"{prefix}_weight.txt", ["\t".join(f"{w:f}" for w in weights)]),
        *_write_aus(f"{prefix}_AUs.txt", labels),
    ]


def read_megraphau(folder: str | Path, dataset: str, fold: int, aus: list[str] | None = None) -> pd.DataFrame:
    """The train and test lists of a fold: image, split, AU01_c ...; these lists have no landmarks.

    Raises:
        FileNotFoundError: a list is missing.  ValueError: lists of different length, a code that is none.
    """
    parts, aus = [], aus or _named_aus(Path(folder) / f"{dataset}_AUs.txt")
    for split in ("train", "test"):
        paths = _lines(Path(folder) / f"{dataset}_{split}_img_path_fold{fold}.txt")
        labels = _occurrence(Path(folder) / f"{dataset}_{split}_label_fold{fold}.txt", len(paths), aus)
        parts.append(pd.DataFrame({"image": paths, "split": split} | labels))
    return pd.concat(parts, ignore_index=True)


def write_megraphau(table: pd.DataFrame, folder: str | Path, dataset: str, fold: int) -> list[Path]:
    """Lists of a fold. ME-GraphAU knows no validation split, so val rows are written among train's.

    Raises:
        ValueError: an unknown label, since its evaluation fails on anything but 0 and 1.
    """
    labels = _label_columns(table)
    written = _write_aus(Path(folder) / f"{dataset}_AUs.txt", labels)
    for split, rows in (("train", table["split"] != "test"), ("test", table["split"] == "test")):
        part = table[rows]
        codes = part[labels].to_numpy(np.float64)
        if unknown := int(np.isnan(codes).any(axis=1).sum()):
            raise ValueError(
                f"{unknown} of {len(part)} {split} rows have unknown labels, which ME-GraphAU cannot hold"
            )
        base = Path(folder)
        written.append(_write_lines(base / f"{dataset}_{split}_img_path_fold{fold}.txt", _paths(part)))
        written.append(_write_lines(base / f"{dataset}_{split}_label_fold{fold}.txt", _coded(codes, 0)))
        if split == "train" and len(part):
            relation = (2 * codes[:, :, None] + codes[:, None, :]).reshape(len(part), -1)
            lines = [" ".join(f"{value:.0f}" for value in row) for row in relation]
            written.append(_write_lines(base / f"{dataset}_train_AU_relation_fold{fold}.txt", lines))
            rates = codes.mean(axis=0)
            inverse = np.divide(1, rates, out=np.zeros(len(labels)), where=rates > 0)
            weights = "\t".join(f"{w:f}" for w in inverse / max(inverse.sum(), 1e-12) * len(labels))
            written.append(_write_lines(base / f"{dataset}_weight_fold{fold}.txt", [weights]))
    return written


def _named_aus(path: str | Path) -> list[str] | None:
    """What `_write_aus` wrote; None without it."""
    return " ".join(_lines(Path(path))).split() if Path(path).is_file() else None


def _write_aus(path: str | Path, labels: list[str]) -> list[Path]:
    """A list of ours, `X_AUs.txt`, where the number of columns does not tell which AUs they are."""
    names = [label.removesuffix("_c") for label in labels]
    if names == list(AUS_BY_NUMBER.get(len(names), ())):
        return []
    return [_write_lines(path, [" ".join(names)])]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    lines = read_text(path).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if blank := [number for number, line in enumerate(lines, 1) if not line.strip()]:
        raise ValueError(f"{path} line {blank[0]} is blank, expected one entry a line")
    return [line.strip() for line in lines]


def _numbers(path: Path, num_rows: int, num_columns: int | None = None) -> np.ndarray:
    """(rows, columns) of a file of numbers separated by spaces, tabs or commas."""
    lines = _lines(path)
    if len(lines) != num_rows:
        raise ValueError(
            f"{path} has {len(lines)} lines, the list of paths {num_rows}: they do not belong together"
        )
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = [float(cell) for cell in re.split(r"[\s,]+", line)]
        except ValueError as error:
            raise ValueError(f"{path} line {number}: {str(error)[:80]}, expected numbers") from error
        want = num_columns or (len(rows[0]) if rows else len(row))
        if len(row) != want:
            raise ValueError(f"{path} line {number}: {len(row)} numbers, expected {want}")
        if not np.isfinite(row).all():
            raise ValueError(f"{path} line {number}: not all numbers are finite")
        rows.append(row)
    return np.array(rows)


def _occurrence(path: Path, num_rows: int, aus: list[str] | None) -> dict[str, np.ndarray]:
    codes = _numbers(path, num_rows)
    names = list(aus or AUS_BY_NUMBER.get(codes.shape[1], ()))
    if len(names) != codes.shape[1]:
        known = "; say which AUs they are" if not names else f", {len(names)} AUs are named"
        raise ValueError(f"{path} has {codes.shape[1]} columns{known}")
    if strange := [name for name in names if name not in AU_NAMES]:
        raise ValueError(f"{strange[0]!r} is no AU that aulib names, expected AU01, AU02 ...")
    wrong = np.argwhere(~np.isin(codes, (0, 1, *CODES)))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{path} line {row + 1}: {names[column]} is {codes[row, column]:g}, expected 0, 1, 9 or 999"
        )
    if all((codes == code).any() for code in CODES):
        raise ValueError(f"{path} has both 9 and 999 for unknown, expected one of them")
    codes[np.isin(codes, CODES)] = np.nan
    return {f"{name}_c": codes[:, column] for column, name in enumerate(names)}


def _label_columns(table: pd.DataFrame) -> list[str]:
    labels = [f"{au}_c" for au in AU_NAMES if f"{au}_c" in table.columns]
    if not labels:
        raise ValueError("the table has no occurrence labels (AU01_c ...), which these lists are about")
    return labels


def _points(table: pd.DataFrame) -> np.ndarray:
    """(N, 49, 2) float64."""
    num = sum(re.fullmatch(r"x_\d+", name) is not None for name in table.columns)
    if num not in (49, 68):
        raise ValueError(f"the table has {num} landmarks, these lists need 49 (or 68, of which 49 are taken)")
    points = np.stack([table[[f"{a}_{k}" for k in range(num)]].to_numpy(np.float64) for a in "xy"], axis=-1)
    if missing := int(np.isnan(points).any(axis=(1, 2)).sum()):
        raise ValueError(f"{missing} of {len(table)} rows have no landmarks, which these lists cannot hold")
    return to_49(points) if num == 68 else points


def _paths(table: pd.DataFrame) -> list[str]:
    paths = table["image"].astype(str).tolist()
    if broken := [path for path in paths if "\n" in path or path != path.strip() or not path]:
        raise ValueError(f"the path {broken[0]!r} does not fit on a line of its own")
    return paths


def _coded(codes: np.ndarray, unknown: int) -> list[str]:
    return [" ".join(f"{unknown if np.isnan(c) else c:.0f}" for c in row) for row in codes]


def _write_lines(path: str | Path, lines: list[str]) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
