"""What a conversion found against what a whole download should hold."""

from collections import Counter
from dataclasses import asdict

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Expected
from aulib.dataset import DatasetFolder

USABLE = 0.95  # of the coded frames; fewer are worth a warning
SHOWN = 8  # rows of each kind in the summary; conversion.json has all
TOLERANCE = 0.25  # of a base rate; more than the folds of BP4D differ among themselves


def report_text(report: dict) -> str:
    """A summary of `make_report`: counts, base rates, and what is missing."""
    expected = report["expected"]
    counts = {
        "subjects": (report["subjects"], expected["subjects"]),
        "usable frames": (report["frames"], expected["frames"]),
        "skipped frames": (sum(report["skipped"].values()), 0),
        "frames of unreadable sessions": (report["unread_frames"], 0),
    }
    rates = pd.DataFrame.from_dict(report["aus"], orient="index", dtype=object)
    missing = pd.DataFrame(report["missing"], columns=["what", "of", "found", "expected"])
    shown = missing.groupby("what", sort=False).head(SHOWN)
    parts = {
        f"{report['dataset']}: found, and expected of a whole download": pd.DataFrame.from_dict(
            counts, orient="index", columns=["found", "expected"], dtype=object
        ).to_string(formatters=2 * [_number]),
        "Skipped frames by reason (skipped.csv names each)": _lines(report["skipped"]),
        "Sessions that cannot be read": _lines(report["skipped_sources"]),
        "Base rates": len(rates)
        and rates.to_string(na_rep="unknown", formatters=[_number, _number, _share, _share, None]),
        "WARNING: less than the whole set (conversion.json has all rows)": len(missing)
        and shown.to_string(index=False, formatters={"found": _number, "expected": _number}),
        "Sessions with an oddity": _lines(report["notes"]),
        "Sources of the expected figures": expected["sources"],
    }
    return "\n\n".join(f"{title}\n{content}" for title, content in parts.items() if content)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _lines(values: dict[str, int | str]) -> str:
    more = [f"... {len(values) - SHOWN} more"] if len(values) > SHOWN else []
    return "\n".join([f"{name}: {value}" for name, value in values.items()][:SHOWN] + more)


def make_report(
    name: str,
    data: DatasetFolder,
    expected: Expected,
    rows: pd.DataFrame,
    skipped: pd.DataFrame,
    skipped_sources: dict[str, str],
    notes: list[str],
) -> dict:
    """Count what is in the manifest and compare: the content of conversion.json.

    Args:
        rows: all frames that were read, used or not: columns session, subject, AU01_c ...
        skipped: columns frame, reason and frames, one row per frame (or session) that was left out.
        skipped_sources: those of its rows that are whole sessions, with their reasons.

    Returns:
        dataset, subjects, frames, without_landmarks; aus: see `compare_rates`; skipped: reason -> frames,
        without those of sessions that could not be read at all; skipped_sources; unread_frames: label rows of
        these sessions, None if some could not be counted; missing: dicts of what, of (a person or session, ""
        for the whole set), found and expected, where less was found than a whole download holds; notes:
        oddities of the sessions, with the number of sessions; expected.
    """
    of_sessions = skipped["frame"].isin(list(skipped_sources))
    unread = skipped.loc[of_sessions, "frames"]
    return {
        "dataset": name,
        "subjects": len(set(data.subjects)),
        "frames": len(data),
        "without_landmarks": int(np.isnan(data.landmarks).any(axis=(1, 2)).sum()),
        "aus": compare_rates(data, expected),
        "skipped": skipped.loc[~of_sessions, "reason"].value_counts().to_dict(),
        "skipped_sources": skipped_sources,
        "unread_frames": None if unread.isna().any() else int(unread.sum()),
        "missing": what_is_missing(rows, len(data), expected),
        "notes": dict(Counter(notes).most_common()),
        "expected": asdict(expected),
    }


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
    """`missing` of `make_report`. Labels are compared, so missing pictures hide nothing.

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
