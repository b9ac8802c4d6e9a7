"""What labels say of themselves: silence, constancy, contradictions, and base rates against published
ones."""

import itertools

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Expected
from aubench.datasets.converters.report import compare_rates
from aubench.datasets.doctor.findings import Finding
from aulib.dataset import DatasetFolder

FEW = 20  # rows; fewer say nothing of constancy
SURE = 0.2  # base rate from which a split without one is odd; 1 - SURE, up to which one of nothing else is


def check_labels(data: DatasetFolder, expected: Expected | None) -> list[Finding]:
    """Findings about AU columns; `expected` are the published figures of the set, if it is a known one."""
    findings = _constant(data) + _against_intensity(data) + _twins(data) + _between_splits(data)
    findings += _between_rows(data.table)
    unlabelled = np.flatnonzero(np.isnan(data.occurrence).all(axis=1)) if data.aus else np.arange(len(data))
    if len(unlabelled):
        text = f"{len(unlabelled)} of {len(data)} rows have no AU label (fine for a target domain)"
        findings.append(Finding("labels", "note", text))
    if expected is not None:
        for au, row in compare_rates(data, expected).items():
            if row["odd"]:
                found, published = 100 * row["rate"], 100 * row["expected"]
                text = f"{au} is present in {found:.1f} % of the frames, published: {published:.1f} %"
                findings.append(Finding("base rate", "warning", text))
    return findings


def _constant(data: DatasetFolder) -> list[Finding]:
    findings = []
    for au, column in zip(data.aus, data.occurrence.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            findings.append(Finding("labels", "warning", f"{au} is unknown in every row: drop its column"))
        elif not known.any():
            findings.append(Finding("labels", "warning", f"{au} is never present in {len(known)} rows"))
        elif known.all() and len(known) >= FEW:
            findings.append(Finding("labels", "error", f"{au} is present in every one of {len(known)} rows"))
    return findings


def _against_intensity(data: DatasetFolder) -> list[Finding]:
    """Present with intensity 0, or absent with intensity 2 and more (between, coders differ)."""
    findings = []
    for au in data.aus:
        if f"{au}_c" not in data.table or f"{au}_r" not in data.table:
            continue
        present, strength = data.table[f"{au}_c"].to_numpy(float), data.table[f"{au}_r"].to_numpy(float)
        for wrong, text in (
            ((present == 1) & (strength == 0), "present with intensity 0"),
            ((present == 0) & (strength >= 2), "absent with intensity 2 or more"),
        ):
            if rows := np.flatnonzero(wrong).tolist():
                findings.append(Finding("contradiction", "error", f"{au} is {text}", tuple(rows)))
    return findings


def _twins(data: DatasetFolder) -> list[Finding]:
    """Two AUs that agree wherever both are known are probably one column written twice."""
    findings = []
    columns = dict(zip(data.aus, data.occurrence.T, strict=True))
    for (one, first), (other, second) in itertools.combinations(columns.items(), 2):
        known = ~np.isnan(first) & ~np.isnan(second)
        if known.sum() >= FEW and 0 < first[known].mean() < 1 and (first[known] == second[known]).all():
            text = f"{one} and {other} are the same in all {known.sum()} rows: one column written twice?"
            findings.append(Finding("labels", "error", text))
    return findings


def _between_splits(data: DatasetFolder) -> list[Finding]:
    """AUs that val or test never or always has, and train sometimes."""
    findings = []
    train = data.occurrence[data.rows("train")]
    for split in ("val", "test"):
        rows = data.occurrence[data.rows(split)]
        for index, au in enumerate(data.aus):
            here, there = rows[:, index], train[:, index]
            if (~np.isnan(here)).sum() < FEW or np.isnan(there).all():
                continue
            if np.nansum(here) == 0 and np.nanmean(there) >= SURE:
                text = f"{au} is never present in {split}, in {100 * np.nanmean(there):.0f} % of train"
                findings.append(Finding("labels", "warning", text))
            if np.nanmean(here) == 1 and np.nanmean(there) <= 1 - SURE:
                known, rate = int((~np.isnan(here)).sum()), 100 * np.nanmean(there)
                text = f"{au} is present in every one of {known} rows of {split}, in {rate:.0f} % of train"
                findings.append(Finding("labels", "error", text))
    return findings


def _between_rows(table: pd.DataFrame) -> list[Finding]:
    """Rows of one image that do not say the same."""
    labels = [column for column in table.columns if column.startswith("AU") and column[-2:] in ("_c", "_r")]
    doubled = table[table["image"].duplicated(keep=False) & (table["image"] != "")]
    findings = []
    for image, rows in doubled.groupby("image", sort=False):
        differing = [c for c in labels if rows[c].dropna().nunique() > 1]
        if differing:
            text = f"rows of image {image!r} contradict each other in {', '.join(differing[:4])}"
            findings.append(Finding("contradiction", "error", text, tuple(rows.index.tolist())))
    return findings
