"""What a conversion found against what a whole download should hold."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Expected
from aulib.dataset import DatasetFolder

MANY = 0.05  # share of coded frames; more left out than that is worth a warning
MOST = 8  # people or sessions named in one warning
TOLERANCE = 0.25  # of a base rate; more than the folds of BP4D differ among themselves


@dataclass
class Report:
    """The figures of a conversion; `text` lays them out, `write` keeps them beside the manifest.

    Attributes:
        aus: AU -> known (frames), present (frames), rate, expected (rate or None), odd (bool).
        skipped: reason -> frames, without those of sessions that could not be read at all.
        skipped_sources: such a session -> reason.
        unread_frames: label rows of these sessions; None if some could not be counted.
        warnings: what a reader must not overlook.
    """

    dataset: str
    subjects: int = 0
    frames: int = 0
    without_landmarks: int = 0
    aus: dict[str, dict] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_sources: dict[str, str] = field(default_factory=dict)
    unread_frames: int | None = 0
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
        if self.skipped_sources:
            lines.append(f"  unread    {len(self.skipped_sources):9,}  {self.unread()}")
        if self.aus:
            lines.append("  AU     known      present   base rate  expected")
        for au, row in self.aus.items():
            expected = "unknown" if row["expected"] is None else f"{100 * row['expected']:6.1f}%"
            rate = "      -" if row["rate"] is None else f"{100 * row['rate']:6.1f}%"
            mark = "  <- far off" if row["odd"] else ""
            lines.append(f"  {au} {row['known']:9,} {row['present']:10,}   {rate}    {expected}{mark}")
        lines += [f"  note: {note}" for note in self.notes[:6]]
        if len(self.notes) > 6:
            lines.append(f"  note: {len(self.notes) - 6} more in conversion.json")
        lines += [f"  WARNING: {warning}" for warning in self.warnings]
        if want.get("sources"):
            lines.append(f"  where the expected figures are from: {want['sources']}")
        return "\n".join(lines)

    def unread(self) -> str:
        """ "2 sessions that could not be read at all, 9,690 frames" in the report's words."""
        sessions = "session that could" if len(self.skipped_sources) == 1 else "sessions that could"
        number = self.unread_frames
        frames = "frames unknown" if number is None else f"{number:,} frame{'' if number == 1 else 's'}"
        return f"{sessions} not be read at all, {frames}"

    def write(self, out: Path) -> Path:
        path = out / "conversion.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")
        return path


def make_report(
    name: str,
    data: DatasetFolder,
    expected: Expected,
    coverage: pd.DataFrame,
    skipped: pd.DataFrame,
    skipped_sources: dict[str, str],
    notes: list[str],
) -> Report:
    """Count what is in the manifest and compare.

    Args:
        coverage: rows of `cover`.
        skipped: columns frame, reason and frames, one row a frame (or session) that was left out.
        skipped_sources: those of its rows that are whole sessions.
    """
    report = Report(name, len(set(data.subjects)), len(data), expected=asdict(expected))
    report.notes = [f"{_sessions(count)}: {note}" for note, count in Counter(notes).most_common()]
    whole = skipped["frame"].isin(list(skipped_sources))
    report.skipped = skipped.loc[~whole, "reason"].value_counts().to_dict()
    report.skipped_sources = skipped_sources
    counts = skipped.loc[whole, "frames"]
    report.unread_frames = None if counts.isna().any() else int(counts.sum())
    if data.num_landmarks:
        report.without_landmarks = int(np.isnan(data.landmarks).any(axis=(1, 2)).sum())
    report.aus = compare_rates(data, expected)
    _warn(report, expected, data, coverage)
    return report


def compare_rates(data: DatasetFolder, expected: Expected) -> dict[str, dict]:
    """AU -> known, present, rate, expected (None where no published rate is known to us), odd. Intensity
    counts as present from `expected.at_least`."""
    occurrence = occurrence_for(data, expected.at_least)
    found = {}
    for au, column in zip(data.aus, occurrence.T, strict=True):
        known, present = int((~np.isnan(column)).sum()), int((column == 1).sum())
        rate, want = present / known if known else None, expected.rates.get(au)
        odd = want is not None and rate is not None and abs(rate - want) > max(TOLERANCE * want, 0.02)
        found[au] = {"known": known, "present": present, "rate": rate, "expected": want, "odd": odd}
    return found


