"""The whole check of a dataset folder. It continues where reading the set would stop."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.raw_session import Expected
from aubench.datasets.doctor.diagnosis import Diagnosis, Finding
from aubench.datasets.doctor.duplicates import check_duplicates
from aubench.datasets.doctor.labels import check_labels
from aubench.datasets.doctor.landmarks import check_crops, check_landmarks, likeness_to_mean
from aubench.datasets.doctor.manifest import check_listed, check_splits, usable_part
from aubench.datasets.doctor.pictures import look_at_pictures
from aubench.datasets.label_statistics import crop_rows
from aulib.dataset import DatasetFolder, folder_called, manifest_path
from aulib.files import read_json
from aulib.manifest import REQUIRED, inspect
from aulib.tables import Fault

PICTURES = 20_000  # opened, at most, unless asked otherwise
WORST = 24  # crops on the contact sheet


def check(
    folder: str | Path, published: str = "", pictures: int = PICTURES, progress: bool = True
) -> Diagnosis:
    """Check a dataset folder: manifest, labels, splits, pictures, duplicates, landmarks.

    Args:
        folder: a folder, or a rendered set such as `synthetic:studio`.
        published: a converter's name ("bp4d") whose base rates to compare with; by default the one that
            `aulib convert` noted in conversion.json, if any.
        pictures: how many to open at most, evenly spread; 0 opens none.

    Raises:
        FileNotFoundError: no folder, or no manifest in it.
        ValueError: unknown `published`, or two manifests.
    """
    root = folder_called(folder)
    expected = _expected(root, published)
    path = manifest_path(root)
    try:
        table, faults = inspect(path)
    except ValueError as error:  # no table at all
        found = [Finding("file", "error", str(error))]
        return Diagnosis(root, DatasetFolder(root, pd.DataFrame()), findings=found)
    numbers, table = table.index.to_numpy(), table.reset_index(drop=True)
    diagnosis = Diagnosis(root, DatasetFolder(root, table), numbers, [_finding(fault) for fault in faults])
    if table.empty or not set(REQUIRED) <= set(table.columns):
        return diagnosis
    data = diagnosis.data = DatasetFolder(root, usable_part(table))
    findings = [*check_listed(table, root)]
    findings += check_splits(table)
    findings += check_labels(data, expected)
    findings += check_landmarks(data)
    diagnosis.published = {au: expected.rates[au] for au in data.aus if au in expected.rates}
    if pictures:
        prints, found = look_at_pictures(data, pictures, progress)
        likeness = likeness_to_mean(prints)
        findings += found
        findings += check_duplicates(prints, data.table)
        findings += check_crops(prints, likeness, data)
        worst = np.argsort(likeness)[: min(WORST, int(np.isfinite(likeness).sum()))]  # NaN comes last
        diagnosis.worst, diagnosis.likeness = prints.rows[worst], likeness[worst]
        diagnosis.readable = prints.rows[prints.has_face]
    diagnosis.findings += [replace(one, rows=tuple(numbers[list(one.rows)].tolist())) for one in findings]
    return diagnosis


def worst_faces(diagnosis: Diagnosis) -> dict:
    """The crops least like the others, to be looked at; `diagnosis.worst` has some.

    Returns:
        images, landmarks (pixels of them), captions ("row 47 · 0.03", the likeness), table (one row per face:
        row as in a spreadsheet, image, likeness).
    """
    rows, likeness = diagnosis.worst, diagnosis.likeness
    images, landmarks = crop_rows(diagnosis.data, rows)
    numbers = diagnosis.numbers[rows] + 2
    captions = [f"row {row} · {like:.2f}" for row, like in zip(numbers, likeness, strict=True)]
    names = diagnosis.data.table["image"].to_numpy()[rows]
    table = pd.DataFrame({"row": numbers, "image": names, "likeness": likeness.round(4)})
    return {"images": images, "landmarks": landmarks, "captions": captions, "table": table}


def _finding(fault: Fault) -> Finding:
    """What `read_dataset` would refuse is an error here."""
    if fault.row < 0:
        return Finding("columns", "error", fault.text)
    return Finding("rows", "note" if fault.note else "error", fault.text, (int(fault.row),))


def _expected(root: Path, published: str) -> Expected:
    """Published figures of the set that is named, or that `aulib convert` noted; else none."""
    if published and published not in CONVERTERS:
        raise ValueError(f"no published figures of {published!r}; choose {', '.join(CONVERTERS)}")
    note = root / "conversion.json"
    if not published and note.is_file():
        with suppress(ValueError):
            published = read_json(note).get("dataset", "")
    return CONVERTERS[published].expected if published in CONVERTERS else Expected()
