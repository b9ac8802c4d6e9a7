"""What an earlier call converted: taken again where nothing speaks against it.

A session is taken as a whole if every picture it gave is still in place, the folders it was found in hold
what they held, and the files that could not be read are as they were. Otherwise it is converted again, but
faces that were detected in pictures still in place are not looked for again.
"""

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Session, Source

# Reasons that a change of the picture can take away; others are of the labels.
OF_THE_PICTURE = ("unreadable", "no face found", "landmark")


@dataclass(frozen=True)
class ConvertedSession:
    """Rows of an earlier call, `in_place` (N,) where the row is of use and its picture still there."""

    rows: pd.DataFrame
    in_place: np.ndarray
    notes: tuple[str, ...]
    whole: bool

    def detected(self, session: Session) -> dict[int, tuple[str, str, np.ndarray]]:
        """Row -> (image, source, (K, 2) landmarks) of faces that need not be looked for again."""
        if len(self.rows) != len(session.frames):
            return {}
        columns = [f"{axis}_{k}" for k in range(sum(c[:2] == "x_" for c in self.rows)) for axis in "xy"]
        if not columns:  # no row, or no face in any
            return {}
        faces = self.rows[columns].to_numpy(np.float32).reshape(len(self.rows), -1, 2)
        known = {}
        for row in np.flatnonzero(self.in_place & np.isfinite(faces).all(axis=(1, 2))):
            image, source = self.rows["image"].iat[row], self.rows["source"].iat[row]
            picture = session.pictures[row]
            same = source == str(picture) if picture is not None else source.startswith(f"{session.video}#")
            if same:
                known[int(row)] = (image, source, faces[row])
        return known


def read_converted(path: Path, source: Source, out: Path) -> ConvertedSession | None:
    """What `write_converted` kept at `path`; None if there is nothing, or it cannot be read."""
    try:
        kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rows = pd.read_parquet(path)
        used = (rows["reason"] == "").to_numpy()
        in_place = used & np.array([(out / image).is_file() for image in rows["image"]], dtype=bool)
        unchanged = kept["listing"] == _listing(source) and all(
            list(stamp(Path(name))) == found for name, found in kept["watched"].items()
        )
        whole = unchanged and bool((in_place == used).all())
        return ConvertedSession(rows, in_place, tuple(kept["notes"]), whole)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):  # nothing, half a file, an older form
        return None


def write_converted(
    path: Path, source: Source, session: Session, rows: pd.DataFrame, notes: tuple[str, ...]
) -> None:
    """Keep the rows of a session, and what to look at before they are taken again."""
    spoilt = rows["reason"].str.startswith(OF_THE_PICTURE)
    pictures = [p for p, bad in zip(session.pictures, spoilt, strict=True) if bad and p is not None]
    watched = {str(file): stamp(file) for file in [*session.watched, *pictures]}
    kept = {"notes": notes, "listing": _listing(source), "watched": watched}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}")
    rows.to_parquet(partial, index=False)
    os.replace(partial, path)  # first: rows without the note that belongs to them are not believed
    partial.write_text(json.dumps(kept), encoding="utf-8")
    os.replace(partial, path.with_suffix(".json"))


def stamp(path: Path) -> tuple[int, int]:
    """(size, time of the last change in ns) of a file, (0, time) of a folder, (-1, 0) if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return -1, 0
    return 0 if path.is_dir() else found.st_size, found.st_mtime_ns


def _listing(source: Source) -> str:
    """Hash of which pictures and landmark files a session was found with."""
    folders = [[str(p), *stamp(p)] for p in source.files.values() if p is not None and p.is_dir()]
    seen = [folders, [str(picture) for picture in source.pictures]]
    return hashlib.blake2b(json.dumps(seen).encode(), digest_size=8).hexdigest()
