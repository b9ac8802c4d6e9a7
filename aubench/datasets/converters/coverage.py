"""Which people, sessions and AUs a raw tree has labels for, and what that lacks of the whole set.

Rows are counted as they are coded, whatever became of their pictures, so that a label file that was cut off
shows even where every frame it still names was converted.
"""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from aubench.datasets.converters.sessions import Expected

MOST = 8  # people or sessions named in one warning


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
        *_people(coverage, expected),
        *_sessions(coverage, expected),
        *_frames(coverage, expected),
        *_aus(coverage, expected, kind),
    ]


def _people(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    found = coverage["subject"].nunique()
    if expected.subjects and found != expected.subjects:
        few = "fewer" if found < expected.subjects else "more"
        lacking = sorted(set(expected.frames_of) - set(coverage["subject"]))
        yield (
            f"{found} subjects, {few} than the {expected.subjects} of the whole set: is the download "
            "complete?" + (f" Without labels: {_some(lacking)}" if lacking else "")
        )


def _sessions(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    found = coverage["session"].nunique()
    if not expected.sessions or found >= expected.sessions:
        return
    of_person = coverage.groupby("subject")["session"].nunique()
    usual = Counter(of_person.tolist()).most_common(1)[0][0]
    fewer = [f"{person} has {number} of {usual}" for person, number in of_person.items() if number < usual]
    yield f"labels of {found} sessions, fewer than the {expected.sessions} of the whole set" + (
        f": {_some(fewer)}" if fewer else ""
    )


def _frames(coverage: pd.DataFrame, expected: Expected) -> Iterator[str]:
    of_person = coverage.groupby("subject")["frames"].sum()
    short = [
        f"{person} {of_person[person]:,} of {number:,}"
        for person, number in expected.frames_of.items()
        if person in of_person and of_person[person] < number
    ]
    if short:
        yield f"fewer coded frames than the whole set has (a label file cut off?): {_some(short)}"
    total = int(of_person.sum())
    if expected.frames and total < (1 - expected.slack) * expected.frames:
        yield f"labels of {total:,} frames, fewer than the {expected.frames:,} of the whole set"


def _aus(coverage: pd.DataFrame, expected: Expected, kind: str) -> Iterator[str]:
    """AUs without a label in sessions that have labels of most others."""
    sessions = coverage.drop_duplicates("session").set_index("session")["aus"]
    for au in expected.aus:
        without = [name for name, known in sessions.items() if f"{au}_{kind}" not in known]
        if 0 < len(without) < len(sessions) / 2:
            yield (
                f"{au} is known in {len(sessions) - len(without)} of {len(sessions)} sessions, not in "
                f"{_some(without)}: is a label file missing?"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
