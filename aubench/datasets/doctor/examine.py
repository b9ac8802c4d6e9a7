"""The whole check of a dataset folder. It continues where reading the set would stop."""

import importlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.raw_session import Expected
from aubench.datasets.converters.report import compare_rates
from aubench.datasets.doctor.crops import check_crops, worst_crops
from aubench.datasets.doctor.duplicates import check_duplicates
from aubench.datasets.doctor.findings import LEVELS, Finding
from aubench.datasets.doctor.fingerprints import fingerprint_pictures
from aubench.datasets.doctor.labels import check_labels
from aubench.datasets.doctor.landmark_shapes import check_shapes
from aubench.datasets.doctor.manifest_cells import (
    check_cells,
    read_tolerantly,
    with_valid_labels,
    with_valid_landmarks,
    without_outside_paths,
)
from aubench.datasets.doctor.splits import check_splits
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder
from aulib.images import read_picture

PICTURES = 20_000  # looked at, at most, unless asked otherwise
SHOWN = {"error": 20, "warning": 8, "note": 8}  # findings of one check in the text, unless all are asked for


@dataclass
class Diagnosis:
    """What the doctor found.

    Attributes:
        data: the set as far as it could be read.
        worst: rows of the crops least like the others, the worst first; likeness: theirs with the mean crop,
            a correlation.
        readable: rows whose pictures were opened and have landmarks.
        published: AU -> base rate as published, of a known set.
    """

    root: Path
    data: DatasetFolder
    findings: list[Finding] = field(default_factory=list)
    worst: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    likeness: np.ndarray = field(default_factory=lambda: np.empty(0))
    readable: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    published: dict[str, float] = field(default_factory=dict)

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def table(self) -> pd.DataFrame:
        """level, check, rows (as in a spreadsheet), text: one row a finding, the worst first."""
        ordered = sorted(self.findings, key=lambda f: (LEVELS.index(f.level), f.check, f.rows[:1]))
        return pd.DataFrame(
            [
                {
                    "level": f.level,
                    "check": f.check,
                    "rows": ", ".join(str(r + 2) for r in f.rows[:5]),
                    "text": f.text,
                }
                for f in ordered
            ],
            columns=["level", "check", "rows", "text"],
        )

    def text(self, everything: bool = False) -> str:
        """The report for a terminal; of each check at most SHOWN findings, or `everything`."""
        people = self.data.table["subject"].nunique() if "subject" in self.data.table else 0
        lines = [
            f"{self.root}: {len(self.data.table)} rows, {people} subjects, AUs "
            f"{' '.join(self.data.aus) or 'none'}"
        ]
        if not self.findings:
            return "\n".join([*lines, "nothing found"])
        for level in LEVELS:
            checks = sorted({f.check for f in self.findings if f.level == level})
            for check in checks:
                found = [f for f in self.findings if (f.level, f.check) == (level, check)]
                lines.append(f"{level.upper()} {check}: {len(found)}")
                most = len(found) if everything else SHOWN[level]
                lines += [f"  {finding.line()}" for finding in sorted(found, key=lambda f: f.rows[:1])[:most]]
                if len(found) > most:
                    lines.append(f"  ... and {len(found) - most} more: --all shows them")
        counts = ", ".join(f"{self.count(level)} {level}s" for level in LEVELS)
        return "\n".join([*lines, f"{counts} (rows as in a spreadsheet: the header is row 1)"])

    def write(self, path: Path) -> None:
        """All findings as JSON."""
        found = [asdict(finding) for finding in self.findings]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"root": self.root.name, "findings": found}, indent=1), encoding="utf-8")


def check(
    folder: str | Path,
    published: str = "",
    pictures: int = PICTURES,
    workers: int | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Check a dataset folder: manifest, labels, splits, pictures, duplicates, landmarks.

    Args:
        published: a converter's name ("bp4d") whose base rates to compare with; by default the one that
            `aulib convert` noted in conversion.json, if any.
        pictures: how many to open at most, evenly spread; 0 opens none.

    Raises:
        FileNotFoundError: no folder, or no manifest in it.  ValueError: unknown `published`, or a manifest
            that is
            no table at all.
    """
    root = Path(folder)
    table, findings = read_tolerantly(root)
    diagnosis = Diagnosis(root, DatasetFolder(root, table), findings)
    if table.empty:
        findings.append(Finding("rows", "error", "the manifest has a header and no rows"))
    if table.empty or not {"image", "subject", "split"} <= set(table.columns):
        return diagnosis
    findings += check_cells(table, root)
    findings += check_splits(table)

    labelled, expected = DatasetFolder(root, with_valid_labels(table)), _expected(root, published)
    findings += check_labels(labelled, expected)
    if expected is not None:
        rates = {au: row["expected"] for au, row in compare_rates(labelled, expected).items()}
        diagnosis.published = {au: rate for au, rate in rates.items() if rate is not None}

    usable = DatasetFolder(root, with_valid_landmarks(without_outside_paths(table)))
    findings += check_shapes(usable)
    if pictures:
        prints, found = fingerprint_pictures(usable, pictures, workers, progress)
        findings += found
        findings += check_duplicates(prints, table)
        findings += check_crops(prints, usable)
        diagnosis.worst, diagnosis.likeness = worst_crops(prints)
        diagnosis.readable = prints.rows[prints.has_face]
    return diagnosis


def folder_of(name: str | Path) -> Path:
    """The folder of a dataset's name: a path as it is, `synthetic:...` rendered on first use."""
    if str(name).startswith("synthetic:"):
        from aufaces.sets import resolve

        return Path(resolve(str(name)))
    return Path(name)


def worst_faces(diagnosis: Diagnosis, num: int = 24) -> dict:
    """The crops least like the others, to be looked at.

    Returns:
        images, landmarks (pixels of them), captions ("row 47 · 0.03", the likeness), table (a row a face: row
        as in a spreadsheet, image, likeness).

    Raises:
        ValueError: no picture was looked at, or none has landmarks.
    """
    rows = diagnosis.worst[:num]
    if not len(rows):
        raise ValueError(f"no crops of {diagnosis.root} were looked at")
    spec, landmarks, paths = CropSpec(), diagnosis.data.landmarks, diagnosis.data.image_paths
    images, points = [], []
    for row in rows:
        matrix = crop_matrix(landmarks[row], spec)
        images.append(crop_face(read_picture(paths[row]), matrix, spec.size))
        points.append(landmarks[row] @ matrix[:, :2].T + matrix[:, 2])
    likeness = diagnosis.likeness[:num]
    captions = [f"row {row + 2} · {like:.2f}" for row, like in zip(rows, likeness, strict=True)]
    names = diagnosis.data.table["image"].to_numpy()[rows]
    table = pd.DataFrame({"row": rows + 2, "image": names, "likeness": likeness.round(4)})
    return {"images": images, "landmarks": np.array(points), "captions": captions, "table": table}


def _expected(root: Path, published: str) -> Expected | None:
    """Published figures of the set: named, or noted by `aulib convert`."""
    if published and published not in CONVERTERS:
        raise ValueError(f"no published figures of {published!r}; there are those of {', '.join(CONVERTERS)}")
    note = root / "conversion.json"
    if not published and note.is_file():
        try:
            published = json.loads(note.read_text(encoding="utf-8")).get("dataset", "")
        except (ValueError, AttributeError):
            published = ""
    if published not in CONVERTERS:
        return None
    return importlib.import_module(f"aubench.datasets.converters.{published}").EXPECTED
