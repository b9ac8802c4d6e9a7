"""List files of JAA-Net, ADLD and ME-GraphAU as tables with manifest columns, and back.

JAA-Net and ADLD: `X_path.txt`, `X_land.txt` (x1 y1 ... x49 y49), `X_AUoccur.txt`, in one row order, and made
of those `X_biocular.txt` (squared distance of the eye centres) and `X_weight.txt`. ME-GraphAU:
`BP4D_train_img_path_fold1.txt`, `BP4D_train_label_fold1.txt`, and made of those `BP4D_weight_fold1.txt` and
`BP4D_train_AU_relation_fold1.txt`. An export adds `X_AUs.txt` or `BP4D_AUs_fold1.txt`, which name the AUs.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.files import read_text, refuse_other, result_file
from aulib.labels import AU_NAMES
from aulib.landmarks import point_columns, points_of, to_49
from aulib.protocols import BP4D_AUS, DISFA_8, GFT_AUS, PROTOCOLS
from aulib.tables import MAX_COORDINATE

CODES = (9, 999)  # JAA-Net's and ADLD's for unknown
# Lists of other code do not say which AUs the columns are; their number decides.
AUS_BY_NUMBER = {12: BP4D_AUS, 8: DISFA_8, 10: GFT_AUS, 6: PROTOCOLS["adld"].aus}


def read_jaanet(prefix: str | Path, aus: list[str] | None = None, first_pixel: int = 0) -> pd.DataFrame:
    """`PREFIX_path.txt`, `PREFIX_AUoccur.txt` and, if it is there, `PREFIX_land.txt`.

    Args:
        aus: what the columns are; by default their number decides (12 BP4D, 8 DISFA, 10 GFT, 6 ADLD).
        first_pixel: 1 for landmarks of raw pictures as MATLAB counts, 0 for those of aligned pictures.

    Returns:
        image, AU01_c ... (NaN for 9 and 999), x_0 ... y_48.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: lists of different length, an unknown code, or both 9 and 999 in one file (only one could
            be written back).
    """
    paths = _read_lines(Path(f"{prefix}_path.txt"))
    aus = _aus_of(Path(f"{prefix}_AUs.txt"), aus)
    table = {"image": paths} | _occurrence(Path(f"{prefix}_AUoccur.txt"), len(paths), aus)
    land = Path(f"{prefix}_land.txt")
    if land.is_file():
        points = _read_numbers(land, len(paths), 98) - first_pixel  # x1 y1 x2 y2 ...
        for line, row in enumerate(points, 1):
            if (farthest := np.abs(row).max()) > MAX_COORDINATE:
                raise ValueError(f"{land} line {line}: {farthest:g} is no pixel of a picture")
        table |= point_columns(points.reshape(-1, 49, 2))
    return pd.DataFrame(table)


def write_jaanet(
    table: pd.DataFrame, prefix: str | Path, unknown: int = 9, first_pixel: int = 0
) -> list[Path]:
    """All five lists and `PREFIX_AUs.txt`; `unknown` is 9 for JAA-Net, 999 for ADLD. Weights count only known
    labels, and an AU that is never present has weight 0.

    Raises:
        ValueError: a row or table without landmarks, paths with line breaks, or another code for unknown.
        FileExistsError: as `_write_lists`.
    """
    if unknown not in CODES:
        raise ValueError(f"the code for unknown is {unknown}, expected {' or '.join(map(str, CODES))}")
    aus, codes = _labels(table)
    points = _points(table) + first_pixel
    left, right = points[:, 19:25].mean(axis=1), points[:, 25:31].mean(axis=1)
    eyes = ((left - right) ** 2).sum(axis=1)
    land = ["\t".join(map(repr, row)) for row in points.reshape(-1, 98).tolist()]
    lists = {
        "path": _paths(table),
        "land": land,
        "AUoccur": _coded(codes, unknown),
        "biocular": [f"{distance:f}" for distance in eyes],
        "weight": [_weights(codes)],
        "AUs": [" ".join(aus)],
    }
    return _write_lists({Path(f"{prefix}_{name}.txt"): lines for name, lines in lists.items()})


def read_megraphau(folder: str | Path, dataset: str, fold: int, aus: list[str] | None = None) -> pd.DataFrame:
    """The train and test lists of a fold: image, split, AU01_c ...; these lists have no landmarks.

    Raises:
        FileNotFoundError: a list is missing.  ValueError: lists of different length, an unknown code.
    """
    folder = Path(folder)
    named = folder / f"{dataset}_AUs_fold{fold}.txt"
    if not named.is_file():  # earlier exports had one file for all folds
        named = folder / f"{dataset}_AUs.txt"
    parts, aus = [], _aus_of(named, aus)
    for split in ("train", "test"):
        paths = _read_lines(folder / f"{dataset}_{split}_img_path_fold{fold}.txt")
        labels = _occurrence(folder / f"{dataset}_{split}_label_fold{fold}.txt", len(paths), aus)
        parts.append(pd.DataFrame({"image": paths, "split": split} | labels))
    return pd.concat(parts, ignore_index=True)


def write_megraphau(table: pd.DataFrame, folder: str | Path, dataset: str, fold: int) -> list[Path]:
    """Lists of a fold. ME-GraphAU has no validation split, so val rows are written among train's.

    Raises:
        ValueError: an unknown label, since its evaluation fails on anything but 0 and 1.
        FileExistsError: as `_write_lists`.
    """
    aus, _ = _labels(table)
    lists = {"AUs": [" ".join(aus)]}
    for split, rows in (("train", table["split"] != "test"), ("test", table["split"] == "test")):
        part = table[rows]
        _, codes = _labels(part)
        if unknown := int(np.isnan(codes).any(axis=1).sum()):
            raise ValueError(
                f"{unknown} of {len(part)} {split} rows have unknown labels, which ME-GraphAU cannot hold"
            )
        lists |= {f"{split}_img_path": _paths(part), f"{split}_label": _coded(codes)}
        if split == "train" and len(part):
            relation = (2 * codes[:, :, None] + codes[:, None, :]).reshape(len(part), -1)  # of pairs of AUs
            lists |= {"train_AU_relation": _coded(relation), "weight": [_weights(codes)]}
    return _write_lists(
        {Path(folder, f"{dataset}_{name}_fold{fold}.txt"): lines for name, lines in lists.items()}
    )


def _aus_of(path: Path, given: list[str] | None) -> list[str] | None:
    """What an export wrote, else `given`."""
    own = " ".join(_read_lines(path)).split() if path.is_file() else given
    if given and own != given:
        raise ValueError(f"{path} names {', '.join(own)}, and {', '.join(given)} was asked for; use one")
    return own


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    lines = [line.strip() for line in read_text(path).rstrip().split("\n")]
    if "" in lines:
        raise ValueError(f"{path} line {lines.index('') + 1} is blank, expected one entry a line")
    return lines


def _read_numbers(path: Path, num_rows: int, num_columns: int | None = None) -> np.ndarray:
    """(num_rows, num_columns) of a file of numbers separated by spaces, tabs or commas."""
    lines = _read_lines(path)
    if len(lines) != num_rows:
        raise ValueError(
            f"{path} has {len(lines)} lines, the list of paths {num_rows}: they do not belong together"
        )
    rows = []
    for line, text in enumerate(lines, 1):
        cells = re.split(r"[\s,]+", text)
        num_columns = num_columns or len(cells)
        if len(cells) != num_columns:
            raise ValueError(f"{path} line {line}: {len(cells)} numbers, expected {num_columns}")
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise ValueError(f"{path} line {line}: {str(error)[:80]}, expected numbers") from error
        if not np.isfinite(rows[-1]).all():
            raise ValueError(f"{path} line {line}: not all numbers are finite")
    return np.array(rows)


def _occurrence(path: Path, num_rows: int, aus: list[str] | None) -> dict[str, np.ndarray]:
    codes = _read_numbers(path, num_rows)
    aus = list(aus or AUS_BY_NUMBER.get(codes.shape[1], ()))
    if len(aus) != codes.shape[1]:
        known = f", {len(aus)} AUs are named" if aus else "; say which AUs they are (--aus)"
        raise ValueError(f"{path} has {codes.shape[1]} columns{known}")
    if strange := [au for au in aus if au not in AU_NAMES]:
        raise ValueError(f"{strange[0]!r} is no AU that aulib names, expected AU01, AU02 ...")
    if len(set(aus)) < len(aus):
        raise ValueError(f"{path}: the AUs are {', '.join(aus)}, expected each once")
    for row, column in np.argwhere(~np.isin(codes, (0, 1, *CODES)))[:1]:
        raise ValueError(
            f"{path} line {row + 1}: {aus[column]} is {codes[row, column]:g}, expected 0, 1, 9 or 999"
        )
    if all((codes == code).any() for code in CODES):
        raise ValueError(f"{path} has both 9 and 999 for unknown, expected one of them")
    codes[np.isin(codes, CODES)] = np.nan
    return {f"{au}_c": codes[:, column] for column, au in enumerate(aus)}


def _labels(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """AUs in FACS order, and (N, A) float64 in {0, 1}, NaN where unknown."""
    aus = [au for au in AU_NAMES if f"{au}_c" in table.columns]
    if not aus:
        raise ValueError("the table has no occurrence labels (AU01_c ...), which these lists are about")
    return aus, table[[f"{au}_c" for au in aus]].to_numpy(np.float64)


def _weights(codes: np.ndarray) -> str:
    """One line of AU weights: inverse to the base rate, their mean 1."""
    present, known = np.nansum(codes, axis=0), (~np.isnan(codes)).sum(axis=0)
    inverse = np.divide(known, present, out=np.zeros(len(present)), where=present > 0)
    weights = inverse / max(inverse.sum(), 1e-12) * len(inverse)
    return "\t".join(f"{weight:f}" for weight in weights)


def _points(table: pd.DataFrame) -> np.ndarray:
    """(N, 49, 2) float64."""
    points = points_of(table, np.float64)
    if (num := points.shape[1]) not in (49, 68):
        raise ValueError(f"the table has {num} landmarks, these lists need 49 (or 68, of which 49 are taken)")
    if missing := int(np.isnan(points).any(axis=(1, 2)).sum()):
        raise ValueError(f"{missing} of {len(table)} rows have no landmarks, which these lists cannot hold")
    return to_49(points)


def _paths(table: pd.DataFrame) -> list[str]:
    paths = table["image"].astype(str).tolist()
    if broken := [path for path in paths if "\n" in path or path != path.strip() or not path]:
        raise ValueError(f"the path {broken[0]!r} does not fit on a line of its own")
    return paths


def _coded(codes: np.ndarray, unknown: int = 0) -> list[str]:
    return [" ".join(f"{unknown if np.isnan(code) else code:.0f}" for code in row) for row in codes]


def _write_lists(lists: dict[Path, list[str]]) -> list[Path]:
    """Refuse before the first is written, so that labels and the names of their AUs stay together.

    Raises:
        FileExistsError: one is there and is no earlier export, or was edited since.
    """
    contents = {path: "".join(f"{line}\n" for line in lines).encode() for path, lines in lists.items()}
    for path, content in contents.items():
        if not (path.is_file() and path.read_bytes() == content):
            refuse_other(path, "list")
    for path, content in contents.items():
        with result_file(path, "list") as partial:
            partial.write_bytes(content)
    return list(lists)
