"""What labels say by themselves: AUs never or always present, contradictions, probabilities and confidences
outside of 0 to 1, and base rates against published ones."""

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Expected
from aubench.datasets.converters.report import compare_rates
from aubench.datasets.doctor.diagnosis import Finding
from aubench.datasets.interchange.tables import CONFIDENCE, PROBABILITY
from aulib.dataset import DatasetFolder
from aulib.expressions import expressions_of, groups_of
from aulib.tables import by_rules

FEW = 20  # rows; fewer say nothing of constancy
SURE = 0.2  # base rate in train from which a split without the AU is odd; 1 - SURE for one with nothing else


def check_labels(data: DatasetFolder, expected: Expected) -> Iterator[Finding]:
    """Findings about AU columns; `expected` are the published figures of the set."""
    occurrence = data.occurrence
    yield from _constant(data.aus, occurrence)
    yield from _between_splits(data, occurrence)
    yield from _same_columns(data.aus, occurrence)
    yield from _against_intensity(data.table)
    yield from _between_rows(data.table)
    yield from _of_other_tools(data.table)
    yield from _for_contrasts(data.table)
    if unlabelled := int(np.isnan(occurrence).all(axis=1).sum()):
        text = f"{unlabelled} of {len(data)} rows have no AU label (fine for a target domain)"
        yield Finding("labels", "note", text)
    for au, row in compare_rates(data, expected).items():
        if row["odd"]:
            found, published = 100 * row["rate"], 100 * row["expected"]
            text = f"{au} is present in {found:.1f} % of the frames, published: {published:.1f} %"
            yield Finding("base rate", "warning", text)


def _for_contrasts(table: pd.DataFrame) -> Iterator[Finding]:
    """What `aulib contrast` would refuse."""
    try:
        if "meta_expression" in table:
            expressions_of(table["meta_expression"])
            groups_of(table)
    except ValueError as error:
        yield Finding("expressions", "warning", f"{error} (`aulib contrast` refuses it)")


def _of_other_tools(table: pd.DataFrame) -> Iterator[Finding]:
    """What `aulib import` would refuse in columns that training does not read."""
    rules = (PROBABILITY, CONFIDENCE)
    columns = table.filter(regex=f"^({'|'.join(rule.columns for rule in rules)})$")
    _, faults = by_rules(columns, [], rules, np.float64)
    for fault in faults:
        yield Finding("rows", "warning", fault.text, (fault.row,))


def _constant(aus: list[str], occurrence: np.ndarray) -> Iterator[Finding]:
    for au, column in zip(aus, occurrence.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            yield Finding("labels", "warning", f"{au} is unknown in every row: drop its column")
        elif not known.any():
            yield Finding("labels", "warning", f"{au} is never present in {len(known)} rows")
        elif known.all() and len(known) >= FEW:
            yield Finding("labels", "error", f"{au} is present in every one of {len(known)} rows")


def _between_splits(data: DatasetFolder, occurrence: np.ndarray) -> Iterator[Finding]:
    """AUs that are never or always present in val or test, and sometimes in train."""
    train = occurrence[data.rows("train")]
    for split in ("val", "test"):
        for au, column, in_train in zip(data.aus, occurrence[data.rows(split)].T, train.T, strict=True):
            known = column[~np.isnan(column)]
            if len(known) < FEW or np.isnan(in_train).all():
                continue
            rate = np.nanmean(in_train)
            there = f"in {100 * rate:.0f} % of train"
            if not known.any() and rate >= SURE:
                text = f"{au} is never present in {split}, {there}"
                yield Finding("labels", "warning", text)
            if known.all() and rate <= 1 - SURE:
                text = f"{au} is present in every one of {len(known)} rows of {split}, {there}"
                yield Finding("labels", "error", text)


def _same_columns(aus: list[str], occurrence: np.ndarray) -> Iterator[Finding]:
    """Two AUs that agree wherever both are known are probably one column written twice."""
    for (one, first), (other, second) in itertools.combinations(zip(aus, occurrence.T, strict=True), 2):
        known = ~np.isnan(first) & ~np.isnan(second)
        if known.sum() >= FEW and 0 < first[known].mean() < 1 and (first[known] == second[known]).all():
            text = f"{one} and {other} are the same in all {known.sum()} rows: one column written twice?"
            yield Finding("labels", "error", text)


def _against_intensity(table: pd.DataFrame) -> Iterator[Finding]:
    """Present with intensity 0, or absent with intensity 2 or more (between, coders differ)."""
    for au in sorted(name[:4] for name in table if name.endswith("_c") and f"{name[:-1]}r" in table):
        present, intensity = table[f"{au}_c"], table[f"{au}_r"]
        for wrong, text in (
            ((present == 1) & (intensity == 0), "present with intensity 0"),
            ((present == 0) & (intensity >= 2), "absent with intensity 2 or more"),
        ):
            if wrong.any():
                rows = tuple(np.flatnonzero(wrong).tolist())
                yield Finding("contradiction", "error", f"{au} is {text}", rows)


def _between_rows(table: pd.DataFrame) -> Iterator[Finding]:
    """Rows of one image with different labels."""
    labels = [column for column in table.columns if column.startswith("AU") and column[-2:] in ("_c", "_r")]
    doubled = table[table["image"].duplicated(keep=False) & ~table["image"].isin(("", ".outside"))]
    for image, rows in doubled.groupby("image", sort=False):
        differing = [column for column in labels if rows[column].nunique() > 1]
        if differing:
            text = f"rows of image {image!r} contradict each other in {', '.join(differing[:4])}"
            yield Finding("contradiction", "error", text, tuple(rows.index.tolist()))
