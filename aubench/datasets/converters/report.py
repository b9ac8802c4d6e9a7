"""What a conversion found against what a whole download should hold."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Expected
from aulib.dataset import DatasetFolder
from aulib.files import write_json

USABLE = 0.95  # of the coded frames; fewer are worth a warning
SHOWN = 8  # rows of each kind in the summary; conversion.json has all
TOLERANCE = 0.25  # of a base rate; more than the folds of BP4D differ among themselves


@dataclass
class Report:
    """The figures of a conversion; `text` summarises them, `write` keeps them all.

    Attributes:
        aus: AU -> known (frames), present (frames), rate, expected (rate or None), odd (bool).
        skipped: reason -> frames, without those of sessions that could not be read at all.
        skipped_sources: such a session -> reason.
        unread_frames: label rows of these sessions; None if some could not be counted.
        missing: dicts of what, of (a person or session, "" for the whole set), found and expected, where
            less was found than a whole download holds.
        notes: oddities of the sessions, with the number of sessions.
    """

    dataset: str
    subjects: int = 0
    frames: int = 0
    without_landmarks: int = 0
    aus: dict[str, dict] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_sources: dict[str, str] = field(default_factory=dict)
    unread_frames: int | None = 0
    missing: list[dict] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    expected: dict = field(default_factory=dict)

    def text(self) -> str:
        """A summary of some screens' length."""
        unread = "?" if self.unread_frames is None else self.unread_frames
        counts = pd.DataFrame(
            {
                "found": [self.subjects, self.frames, sum(self.skipped.values()), unread],
                "expected": [self.expected.get("subjects"), self.expected.get("frames"), 0, 0],
            },
            index=["subjects", "usable frames", "skipped frames", "frames of unreadable sessions"],
        )
        parts = {
            f"{self.dataset}: found, and expected of a whole download": _table(counts),
            "Skipped frames by reason (skipped.csv names each)": _lines(self.skipped),
            "Sessions that cannot be read": _lines(self.skipped_sources),
            "Base rates": _table(self._rates()),
            "WARNING: less than the whole set": self._missing_text(),
            "Sessions with an oddity": _lines(self.notes),
            "Sources of the expected figures": self.expected.get("sources", ""),
        }
        return "\n\n".join(f"{title}\n{content}" for title, content in parts.items() if content)

    def _rates(self) -> pd.DataFrame:
        """The table of AUs, in percent, with a column that marks odd rates."""
        rates = pd.DataFrame.from_dict(self.aus, orient="index")
        if rates.empty:
            return rates
        rates["check"] = np.select(
            [rates["odd"].astype(bool), (rates["known"] > 0) & (rates["present"] == 0)],
            ["<- far off", "<- never present"],
            "",
        )
        for column in ("rate", "expected"):
            rates[column] = [None if pd.isna(rate) else f"{rate:.1%}" for rate in rates[column]]
        return rates.drop(columns="odd")

    def _missing_text(self) -> str:
        if not self.missing:
            return ""
        missing = pd.DataFrame(self.missing)
        shown = missing.groupby("what", sort=False).head(SHOWN)
        more = len(missing) - len(shown)
        return _table(shown, index=False) + (f"\n{more} more in conversion.json" if more else "")

    def write(self, out: Path) -> None:
        write_json(out / "conversion.json", asdict(self))


def _table(table: pd.DataFrame, index: bool = True) -> str:
    if table.empty:
        return ""
    cells = table.map(
        lambda cell: "unknown" if pd.isna(cell) else f"{cell:,}" if isinstance(cell, int | float) else cell
    )
    return "\n".join(line.rstrip() for line in cells.to_string(index=index).split("\n"))


def _lines(counts: dict[str, int | str]) -> str:
    lines = [f"{name}: {count}" for name, count in list(counts.items())[:SHOWN]]
    return "\n".join(
        lines + ([f"{len(counts) - SHOWN} more in conversion.json"] if len(counts) > SHOWN else [])
    )


