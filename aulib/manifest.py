"""A manifest and every fault that it has: what `read_dataset` refuses and `aulib check` reports.

Rows are counted as in a spreadsheet: the header is row 1, the first image is row 2.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.labels import AU_NAMES
from aulib.landmarks import points_of
from aulib.protocols import SPLITS
from aulib.tables import (
    INTENSITY,
    MOST,
    OCCURRENCE,
    PIXELS,
    Fault,
    normal_form,
    person_name,
    read_table,
    shown,
)

REQUIRED = ("image", "subject", "split")
RULES = (OCCURRENCE, INTENSITY, PIXELS)
MIN_FACE = 8  # pixels; the longer side of the landmarks' bounding box

# Columns of OpenFace, py-feat and `aulib predict` that may be in a manifest and are not read.
_TOLERATED = re.compile(
    r"frame|face_id|face|timestamp|confidence|success|note|input|pose_\w+|gaze_\w+|eye_lmk_\w+|p_\w+|[XYZ]_\d+"
    r"|AU\d\d_(p|side)|FaceRect\w+|FaceScore|face_(x|y|size|roll)|map_entropy|trust|status|meta_\w+"
)


def inspect(
    path: Path, dtype: type = np.float32, keep_text: bool = False
) -> tuple[pd.DataFrame, list[Fault]]:
    """The manifest as far as it can be read, and all its faults.

    A picture whose name the disk has in another Unicode form gets the name on the disk.

    Returns:
        what `read_table` does.

    Raises:
        ValueError: it is no table at all.
    """
    table, faults = read_table(path, RULES, dtype, keep_text)
    faults += [Fault(-1, text) for text in column_faults(list(table.columns))]
    if table.empty and not faults:
        faults.append(Fault(-1, "the table has a header and no rows, expected one row per image"))
    if layout_fault(table.columns):  # half a layout cannot be checked
        table = table.drop(columns=PIXELS.names(table))
    if set(REQUIRED) <= set(table.columns):
        table["subject"] = table["subject"].map(person_name)
        faults += row_faults(table, path.parent)
    return table, faults


def column_faults(columns: list[str]) -> list[str]:
    """What is wrong with a manifest's column names."""
    faults = [f"column `{name}` is missing" for name in REQUIRED if name not in columns]
    known = ["image", "subject", "split", *(f"{au}_{kind}" for au in AU_NAMES for kind in "cr")]
    for name in columns:
        if name in known or re.fullmatch(r"[xy]_\d+", name) or _TOLERATED.fullmatch(name):
            continue
        near = _near(name, known)
        hint = f"; did you mean `{near}`?" if near else ""
        faults.append(
            f"column `{name[:60]}` is unknown{hint} (a column of your own may be called `meta_...`)"
        )
    return faults + list(filter(None, [layout_fault(columns)]))


def layout_fault(columns: Iterable[str]) -> str:
    """What is wrong with the columns of landmarks; "" if nothing is, or there are none."""
    x, y = ({int(name[2:]) for name in columns if re.fullmatch(rf"{axis}_\d+", name)} for axis in "xy")
    expected = set(range(49 if max(x | y, default=0) < 49 else 68))
    missing = [f"{axis}_{k}" for axis, there in (("x", x), ("y", y)) for k in sorted(expected - there)]
    extra = (x | y) - expected
    if not (x or y) or not (missing or extra):
        return ""
    detail = f"missing {', '.join(missing[:4])}" if missing else f"too many, from point {min(extra)}"
    return (
        f"landmarks have {len(x)} x and {len(y)} y columns ({detail}), "
        "expected x_0..x_67 and y_0..y_67, or both 0..48"
    )


def why_tiny(landmarks: np.ndarray) -> str:
    """Why (K, 2) landmarks span too few pixels; "" if they do not, or are NaN."""
    if (span := np.ptp(landmarks, axis=0).max()) >= MIN_FACE or np.isnan(span):
        return ""
    expected = f"expected at least {MIN_FACE} (pixels of the image, not shares of its width)"
    return f"landmarks span {span:.3g} pixels, {expected}"


def _near(name: str, known: list[str]) -> str | None:
    """The most similar known column, if one is similar."""
    if au := re.fullmatch(r"au_?(\d{1,2})(?:_?([cr]))?", name.lower()):  # AU1_c, au12, AU_4_r
        name = f"AU{int(au[1]):02d}_{au[2] or 'c'}"
        return name if name in known else None
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)), None)


