"""People and folders that stand in two splits, under one name or under two."""

import re

import numpy as np
import pandas as pd

from aubench.datasets.doctor.findings import Finding
from aulib.manifest import SPLITS

MIN_PEOPLE = 3


def check_splits(table: pd.DataFrame) -> list[Finding]:
    """Findings about subjects and splits beyond what reading the set refuses."""
    findings = []
    for split in SPLITS:
        people = table.loc[table["split"] == split, "subject"].nunique()
        if people == 0:
            findings.append(Finding("splits", "warning", f"split {split} is empty"))
        elif people < MIN_PEOPLE:
            text = f"split {split} has {people} subjects: intervals over people mean little"
            findings.append(Finding("splits", "note", text))
    return findings + _similar_names(table) + _shared_folders(table)


def _similar_names(table: pd.DataFrame) -> list[Finding]:
    """F001, f001, F1 and F-001 in different splits are probably one person."""
    findings = []
    plain = table["subject"].map(_plain)
    for name, rows in table.groupby(plain, sort=False):
        if name and rows["subject"].nunique() > 1:
            splits = sorted(set(rows["split"]))
            level = "error" if len(splits) > 1 else "warning"
            names = ", ".join(map(repr, rows["subject"].unique()[:4]))
            text = f"subjects {names} may be one person (splits {', '.join(splits)})"
            findings.append(Finding("splits", level, text, _first_of_each(rows, "subject")))
    return findings


def _plain(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\W_]+", "", name.casefold()))


def _shared_folders(table: pd.DataFrame) -> list[Finding]:
    """A folder of pictures whose people are in several splits, where most folders hold one person."""
    folders = table["image"].str.rpartition("/")[0]
    people = table.groupby(folders)["subject"].nunique()
    if len(people) < 3 or np.median(people) > 1:  # pictures of everyone lie together
        return []
    findings = []
    sound = table["split"].isin(SPLITS) & (table["subject"] != "")  # others are findings already
    for folder, rows in table[sound].groupby(folders[sound], sort=False):
        if rows["split"].nunique() > 1:
            names = " and ".join([name for name in rows["subject"].unique() if name][:4])
            splits = " and ".join(sorted(set(rows["split"])))
            text = f"folder {folder} holds {names} in splits {splits}: one person, two names?"
            findings.append(Finding("splits", "warning", text, _first_of_each(rows, "subject")))
    return findings


def _first_of_each(rows: pd.DataFrame, column: str) -> tuple[int, ...]:
    return tuple(rows.drop_duplicates(column).index.tolist())
