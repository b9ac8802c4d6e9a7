"""What a conversion found against what a whole download should hold."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aulib.converting.sessions import Expected
from aulib.datasets import DatasetFolder

TOLERANCE = 0.25  # of a base rate; more than the folds of BP4D differ among themselves


@dataclass
class Report:
    """The figures of a conversion; `text` lays them out, `write` keeps them beside the manifest.

    Attributes:
        aus: AU -> known (frames), present (frames), rate, expected (rate or None), odd (bool).
        skipped: reason -> frames.
        skipped_sources: source -> reason.
        warnings: what a reader must not overlook.
    """

    dataset: str
    subjects: int = 0
    frames: int = 0
    without_landmarks: int = 0
    aus: dict[str, dict] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_sources: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    expected: dict = field(default_factory=dict)

    def text(self) -> str:
        want = self.expected
        lines = [
            f"{self.dataset}: what was found, and what a whole download holds",
            f"  subjects  {self.subjects:9,}  expected {_or_unknown(want.get('subjects'))}",
            f"  frames    {self.frames:9,}  expected {_or_unknown(want.get('frames'))}",
            f"  skipped   {sum(self.skipped.values()):9,}  frames, each with its reason in skipped.csv",
        ]
        for reason, count in sorted(self.skipped.items(), key=lambda item: -item[1])[:6]:
            lines.append(f"            {count:9,}  {reason}")
        if self.aus:
            lines.append("  AU     known      present   base rate  expected")
        for au, row in self.aus.items():
            expected = "      -" if row["expected"] is None else f"{100 * row['expected']:6.1f}%"
            rate = "      -" if row["rate"] is None else f"{100 * row['rate']:6.1f}%"
            mark = "  <- far off" if row["odd"] else ""
            lines.append(f"  {au} {row['known']:9,} {row['present']:10,}   {rate}    {expected}{mark}")
        lines += [f"  note: {note}" for note in self.notes[:6]]
        lines += [f"  WARNING: {warning}" for warning in self.warnings]
        if want.get("sources"):
            lines.append(f"  where the expected figures are from: {want['sources']}")
        return "\n".join(lines)

    def write(self, out: Path) -> Path:
        path = out / "conversion.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")
        return path


def make_report(
    name: str,
    data: DatasetFolder,
    expected: Expected,
    skipped: pd.DataFrame,
    skipped_sources: dict[str, str],
    notes: list[str],
) -> Report:
    """Count what is in the manifest and compare.

    Args:
        skipped: columns frame and reason, one row a frame that was left out.
    """
    report = Report(name, len(set(data.subjects)), len(data), expected=asdict(expected))
    report.notes = [f"{count} sessions: {note}" for note, count in Counter(notes).most_common()]
    report.skipped = skipped["reason"].value_counts().to_dict() if len(skipped) else {}
    report.skipped_sources = skipped_sources
    if data.num_landmarks:
        report.without_landmarks = int(np.isnan(data.landmarks).any(axis=(1, 2)).sum())
    report.aus = compare_rates(data, expected)
    _warn(report, expected, data)
    return report


def compare_rates(data: DatasetFolder, expected: Expected) -> dict[str, dict]:
    """AU -> known, present, rate, expected, odd. Intensity counts as present from `expected.at_least`.

    Where only relative rates are published they are scaled by the found rate of `relative_to`, which then
    cannot be odd.
    """
    occurrence = occurrence_for(data, expected.at_least)
    found = {}
    for au, column in zip(data.aus, occurrence.T, strict=True):
        known, present = int((~np.isnan(column)).sum()), int((column == 1).sum())
        found[au] = {"known": known, "present": present, "rate": present / known if known else None}
    anchor = found.get(expected.relative_to, {}).get("rate")
    for au, row in found.items():
        want = expected.rates.get(au)
        if want is None and anchor and au in expected.relative:
            want = anchor * expected.relative[au]
        row["expected"] = want
        rate = row["rate"]
        row["odd"] = bool(want and rate is not None and abs(rate - want) > max(TOLERANCE * want, 0.02))
    return found


def occurrence_for(data: DatasetFolder, at_least: float) -> np.ndarray:
    """(N, A) occurrence of the set; made of intensity >= `at_least` if it has no occurrence of its own."""
    if not data.aus:
        return np.empty((len(data), 0), dtype=np.float32)
    if f"{data.aus[0]}_c" in data.table.columns:
        return data.occurrence
    strength = data.intensity
    return np.where(np.isnan(strength), np.nan, strength >= at_least)


def _warn(report: Report, expected: Expected, data: DatasetFolder) -> None:
    if expected.subjects and report.subjects != expected.subjects:
        few = "fewer" if report.subjects < expected.subjects else "more"
        report.warnings.append(
            f"{report.subjects} subjects, {few} than the {expected.subjects} of the whole set: is the "
            f"download complete?"
        )
    if expected.frames and report.frames < 0.95 * expected.frames:
        report.warnings.append(
            f"{report.frames:,} of {expected.frames:,} frames: see skipped.csv for the others"
        )
    if missing := [au for au in expected.aus if au not in data.aus]:
        report.warnings.append(f"no labels of {', '.join(missing)}")
    if odd := [au for au, row in report.aus.items() if row["odd"]]:
        report.warnings.append(
            f"base rates of {', '.join(odd)} are far from the published ones: other columns, or part of the "
            f"set?"
        )
    if silent := [au for au, row in report.aus.items() if row["known"] and not row["present"]]:
        report.warnings.append(f"{', '.join(silent)} never present")
    if report.skipped_sources:
        name, reason = next(iter(report.skipped_sources.items()))
        report.warnings.append(
            f"{len(report.skipped_sources)} sessions could not be read at all ({name}: {reason})"
        )


def _or_unknown(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
