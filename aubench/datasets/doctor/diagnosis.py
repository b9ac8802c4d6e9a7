"""One finding of the doctor, and the report of all."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.dataset import DatasetFolder
from aulib.files import result_file, write_json

LEVELS = ("error", "warning", "note")
SHOWN = {"error": 20, "warning": 8, "note": 8}  # findings of one check in the text, unless all are asked for


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: which check, in one or two words.
        level: error (training would fail or its scores be wrong), warning (look at it), note.
        text: what was found and what was expected.
        rows: rows of the manifest's file it is about, from 0 below the header; empty if it is about the whole
            set.
    """

    check: str
    level: str
    text: str
    rows: tuple[int, ...] = ()

    def line(self) -> str:
        """`row 18: ...`, rows as a spreadsheet counts them: the header is row 1."""
        if not self.rows:
            return self.text
        shown = ", ".join(str(row + 2) for row in self.rows[:5])
        more = f" and {len(self.rows) - 5} more" if len(self.rows) > 5 else ""
        return f"row{'s' if len(self.rows) > 1 else ''} {shown}{more}: {self.text}"


@dataclass
class Diagnosis:
    """What the doctor found.

    Attributes:
        data: the set without what cannot be used; see `manifest.usable_part`.
        numbers: (N,) of its rows as findings count them, which also count blank lines.
        worst: rows of the crops least like the others, the worst first.
        likeness: their correlation with the mean crop.
        readable: rows whose pictures were opened and have landmarks.
        published: AU -> base rate as published, of a known set.
    """

    root: Path
    data: DatasetFolder
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    findings: list[Finding] = field(default_factory=list)
    worst: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    likeness: np.ndarray = field(default_factory=lambda: np.empty(0))
    readable: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    published: dict[str, float] = field(default_factory=dict)

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def table(self) -> pd.DataFrame:
        """level, check, rows (as in a spreadsheet), text: one row per finding, errors first."""
        ordered = sorted(self.findings, key=lambda f: (LEVELS.index(f.level), f.check, f.rows[:1]))
        rows = [(f.level, f.check, ", ".join(str(row + 2) for row in f.rows[:5]), f.text) for f in ordered]
        return pd.DataFrame(rows, columns=["level", "check", "rows", "text"])

    def text(self, everything: bool = False) -> str:
        """The report for a terminal; of each check at most SHOWN findings, or `everything`."""
        table = self.data.table
        people = table["subject"].nunique() if "subject" in table else 0
        aus = " ".join(self.data.aus) or "none"
        lines = [f"{self.root}: {len(table)} rows, {people} subjects, AUs {aus}"]
        if not self.findings:
            return "\n".join([*lines, "nothing found"])
        for level in LEVELS:
            for check in sorted({f.check for f in self.findings if f.level == level}):
                found = [f for f in self.findings if (f.level, f.check) == (level, check)]
                found.sort(key=lambda f: f.rows[:1])
                most = len(found) if everything else SHOWN[level]
                lines.append(f"{level.upper()} {check}: {len(found)}")
                lines += [f"  {finding.line()}" for finding in found[:most]]
                if len(found) > most:
                    lines.append(f"  ... and {len(found) - most} more: --all shows them")
        counts = ", ".join(f"{self.count(level)} {level}s" for level in LEVELS)
        return "\n".join([*lines, f"{counts} (rows as in a spreadsheet: the header is row 1)"])

    def write(self, path: Path) -> None:
        """All findings as JSON."""
        found = [asdict(finding) for finding in self.findings]
        with result_file(path, "findings") as partial:
            write_json(partial, {"root": self.root.name, "findings": found})