def row_faults(table: pd.DataFrame, root: Path) -> list[Fault]:
    """Faults of rows, each under its index, of a table with correct columns; `image` gets the names on the
    disk below `root`."""
    return _split_faults(table) + _landmark_faults(table) + _image_faults(table, root)


def _split_faults(table: pd.DataFrame) -> list[Fault]:
    unknown, expected = table["split"][~table["split"].isin(SPLITS)][:MOST], "expected train, val or test"
    faults = [Fault(row, f"split is {shown(split)}, {expected}") for row, split in unknown.items()]
    text = "subject is empty (or nan, NA, null), expected a name (splits must not share people)"
    faults += [Fault(row, text) for row in table.index[table["subject"] == ""][:MOST]]
    pairs = table[["subject", "split"]].drop_duplicates()  # keeps the first row of each pair
    pairs = pairs[pairs["subject"] != ""]
    for subject, rows in pairs[pairs["subject"].duplicated(keep=False)].groupby("subject", sort=False):
        (first, second), (split, other) = rows.index[:2], rows["split"].iloc[:2]
        text = f"subject {subject!r} is in split {other!r} here and in {split!r} in row {first + 2}"
        faults.append(Fault(second, f"{text}, expected each subject in one split"))
    return faults


def _landmark_faults(table: pd.DataFrame) -> list[Fault]:
    points, faults = points_of(table), []
    cells = 2 * points.shape[1]
    if not cells:
        return []
    empty = np.isnan(points).sum(axis=(1, 2))
    for row in np.flatnonzero((empty > 0) & (empty < cells))[:MOST]:
        text = f"{empty[row]} of {cells} landmark cells are empty, expected all or none"
        faults.append(Fault(table.index[row], text))
    complete = np.flatnonzero(empty == 0)
    with np.errstate(invalid="ignore"):  # infinities are faults of the cells already
        box = np.ptp(points[complete], axis=1).max(axis=1)
    return faults + [
        Fault(table.index[row], why_tiny(points[row])) for row in complete[box < MIN_FACE][:MOST]
    ]


def _image_faults(table: pd.DataFrame, root: Path) -> list[Fault]:
    """Faults of the column `image`, which gets the names on the disk."""
    faults, first_row, on_disk = [], {}, {}
    by_form, by_case = {}, {}  # listings of folders
    for row, image in table["image"].items():
        if (earlier := first_row.setdefault(normal_form(image), row)) != row and image:
            text = f"image {shown(image)} is also in row {earlier + 2}, expected each image once"
        elif text := path_fault(image):
            pass
        elif found := _on_disk(image, root, normal_form, by_form):
            on_disk |= {row: found} if found != image else {}
            continue
        else:
            other = _on_disk(image, root, lambda name: normal_form(name).casefold(), by_case)
            hint = f"; {shown(other)} is there, in other capitals" if other else ""
            text = f"image {shown(image)} does not exist in {root}{hint}"
        faults.append(Fault(row, text))
        if len(faults) == MOST:
            break
    if on_disk:
        table["image"] = pd.Series(on_disk).reindex(table.index).fillna(table["image"])
    return faults


def path_fault(image: str) -> str:
    """What is wrong with the text of a path; "" if nothing is."""
    if not image:
        return "image is empty, expected a path relative to the dataset folder"
    if image[0] == "/" or ".." in re.split(r"[/\\]", image) or re.match(r"[A-Za-z]:", image):
        return f"image is {shown(image)}, expected a path relative to the dataset folder and inside it"
    return f"image {shown(image)} has backslashes, expected `/` between folders" if "\\" in image else ""


def _on_disk(
    path: str, root: Path, key: Callable[[str], str], listings: dict[str, dict[str, os.DirEntry]]
) -> str:
    """The path on the disk of the file below `root` that is called so or alike, as far as `key` goes; "" if
    there is none. OSError if a folder on the way cannot be read; `listings` keeps those of all so far.
    """
    found, entry = "", None
    for part in path.split("/"):
        if part in ("", "."):
            continue
        there = listings.get(found)
        if there is None:
            there = listings[found] = _list(root / found, key)
        entry = there.get(part) or there.get(key(part))
        if not entry:
            return ""
        found = f"{found}/{entry.name}" if found else entry.name
    # A link to itself is no file to `os.path`, and an error to the entry.
    there = entry and (entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path))
    return found if there else ""


def _list(folder: Path, key: Callable[[str], str]) -> dict[str, os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            there = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {key(entry.name): entry for entry in there} | {entry.name: entry for entry in there}