def make_report(
    name: str,
    data: DatasetFolder,
    expected: Expected,
    rows: pd.DataFrame,
    skipped: pd.DataFrame,
    skipped_sources: dict[str, str],
    notes: list[str],
) -> Report:
    """Count what is in the manifest and compare.

    Args:
        rows: all frames that were read, used or not: columns session, subject, AU01_c ...
        skipped: columns frame, reason and frames, one row per frame (or session) that was left out.
        skipped_sources: those of its rows that are whole sessions, with their reasons.
    """
    of_sessions = skipped["frame"].isin(list(skipped_sources))
    unread = skipped.loc[of_sessions, "frames"]
    return Report(
        name,
        subjects=len(set(data.subjects)),
        frames=len(data),
        without_landmarks=int(np.isnan(data.landmarks).any(axis=(1, 2)).sum()) if data.num_landmarks else 0,
        aus=compare_rates(data, expected),
        skipped=skipped.loc[~of_sessions, "reason"].value_counts().to_dict(),
        skipped_sources=skipped_sources,
        unread_frames=None if unread.isna().any() else int(unread.sum()),
        missing=what_is_missing(rows, len(data), expected),
        notes=dict(Counter(notes).most_common()),
        expected=asdict(expected),
    )


def compare_rates(data: DatasetFolder, expected: Expected) -> dict[str, dict]:
    """AU -> known, present, rate, expected (None where no published rate is known to us), odd. Intensity
    counts as present from `expected.at_least`."""
    if not data.aus:
        return {}
    if f"{data.aus[0]}_c" in data.table.columns:
        occurrence = data.occurrence
    else:
        occurrence = np.where(np.isnan(data.intensity), np.nan, data.intensity >= expected.at_least)
    found = {}
    for au, column in zip(data.aus, occurrence.T, strict=True):
        known, present = int((~np.isnan(column)).sum()), int((column == 1).sum())
        rate, published = present / known if known else None, expected.rates.get(au)
        odd = None not in (rate, published) and abs(rate - published) > max(TOLERANCE * published, 0.02)
        found[au] = {"known": known, "present": present, "rate": rate, "expected": published, "odd": odd}
    return found


def what_is_missing(rows: pd.DataFrame, usable: int, expected: Expected) -> list[dict]:
    """`Report.missing`. Labels are compared, so missing pictures hide nothing.

    Args:
        rows: as of `make_report`.
        usable: how many of them are in the manifest.
    """
    labels = rows.columns[rows.columns.str.fullmatch(r"AU\d\d_[cr]")]
    rows = rows[rows[labels].notna().any(axis=1)]
    frames = rows.groupby("subject").size()
    sessions = rows.groupby("subject")["session"].nunique()
    usual = sessions.mode().max() if expected.sessions else 0
    too_few = len(rows) if usable < USABLE * len(rows) else 0
    whole_set = [
        ("subjects", "", len(frames), expected.subjects),
        ("sessions", "", sessions.sum(), expected.sessions),
        *(("sessions", person, number, usual) for person, number in sessions.items()),
        ("coded frames", "", len(rows), (expected.frames or 0) * (1 - expected.slack)),
        *(("coded frames", one, frames.get(one, 0), number) for one, number in expected.frames_of.items()),
        ("usable frames", "", usable, too_few),
        *_missing_aus(rows, expected.aus),
    ]
    return [
        {"what": what, "of": of, "found": int(found), "expected": round(number)}
        for what, of, found, number in whole_set
        if number and found < number
    ]


def _missing_aus(rows: pd.DataFrame, aus: tuple[str, ...]) -> list[tuple[str, str, int, int]]:
    """AUs without a label, in the whole set or in a minority of sessions."""
    kind = "_c" if any(column.endswith("_c") for column in rows) else "_r"
    known = rows.reindex(columns=[f"{au}{kind}" for au in aus]).notna().groupby(rows["session"]).sum()
    sizes = rows.groupby("session").size()
    missing = []
    for au, (_, of_session) in zip(aus, known.items(), strict=True):
        without = of_session.index[of_session == 0]
        if len(without) == len(sizes):
            missing.append((f"labels of {au}", "", 0, len(rows)))
        elif len(without) < len(sizes) / 2:
            missing += [(f"labels of {au}", session, 0, sizes[session]) for session in without]
    return missing
