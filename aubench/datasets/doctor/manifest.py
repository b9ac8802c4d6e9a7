"""Pictures that a manifest does not list, and people who may be in two splits.

The manifest itself is read, and its faults are found, by `aulib.manifest.inspect`, as when a set is read.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.doctor.diagnosis import Finding
from aulib.images import is_picture_name
from aulib.landmarks import points_of
from aulib.manifest import MIN_FACE, RULES, SPLITS, path_fault
from aulib.tables import PIXELS

MIN_PEOPLE = 3  # in a split


def usable_part(table: pd.DataFrame) -> pd.DataFrame:
    """The table without what `inspect` found: labels that are none and landmarks that cannot be pixels become
    unknown, and a path that is none inside the folder becomes a missing picture."""
    table = table.copy()
    for rule in RULES:
        cells = table[rule.names(table)]
        table[cells.columns] = cells.mask(rule.refuses(cells))
    table["image"] = table["image"].mask(table["image"].map(path_fault) != "", ".outside")
    if columns := PIXELS.names(table):
        sound = np.ptp(points_of(table), axis=1).max(axis=1) >= MIN_FACE
        table.loc[~sound, columns] = np.nan
    return table


def check_listed(table: pd.DataFrame, root: Path) -> Iterator[Finding]:
    """Pictures in the folders of the set that the manifest does not list."""
    listed, extra = set(table["image"]), []
    inside = table["image"][table["image"].map(path_fault) == ""]
    for folder in {image.rpartition("/")[0] for image in inside}:
        for path in (root / folder).iterdir() if (root / folder).is_dir() else ():
            name = path.relative_to(root).as_posix()
            if is_picture_name(name) and name not in listed:
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