def occurrence_for(data: DatasetFolder, at_least: float) -> np.ndarray:
    """(N, A) occurrence of the set; made of intensity >= `at_least` if it has no occurrence of its own."""
    if not data.aus:
        return np.empty((len(data), 0), dtype=np.float32)
    if f"{data.aus[0]}_c" in data.table.columns:
        return data.occurrence
    strength = data.intensity
    return np.where(np.isnan(strength), np.nan, strength >= at_least)


def _warn(report: Report, expected: Expected, data: DatasetFolder, coverage: pd.DataFrame) -> None:
    kind = "c" if data.aus and f"{data.aus[0]}_c" in data.table.columns else "r"
    report.warnings += what_is_missing(coverage, expected, kind)
    coded = int(coverage["frames"].sum())
    if report.frames < (1 - MANY) * coded:
        report.warnings.append(
            f"{report.frames:,} of {coded:,} coded frames could be used: see skipped.csv for the others"
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
        number = len(report.skipped_sources)
        report.warnings.append(f"{number} {report.unread()} ({name}: {reason})")


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _or_unknown(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def cover(rows: pd.DataFrame) -> pd.DataFrame:
    """A session's people: columns session, subject, frames (rows with any label), and aus, the label columns
    that the session knows anywhere."""
    labels = [column for column in rows.columns if column[:2] == "AU"]
    known = rows[labels].notna().to_numpy()
    aus = frozenset(column for column, any_ in zip(labels, known.any(axis=0), strict=True) if any_)
    session = rows["frame"].iloc[0].rsplit("/", 1)[0] if len(rows) else ""
    people = rows.loc[known.any(axis=1), "subject"].value_counts(sort=False)
    return pd.DataFrame(
        {
            "session": session,
            "subject": people.index.astype(str),
            "frames": people.to_numpy(),
            "aus": [aus] * len(people),
        }
    )


def what_is_missing(coverage: pd.DataFrame, expected: Expected, kind: str) -> list[str]:
    """Warnings about people, sessions, frames and AUs.

    Args:
        coverage: rows of `cover`.
        kind: "c" or "r", the columns that AUs are looked for in.
    """
    if not len(coverage):
        return []
    return [
        *_missing_people(coverage, expected),
        *_missing_sessions(coverage, expected),
        *_missing_frames(coverage, expected),
        *_missing_aus(coverage, expected, kind),
    ]


def _missing_people(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    found = coverage["subject"].nunique()
    if expected.subjects and found != expected.subjects:
        few = "fewer" if found < expected.subjects else "more"
        lacking = sorted(set(expected.frames_of) - set(coverage["subject"]))
        yield (
            f"{found} subjects, {few} than the {expected.subjects} of the whole set: is the download "
            "complete?" + (f" Without labels: {_first_few(lacking)}" if lacking else "")
        )


def _missing_sessions(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    found = coverage["session"].nunique()
    if not expected.sessions or found >= expected.sessions:
        return
    of_person = coverage.groupby("subject")["session"].nunique()
    usual = Counter(of_person.tolist()).most_common(1)[0][0]
    fewer = [f"{person} has {number} of {usual}" for person, number in of_person.items() if number < usual]
    yield f"labels of {found} sessions, fewer than the {expected.sessions} of the whole set" + (
        f": {_first_few(fewer)}" if fewer else ""
    )


def _missing_frames(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    of_person = coverage.groupby("subject")["frames"].sum()
    short = [
        f"{person} {of_person[person]:,} of {number:,}"
        for person, number in expected.frames_of.items()
        if person in of_person and of_person[person] < number
    ]
    if short:
        yield f"fewer coded frames than the whole set has (a label file cut off?): {_first_few(short)}"
    total = int(of_person.sum())
    if expected.frames and total < (1 - expected.slack) * expected.frames:
        yield f"labels of {total:,} frames, fewer than the {expected.frames:,} of the whole set"


def _missing_aus(coverage: pd.DataFrame, expected: Expected, kind: str) -> Iterator[str]:
    """AUs without a label in sessions that have labels of most others."""
    sessions = coverage.drop_duplicates("session").set_index("session")["aus"]
    for au in expected.aus:
        without = [name for name, known in sessions.items() if f"{au}_{kind}" not in known]
        if 0 < len(without) < len(sessions) / 2:
            yield (
                f"{au} is known in {len(sessions) - len(without)} of {len(sessions)} sessions, not in "
                f"{_first_few(without)}: is a label file missing?"
            )


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
